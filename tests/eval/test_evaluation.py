"""`trajhub eval`: policies and predictions become graded runs that the gate and the official harness read."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.predictions import read_predictions
from trajectory_hub.envs.sources import write_task_repo
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError, Failure, UsageError
from trajectory_hub.eval.evaluation import Evaluation, Subject, evaluate, load_eval_config, subject_of
from trajectory_hub.eval.evaluation.evaluate import summarise_evaluation
from trajectory_hub.eval.evaluation.predictions import name_of, write_predictions
from trajectory_hub.eval.gate import GateConfig, Unusable, gate
from trajectory_hub.rollouts.run_dir import EPISODES, episode_name, read_episodes

from .conftest import Command
from .graded import graded_episode, graded_run, tasks

WRONG = """\
diff --git a/shapes.py b/shapes.py
new file mode 100644
--- /dev/null
+++ b/shapes2.py
@@ -0,0 +1 @@
+wrong = True
"""


def predictions(path: Path, patches: dict[str, str]) -> Path:
    rows = [{"instance_id": name, "model_name_or_path": "m", "model_patch": text} for name, text in patches.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


# What is evaluated ----------------------------------------------------------------------------------------------------


def test_subjects_are_told_apart(tmp_path: Path) -> None:
    file = predictions(tmp_path / "p.jsonl", {"a": "x"})
    assert subject_of(str(file)).kind == "predictions"
    assert subject_of(f"{file},{file}").files == (file, file)
    assert subject_of("chat:m@http://127.0.0.1:1/v1").kind == "policy"
    assert subject_of("my_package.module:Policy").kind == "policy"
    assert subject_of("Qwen/Qwen2.5-Coder-7B-Instruct") == Subject("model", "Qwen/Qwen2.5-Coder-7B-Instruct")


def test_a_checkpoint_is_known_by_its_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"it has no config\.json"):
        subject_of(str(tmp_path))
    for name, text in (("config.json", "{}"), ("pytorch_model.bin", "weights"), ("README.md", "card")):
        (tmp_path / name).write_text(text)
    first = subject_of(str(tmp_path))
    (tmp_path / "README.md").write_text("another card")
    assert subject_of(str(tmp_path)) == first
    (tmp_path / "pytorch_model.bin").write_text("other weights")
    assert subject_of(str(tmp_path)).sha256 != first.sha256


@pytest.mark.parametrize("text", ["nowhere.jsonl", "./nowhere", "/nowhere", " "])
def test_what_is_not_there_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="there is no"):
        subject_of(text)


def test_verified_is_the_default_and_verdicts_are_not_optional() -> None:
    config = load_eval_config({"serve": {"max_model_len": 4096}})
    assert (config.rollout.tasks, config.rollout.grade, config.rollout.seeds) == ("verified", True, 1)
    assert config.server("some/model").max_model_len == 4096
    with pytest.raises(ConfigError, match="graded"):
        load_eval_config({"grade": False})
    with pytest.raises(ConfigError, match=r"serve\.nonsense"):
        load_eval_config({"serve": {"nonsense": 1}}).server("m")
    with pytest.raises(ConfigError, match="colour"):
        load_eval_config({"colour": 1})


def test_the_model_that_made_predictions_is_named(tmp_path: Path) -> None:
    assert name_of(predictions(tmp_path / "p.jsonl", {"a": "x"})) == "m"
    for content, name in (([{"instance_id": "a", "model_name_or_path": "n"}], "n"), ({"a": {"model_patch": ""}}, "q")):
        path = tmp_path / "q.json"
        path.write_text(json.dumps(content, indent=1))
        assert name_of(path) == name


def test_predictions_of_a_run_leave_out_what_infrastructure_spoilt(tmp_path: Path) -> None:
    made = graded_run(tmp_path / "run", 3, lambda i, s: Failure.SERVICE if (i, s) == (1, 1) else True, seeds=2)
    graded_episode(made, tasks(3)[2], 0, True, attempt=2)
    files = write_predictions(made)
    assert [path.name for path in files] == ["predictions.seed0.jsonl", "predictions.seed1.jsonl"]
    assert list(read_predictions(str(files[0]))) == sorted(tasks(3))
    assert list(read_predictions(str(files[1]))) == sorted(set(tasks(3)) - {tasks(3)[1]})
    rows = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert {row["model_name_or_path"] for row in rows} == {"run.seed0"}
    assert "x = 02True" in rows[-1]["model_patch"]


def test_the_official_harness_reads_our_predictions_and_the_gate_its_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own reader and its own writer of reports; the logs are those that it leaves behind."""
    harness: Any = import_module("swebench.harness.utils")
    reporting: Any = import_module("swebench.harness.reporting")
    monkeypatch.chdir(tmp_path)
    names, sides = tasks(12), dict[str, str]()
    for side, resolved in (("base", 3), ("new", 12)):
        made = graded_run(tmp_path / side, 12, lambda i, s, n=resolved: i < n)
        (file,) = write_predictions(made)
        rows: list[dict[str, str]] = harness.get_predictions_from_file(str(file), "lab", "test")
        assert [row["instance_id"] for row in rows] == sorted(names)
        for row in rows:
            logs = tmp_path / "logs" / "run_evaluation" / "first" / side / row["instance_id"]
            logs.mkdir(parents=True)
            solved = names.index(row["instance_id"]) < resolved
            (logs / "report.json").write_text(json.dumps({row["instance_id"]: {"resolved": solved}}))
            (logs / "patch.diff").write_text(row["model_patch"])
        known = [{"instance_id": name} for name in names]
        report = reporting.make_run_report({row["instance_id"]: row for row in rows}, known, "first")
        assert report == Path(f"{side}.first.json")
        sides[side] = f"{file}+{tmp_path / report}"
    found = gate([Path(sides["base"])], [Path(sides["new"])])
    assert (found.decision, found.gain) == ("GO", 0.75)
    swapped = f"{sides['base'].partition('+')[0]}+{sides['new'].partition('+')[2]}"
    with pytest.raises(Unusable, match="is not the one in the predictions"):
        gate([Path(sides["base"])], [Path(swapped)])


def test_an_evaluation_is_not_finished_while_infrastructure_spoilt_some_of_it(tmp_path: Path) -> None:
    spoilt: list[tuple[Failure, int, bool, str | None]] = [
        (Failure.SERVICE, 1, True, "1 of 3 episodes do not count (1 service)"),
        (Failure.SERVICE, 3, False, "3 of 3 episodes do not count (3 service)"),
        (Failure.GRADER, 1, True, None),  # trying again would change nothing
        (Failure.GRADER, 3, False, "3 of 3 episodes do not count (3 grader)"),
    ]
    for number, (blamed, many, told, missing) in enumerate(spoilt):
        made = graded_run(tmp_path / str(number), 3, lambda i, _, of=many, who=blamed: who if i < of else True)
        found = summarise_evaluation(made, Evaluation(subject="m", kind="model", sha256=None))
        assert (found.figures is not None, found.finished) == (told, missing is None), (blamed, many)
        assert (found.missing or "None").startswith(str(missing))


# Real sandboxes -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_tasks(tiny_task: Task) -> list[Task]:
    return [tiny_task.model_copy(update={"instance_id": f"trajhub__tiny-{n}"}) for n in (1, 2)]


@pytest.fixture(scope="module")
def repo(two_tasks: list[Task], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("eval") / "tasks"
    write_task_repo(two_tasks, folder, dockerfiles={task.instance_id: "FROM scratch\n" for task in two_tasks})
    return folder


@pytest.mark.docker
def test_predictions_become_a_run_that_resumes(
    two_tasks: list[Task], repo: Path, tmp_path: Path, trajhub: Command
) -> None:
    right = {task.instance_id: task.patch for task in two_tasks}
    files = [
        predictions(tmp_path / "s0.jsonl", right),
        predictions(tmp_path / "s1.jsonl", right | {"trajhub__tiny-2": WRONG}),
    ]
    target = tmp_path / "run"
    words = ("eval", ",".join(map(str, files)), "--tasks", repo, "-o", target, "--json")
    code, out, err = trajhub(*words)
    assert code == 0, err
    told = json.loads(out)
    assert (told["figures"]["resolved"], told["figures"]["counted"], told["finished"]) == (3, 4, True)
    assert [(rate["k"], rate["at"], rate["all"]) for rate in told["figures"]["passes"]] == [
        (1, 0.75, 0.75),
        (2, 1, 0.5),
    ]
    kept = {path: path.read_bytes() for path in target.glob(f"{EPISODES}/*/events.jsonl")}
    lost = target / EPISODES / episode_name("trajhub__tiny-1", 1)
    for path in (*lost.glob("*.*"),):
        path.unlink()
    assert trajhub(*words)[0] == 0
    assert {p: p.read_bytes() for p in kept if p.parent != lost} == {p: b for p, b in kept.items() if p.parent != lost}
    assert len(list(read_episodes(target))) == 4
    files[0].write_text(files[0].read_text().replace('"m"', '"n"'))
    code, _, err = trajhub(*words)
    assert code == 2 and "is something else" in err


@pytest.mark.docker
def test_a_better_set_of_predictions_is_seen_by_the_gate(two_tasks: list[Task], repo: Path, tmp_path: Path) -> None:
    config = load_eval_config({"tasks": str(repo)})
    made = list[Path]()
    for name, patches in (("none", dict.fromkeys((t.instance_id for t in two_tasks), "")), ("all", {})):
        patches = patches or {task.instance_id: task.patch for task in two_tasks}
        file = predictions(tmp_path / f"{name}.jsonl", patches)
        found = evaluate(tmp_path / name, subject_of(str(file)), config)
        assert found.finished
        made.append(tmp_path / name)
    report = gate(made[:1], made[1:], GateConfig(min_gain=0))
    assert (report.gain, report.decision) == (1.0, "NO-GO")  # two tasks can show nothing
    assert report.base.evidence[0].chained


@pytest.mark.docker
def test_a_missing_prediction_is_refused_or_not_resolved(
    two_tasks: list[Task], repo: Path, tmp_path: Path, trajhub: Command
) -> None:
    file = predictions(tmp_path / "p.jsonl", {two_tasks[0].instance_id: two_tasks[0].patch})
    words = ("eval", file, "--tasks", repo, "-o", tmp_path / "run", "--json")
    code, _, err = trajhub(*words)
    assert code == 2 and "no prediction for trajhub__tiny-2" in err
    code, out, _ = trajhub(*words, "--missing-unresolved")
    assert (code, json.loads(out)["figures"]["resolved"], json.loads(out)["figures"]["counted"]) == (0, 1, 2)


@pytest.mark.docker
def test_a_policy_is_rolled_out_and_graded(repo: Path, tmp_path: Path, trajhub: Command) -> None:
    target = tmp_path / "run"
    words = ("eval", "random", "--tasks", repo, "--seeds", 2, "-c", "env.max_steps=3", "-c", "warm=0", "-o", target)
    code, out, err = trajhub(*words)
    assert code == 0, err
    assert "resolved 0 of 4" in out and "predictions.seed0.jsonl, predictions.seed1.jsonl" in out
    found = Evaluation.model_validate_json((target / "evaluation.json").read_text())
    assert found.finished and found.figures is not None and found.figures.counted == 4
    before = {path: path.read_bytes() for path in target.glob(f"{EPISODES}/*/events.jsonl")}
    assert trajhub(*words)[0] == 0
    assert {path: path.read_bytes() for path in before} == before
    with pytest.raises(Unusable, match="given twice"):
        gate([target], [target])
    assert trajhub("eval", "scripted:other.yaml", "--tasks", repo, "-o", target)[0] == 2


@pytest.mark.docker
def test_the_reference_policy_is_no_evaluation(repo: Path, tmp_path: Path, trajhub: Command) -> None:
    code, _, err = trajhub("eval", "reference", "--tasks", repo, "-o", tmp_path / "run")
    assert code == 2 and "is shown the reference patches" in err


def test_a_dry_run_tells_what_it_would_take(tmp_path: Path, trajhub: Command) -> None:
    names = tasks(3)
    rows = [_row(name) for name in names]
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = trajhub("eval", "some/model", "--tasks", file, "--seeds", 4, "--limit", 2, "--dry-run")
    told = json.loads(out)
    assert (code, told["episodes"], told["cost_ceiling_usd"]) == (0, 8, 0.0)
    assert told["served"]["model"] == "some/model" and len(told["images"]) == 2
    asked = ("eval", "chat:gpt@http://127.0.0.1:9/v1", "--tasks", file, "--dry-run")
    assert json.loads(trajhub(*asked)[1])["cost_ceiling_usd"] is None
    prices = tmp_path / "prices.yaml"
    prices.write_text("prices: {models: {gpt: {input: 1.0, output: 2.0}}}\n")
    told = json.loads(trajhub(*asked, "-c", prices, "-c", "budget.cost_usd=0.5")[1])
    assert told["cost_ceiling_usd"] == 1.5


def _row(name: str) -> dict[str, Any]:
    return {
        "instance_id": name,
        "repo": "lab/repo",
        "base_commit": "c" * 40,
        "patch": "diff",
        "test_patch": "diff",
        "problem_statement": "mend it",
        "FAIL_TO_PASS": ["t::a"],
        "PASS_TO_PASS": [],
        "image": f"image-{name}",
        "log_parser": "parse_log_pytest",
        "eval_script": "true",
    }
