"""TRL's own preprocessing and trainers take what is exported, with a tiny random model made here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.training.config import load_export_config
from trajectory_hub.training.data_sets.export import Request, export_preferences, export_sft

from ...support.tiny_model import TEMPLATE, make
from ..episodes import FAILED, GREP, PATCH, SOLVED, TEST, Act, make_run, write_episode

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # of other people's code
BODY = TEMPLATE.partition("{{ message.content or '' }}")[2].partition("{% endif %}{% endfor %}")[0]
HEAD, TAIL = TEMPLATE.split("{{ message.content or '' }}" + BODY)
MASKED = (
    HEAD
    + "{% if message.role == 'assistant' %}{% generation %}{{ message.content or '' }}"
    + BODY
    + "{% endgeneration %}"
    "{% else %}{{ message.content or '' }}<|im_end|>{% endif %}" + TAIL
)
"""The same, with the mark by which TRL knows what an assistant said."""
ODD = Act("shell", {"command": 'echo "a" && echo {"b": 1}', "timeout": 2.5}, "a\n{b: 1}", "Quotes and braces.")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    make(folder)
    return folder


@pytest.fixture
def tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)  # pyright: ignore


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three kinds of data set, of four tasks."""
    folder = tmp_path_factory.mktemp("data")
    run = make_run(folder / "run")
    for number, acts in enumerate((SOLVED, (GREP, *SOLVED), (ODD, *SOLVED), (TEST, *SOLVED))):
        write_episode(run, acts, task=f"shop-{number}")
        write_episode(run, FAILED, task=f"shop-{number}", seed=1, resolved=False, patch=PATCH + "+")
    export_sft(Request(sources=[run], out=folder / "sft", config=load_export_config()))
    export_sft(Request(sources=[run], out=folder / "steps", config=load_export_config(["unit=step"])))
    export_preferences(Request(sources=[run], out=folder / "preference", config=load_export_config()))
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    yield


def load(folder: Path) -> Any:
    from datasets import load_dataset  # pyright: ignore

    return load_dataset(str(folder), split="train")


def small(**fields: Any) -> dict[str, Any]:
    return {
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
        **fields,
    }


def test_chat_templates_see_tools_and_calls_as_objects(exported: Path, tokenizer: Any) -> None:
    from trl import maybe_apply_chat_template  # pyright: ignore

    rows = list(load(exported / "sft"))
    text: str = maybe_apply_chat_template(rows[2], tokenizer, tools=rows[2]["tools"])["text"]
    call = text.split("<tool_call>\n")[1].split("\n</tool_call>")[0]
    assert json.loads(call) == {"name": "shell", "arguments": dict(ODD.arguments)}
    assert '"name": "run_tests"' in text.split("# Tools")[1].split("<|im_end|>")[0]
    assert "None" not in text
    pairs = list(load(exported / "preference"))
    for pair in pairs:
        told: dict[str, str] = maybe_apply_chat_template(pair, tokenizer, tools=pair["tools"])
        assert told["prompt"].endswith("<|im_start|>assistant\n")
        assert told["chosen"] != told["rejected"]
        assert told["chosen"].endswith("<|im_end|>")
    assert {pair["level"] for pair in pairs} == {"trajectory", "step"}


@pytest.mark.parametrize("kind", ["sft", "steps"])
def test_the_sft_trainer_learns_from_answers_only(
    exported: Path, model: Path, tokenizer: Any, tmp_path: Path, kind: str
) -> None:
    from trl import SFTConfig, SFTTrainer  # pyright: ignore

    tokenizer.chat_template = MASKED
    by_mask = {"assistant_only_loss": True} if kind == "sft" else {"completion_only_loss": True}
    trainer: Any = SFTTrainer(
        model=str(model),
        args=SFTConfig(output_dir=str(tmp_path), max_length=8192, **small(**by_mask)),  # pyright: ignore
        train_dataset=load(exported / kind),
        processing_class=tokenizer,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    learnt = tokenizer.decode(batch["input_ids"][0][batch["labels"][0] != -100])
    assert "<tool_call>" in learnt
    assert "class Cart" not in learnt  # what a tool answered is no target
    assert "software engineer" not in learnt
    done = trainer.train()
    assert done.global_step == 2
    assert 0 < done.training_loss < 20


def test_the_dpo_trainer_learns_from_pairs(exported: Path, model: Path, tokenizer: Any, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer  # pyright: ignore

    trainer: Any = DPOTrainer(
        model=str(model),
        args=DPOConfig(output_dir=str(tmp_path), max_length=8192, **small()),  # pyright: ignore
        train_dataset=load(exported / "preference"),
        processing_class=tokenizer,
    )
    done = trainer.train()
    assert done.global_step == 2
    assert 0 < done.training_loss < 5
    logged = [entry for entry in trainer.state.log_history if "rewards/margins" in entry]
    assert len(logged) == 2


def test_tokens_are_counted_with_the_tools(exported: Path, model: Path, tokenizer: Any, tmp_path: Path) -> None:
    rows = list(load(exported / "sft"))
    sizes = [
        len(tokenizer.apply_chat_template(row["messages"], tools=row["tools"], return_dict=True)["input_ids"])
        for row in rows
    ]
    most = sorted(sizes)[1]
    config = load_export_config([f"filter.max_tokens={most}", f"filter.tokenizer={model}"])
    done = export_sft(Request(sources=[exported / "run"], out=None, config=config))
    assert done.rows == sum(size <= most for size in sizes)
    assert done.statistics["refused"]["too_long"] == sum(size > most for size in sizes)
