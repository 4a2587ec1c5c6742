"""The parts of an experiment by themselves: stages, demonstrations, tokenizer, model, copying practice, generation."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from trajectory_hub.envs.micro import make_packages
from trajectory_hub.envs.patches import changed_paths
from trajectory_hub.errors import ConfigError, InfrastructureError, UsageError
from trajectory_hub.eval.experiment.demonstrations import GOOD, MIX, Demonstrator, behaviour_of
from trajectory_hub.eval.experiment.generation import GenerationServer
from trajectory_hub.eval.experiment.model import EXPERIMENT, Arm, ArmSeed, Experiment, read_experiment
from trajectory_hub.eval.experiment.practice import PracticeConfig, practise
from trajectory_hub.eval.experiment.stages import NOTE, Stage, Stages
from trajectory_hub.eval.experiment.tiny import TinyConfig, make_model, make_tokenizer
from trajectory_hub.rollouts.policies.base import Context, TaskView
from trajectory_hub.tools.registry import ToolRegistry

TINY = TinyConfig(vocabulary=400, layers=1, width=64, heads=2, kv_heads=2, feed_forward=64, context=512)
TOOLS = ToolRegistry().schemas()
CALL = {"type": "function", "function": {"name": "file_read", "arguments": {"path": "a/b.py"}}}
CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Repair the repository."},
    {"role": "user", "content": "`vato` in `a/b.py` subtracts."},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "name": "file_read", "content": "     1\tdef vato(x):\n     2\t    return x - 1"},
    {"role": "assistant", "content": "Done."},
]


class Counted:
    """A stage's work that counts how often it is done, and fails when told to."""

    def __init__(self) -> None:
        self.times = 0
        self.fails = False

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        self.times += 1
        (folder / "half").touch()
        if self.fails:
            raise InfrastructureError("cut off")
        return {"times": self.times}


def stages(root: Path) -> tuple[Stages, list[Stage]]:
    finished = list[Stage]()
    return Stages(root, finished.append, quiet=True), finished


def test_a_finished_stage_is_kept_and_one_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    work, (first, _) = Counted(), stages(tmp_path)
    work.fails = True
    with pytest.raises(InfrastructureError):
        first.do("one", {"a": 1}, work)
    work.fails = False
    again, finished = stages(tmp_path)
    stage = again.do("one", {"a": 1}, work)
    assert stage.figures == {"times": 2} and stage.folder == tmp_path / "one"
    assert again.do("one", {"a": 1}, work).id == stage.id and work.times == 2
    assert [each.name for each in finished] == ["one", "one"]


def test_a_stage_of_other_settings_is_refused_by_their_names(tmp_path: Path) -> None:
    work, (first, _) = Counted(), stages(tmp_path)
    first.do("one", {"a": {"b": 1, "c": 2}}, work)
    with pytest.raises(ConfigError, match=r"a\.b"):
        stages(tmp_path)[0].do("one", {"a": {"b": 2, "c": 2}}, work)


def test_a_stage_is_finished_wherever_its_experiment_is_moved(tmp_path: Path) -> None:
    here, there, work = tmp_path / "here", tmp_path / "there", Counted()
    stages(here)[0].do("one", {"tasks": str(here / "tasks" / "eval"), "files": [str(here / "a")]}, work)
    here.rename(there)
    moved = {"tasks": str(there / "tasks" / "eval"), "files": [str(there / "a")]}
    assert stages(there)[0].do("one", moved, work).folder == there / "one"
    assert work.times == 1
    with pytest.raises(ConfigError, match="tasks"):
        stages(there)[0].do("one", {**moved, "tasks": str(tmp_path / "tasks" / "eval")}, work)


def test_a_stage_noted_with_whole_paths_can_be_moved_once_it_was_looked_at(tmp_path: Path) -> None:
    here, there, work = tmp_path / "here", tmp_path / "there", Counted()
    settings = {"tasks": str(here / "tasks")}
    stages(here)[0].do("one", settings, work)
    note = json.loads((here / "one" / NOTE).read_text())
    (here / "one" / NOTE).write_text(json.dumps({**note, "config": settings}))
    stages(here)[0].do("one", settings, work)
    here.rename(there)
    stages(there)[0].do("one", {"tasks": str(there / "tasks")}, work)
    assert work.times == 1


def test_a_stage_is_out_of_date_once_what_it_was_built_on_was_done_again(tmp_path: Path) -> None:
    work, (first, _) = Counted(), stages(tmp_path)
    below = first.do("below", {}, work)
    first.do("above", {}, work, [below])
    (below.folder / "stage.json").unlink()
    again, _ = stages(tmp_path)
    redone = again.do("below", {}, work)
    with pytest.raises(ConfigError, match="built on below"):
        again.do("above", {}, work, [redone])


def test_the_record_is_read_back_and_names_what_is_wrong_with_it(tmp_path: Path) -> None:
    record = Experiment(name="x", created="now", command="c", config={}, seeds=[0])
    record.arms.append(
        Arm(name="base", title="Base", role="base", method="sft", seeds=[ArmSeed(seed=0, checkpoint="c")])
    )
    (tmp_path / EXPERIMENT).write_text(record.model_dump_json())
    assert read_experiment(tmp_path) == record
    assert record.base.of(0).checkpoint == "c"
    for call in (lambda: record.arm("dpo"), lambda: record.base.of(3), lambda: read_experiment(tmp_path / "none")):
        with pytest.raises(UsageError):
            call()
    (tmp_path / EXPERIMENT).write_text('{"name": 3}')
    with pytest.raises(UsageError, match="name"):
        read_experiment(tmp_path)


def test_demonstrations_are_drawn_for_each_task_and_seed_in_their_shares() -> None:
    drawn = Counter(behaviour_of(f"micro__a-{number}", 0) for number in range(4000))
    assert {name: round(count / 4000, 1) for name, count in drawn.items()} == {
        name: round(share, 1) for name, share in MIX.items()
    } or all(abs(drawn[name] / 4000 - share) < 0.03 for name, share in MIX.items())
    assert sum(MIX[name] for name in GOOD) == pytest.approx(0.58)
    assert behaviour_of("micro__a-1", 0) == behaviour_of("micro__a-1", 0)


def test_each_behaviour_does_what_it_says() -> None:
    tasks = [task for package in make_packages("train", 40) for task in package.tasks()]
    seen = set[str]()
    for task in tasks:
        behaviour = behaviour_of(task.instance_id, 0)
        context = Context(tools=(), seed=0, log=cast(Any, None), ledger=cast(Any, None), deadline=0.0, solution=task)
        session = Demonstrator().start(TaskView.of(task), context)
        calls = [cast("dict[str, Any]", session.act("", {}).call) for _ in range(5)]
        names = [call["name"] for call in calls]
        assert calls[0] == {"name": "file_read", "arguments": {"path": changed_paths(task.patch)[0]}}
        mended = f"\n-    {calls[1]['arguments'].get('old')}" in task.patch.replace("        ", "    ")
        match behaviour:
            case "idle":
                assert names[1] == "submit"
            case "forgets":
                assert names == ["file_read", "file_edit", "file_read", "file_read", "file_read"]
            case "tested":
                assert names[:4] == ["file_read", "file_edit", "run_tests", "submit"] and mended
            case _:
                assert names[:3] == ["file_read", "file_edit", "submit"] and mended
        seen.add(behaviour)
    assert seen == set(MIX)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt nothing, with its tokenizer."""
    folder = tmp_path_factory.mktemp("tiny")
    row = {"messages": CONVERSATION, "tools": TOOLS, "repo": "micro/a"}
    make_tokenizer(folder / "tokenizer", [row, {**row, "messages": [*CONVERSATION, {"role": "user"}]}], TINY)
    make_model(folder / "model", folder / "tokenizer", TINY, seed=0)
    return folder / "model"


def test_the_tokenizer_gives_the_same_ids_once_it_is_loaded_and_marks_what_the_agent_says(tiny: Path) -> None:
    from trajectory_hub.training.trainer.render import Renderer
    from transformers import AutoTokenizer

    loaded: Any = cast(Any, AutoTokenizer).from_pretrained(tiny)
    raw: Any = loaded.backend_tokenizer
    text = "naïve   def vato(x):\n\treturn 12 <tool_call>\n{}"
    assert loaded(text)["input_ids"] == raw.encode(text, add_special_tokens=False).ids
    assert loaded.decode(loaded(text)["input_ids"]) == text
    rendered = Renderer(loaded).render(CONVERSATION, TOOLS, {})
    said = [loaded.decode(rendered.ids[start:end]) for start, end in rendered.spans]
    assert said == [
        '<tool_call>\n{"name": "file_read", "arguments": {"path": "a/b.py"}}\n</tool_call><|im_end|>',
        "Done.<|im_end|>",
    ]
    head = loaded.apply_chat_template(CONVERSATION[:2], tools=TOOLS, add_generation_prompt=True, tokenize=False)
    whole = loaded.apply_chat_template(CONVERSATION, tools=TOOLS, tokenize=False)
    assert whole.startswith(head) and "file_edit" in head


def test_the_same_seed_draws_the_same_model(tiny: Path, tmp_path: Path) -> None:
    for name, seed in (("same", 0), ("other", 1)):
        make_model(tmp_path / name, tiny, TINY, seed=seed)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (tiny, tmp_path / "same", tmp_path / "other")]
    assert weights[0] == weights[1] != weights[2]


def test_practice_stops_on_its_loss_or_says_that_it_never_came_down(tiny: Path, tmp_path: Path) -> None:
    easy = PracticeConfig(lengths=(24, 32), onward=7.2, until=7.1, max_steps=80, tokens=256)
    told = practise(tiny, tmp_path / "practised", easy, seed=0)
    assert 40 <= told["steps"] < 80 and told["loss"] < 7.1 and (tmp_path / "practised" / "model.safetensors").exists()
    with pytest.raises(InfrastructureError, match="practice"):
        practise(tiny, tmp_path / "never", easy.model_copy(update={"until": 0.01, "max_steps": 25}), seed=0)


def test_generation_answers_as_a_server_of_tokens_does(tiny: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    with GenerationServer(tiny, batch=4) as server, httpx.Client(timeout=60) as client:
        root = server.base_url.removesuffix("/v1")
        asked = {"messages": CONVERSATION[:2], "tools": TOOLS, "add_generation_prompt": True}
        prompt = client.post(f"{root}/tokenize", json=asked).json()
        assert prompt["max_model_len"] == TINY.context and prompt["tokens"]
        body = {"prompt": prompt["tokens"], "max_tokens": 6, "temperature": 0}
        answer = client.post(f"{server.base_url}/completions", json=body).json()
        bad = client.post(f"{server.base_url}/completions", json={"max_tokens": 1})
        assert bad.status_code == 400 and "prompt" in bad.text
        assert "vllm:generation_tokens_total" in client.get(f"{root}/metrics").text
    (choice,) = answer["choices"]
    assert len(choice["token_ids"]) == answer["usage"]["completion_tokens"] <= 6
    model: Any = cast(Any, AutoModelForCausalLM).from_pretrained(tiny)
    with torch.inference_mode():
        logits = model(torch.tensor([prompt["tokens"] + choice["token_ids"]])).logits[0]
    size = len(prompt["tokens"])
    wanted = torch.log_softmax(logits, -1)
    for position, (token, logprob) in enumerate(
        zip(choice["token_ids"], choice["logprobs"]["token_logprobs"], strict=True), size - 1
    ):
        assert token == int(logits[position].argmax())
        assert logprob == pytest.approx(float(wanted[position, token]), abs=1e-3)
