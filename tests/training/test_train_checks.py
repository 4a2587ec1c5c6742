"""What is wrong is said before a model is loaded, and nothing is left behind that is in the way."""

# TRL, transformers and torch tell little of their types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
import json
import shutil
from collections.abc import Mapping
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest
import torch
from trajectory_hub.errors import ConfigError, DiskFull, InfrastructureError, UsageError
from trajectory_hub.training.dpo import train_dpo
from trajectory_hub.training.kto import train_kto
from trajectory_hub.training.sft import train_sft
from trajectory_hub.training.trainer import output as output_module
from trajectory_hub.training.trainer.checks import check_groups
from trajectory_hub.training.trainer.config import DpoConfig, GrpoConfig, SftConfig, load_train_config
from trajectory_hub.training.trainer.data import DataSource, selected
from trajectory_hub.training.trainer.failures import library_errors, memory_errors
from trajectory_hub.training.trainer.output import disk_errors
from trajectory_hub.training.trainer.settings import Selection

from .configs import dpo_of, grpo_of, kto_of, sft_of
from .test_training_cli import evaluation

pytestmark = pytest.mark.filterwarnings("default")  # of other people's code
Settings = Mapping[str, Any]


@pytest.fixture(autouse=True)
def no_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("transformers.PreTrainedModel.from_pretrained", refuse)


def check(config: SftConfig) -> Mapping[str, Any]:
    return train_sft(config, io.StringIO(), dry_run=True).manifest


@pytest.fixture
def sft_data(datasets_of_run: Mapping[str, Path]) -> tuple[str]:
    return (str(datasets_of_run["sft"]),)


def test_data_that_are_none(quick: Settings, tmp_path: Path, sft_data: tuple[str]) -> None:
    with pytest.raises(UsageError, match="holds no rows: give a folder that `trajhub export` wrote"):
        check(sft_of(data=(str(tmp_path),), **quick))
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(UsageError, match="the data set holds no row"):
        check(sft_of(data=(str(empty),), **quick))
    empty.write_text('{"messages": [\n')
    with pytest.raises(UsageError, match=r"empty\.jsonl:1 is not JSON"):
        check(sft_of(data=(str(empty),), **quick))
    with pytest.raises(UsageError, match="or selection leaves none"):
        check(sft_of(data=sft_data, selection={"resolved": False}, **quick))


def test_pairs_are_no_trajectories(datasets_of_run: Mapping[str, Path], quick: Settings) -> None:
    with pytest.raises(UsageError, match=r"sft needs: messages \| prompt, completion"):
        check(sft_of(data=(str(datasets_of_run["preference"]),), **quick))
    with pytest.raises(UsageError, match="dpo needs: prompt, chosen, rejected"):
        train_dpo(dpo_of(data=(str(datasets_of_run["sft"]),), **quick), io.StringIO(), dry_run=True)


def test_kto_needs_good_and_bad_rows(quick: Settings, datasets_of_run: Mapping[str, Path]) -> None:
    resolved = kto_of(data=(str(datasets_of_run["sft"]),), **quick)
    with pytest.raises(ConfigError, match="KTO needs good and bad rows, and there are 8 and 0"):
        train_kto(resolved, io.StringIO(), dry_run=True)


def test_nothing_is_cut(quick: Settings, sft_data: tuple[str]) -> None:
    whole = check(sft_of(data=sft_data, **quick))["counts"]["train"]
    most = whole["longest"] - 1
    with pytest.raises(ConfigError, match=rf"more than {most} tokens, the longest {most + 1}; nothing is ever cut"):
        check(sft_of(data=sft_data, max_length=most, **quick))
    fewer = check(sft_of(data=sft_data, max_length=most, too_long="filter", **quick))["counts"]["train"]
    assert fewer["too_long"] > 0
    assert fewer["examples"] == whole["examples"] - fewer["too_long"]
    with pytest.raises(UsageError, match="no example is left: all 8 are longer"):
        check(sft_of(data=sft_data, max_length=50, too_long="filter", **quick))


def test_the_model_s_context_is_the_most(quick: Settings, sft_data: tuple[str]) -> None:
    with pytest.raises(ConfigError, match=r"max_length is 8193, and .* can read 8192 tokens"):
        check(sft_of(data=sft_data, max_length=8193, **quick))


def test_a_model_that_is_none(quick: Settings, sft_data: tuple[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no model at"):
        check(sft_of(data=sft_data, **{**quick, "model": str(tmp_path / "none")}))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="holds adapters only"):
        check(sft_of(data=sft_data, **{**quick, "model": str(tmp_path)}))
    (tmp_path / "stage" / "checkpoint").mkdir(parents=True)
    shutil.copy(Path(quick["model"]) / "config.json", tmp_path / "stage" / "checkpoint")
    with pytest.raises(ConfigError, match=r"has no config.json, but .*/stage/checkpoint has one"):
        check(sft_of(data=sft_data, **{**quick, "model": str(tmp_path / "stage")}))
    (tmp_path / "stage" / "checkpoint" / "pytorch_model.bin").touch()
    with pytest.raises(ConfigError, match=r"there is no tokenizer in .*/checkpoint; copy that"):
        check(sft_of(data=sft_data, **{**quick, "model": str(tmp_path / "stage" / "checkpoint")}))


def test_a_tokenizer_without_a_template(quick: Settings, sft_data: tuple[str], tiny_lm: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_lm)
    template, tokenizer.chat_template = tokenizer.chat_template, None
    tokenizer.save_pretrained(tmp_path / "bare")
    bare = {**quick, "tokenizer": str(tmp_path / "bare")}
    with pytest.raises(ConfigError, match="has no chat template: give chat_template"):
        check(sft_of(data=sft_data, **bare))
    (tmp_path / "chat.jinja").write_text(template)
    given = check(sft_of(data=sft_data, chat_template=str(tmp_path / "chat.jinja"), **bare))
    assert given["counts"]["train"]["examples"] == 8


def test_training_data_that_give_away_an_evaluation(
    quick: Settings, sft_data: tuple[str], datasets_of_run: Mapping[str, Path], tmp_path: Path
) -> None:
    pairs = (str(datasets_of_run["preference"]),)
    same = str(evaluation(tmp_path, instance_id="shop-3"))
    with pytest.raises(UsageError, match=r"1 of 8 training tasks give away tasks of .*:\n  shop-3 ~ shop-3"):
        check(sft_of(data=sft_data, eval_tasks=same, **quick))
    with pytest.raises(UsageError, match=r"1 of 8 training tasks"):
        train_dpo(dpo_of(data=pairs, eval_tasks=same, **quick), io.StringIO(), dry_run=True)
    near = str(evaluation(tmp_path, repo="https://example.org/demo/shop.git"))
    with pytest.raises(UsageError, match="8 of 8 training tasks"):
        check(sft_of(data=sft_data, eval_tasks=near, **quick))
    other = str(evaluation(tmp_path))
    assert check(sft_of(data=sft_data, eval_tasks=other, **quick))["counts"]["train"]["examples"] == 8
    nameless = tmp_path / "nameless.jsonl"
    nameless.write_text(json.dumps({"input_ids": [1, 2], "assistant_masks": [0, 1]}) + "\n")
    with pytest.raises(UsageError, match="a row has no task_id"):
        check(sft_of(data=(str(nameless),), eval_tasks=other, **quick))


def test_a_folder_that_holds_something_else(quick: Settings, sft_data: tuple[str]) -> None:
    Path(quick["output"]).mkdir()
    (Path(quick["output"]) / "thesis.tex").write_text("…")
    with pytest.raises(ConfigError, match="holds something else; choose another output"):
        check(sft_of(data=sft_data, **quick))


def test_a_disk_that_is_full(quick: Settings, sft_data: tuple[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module.shutil, "disk_usage", _nearly_full)
    with pytest.raises(DiskFull, match=r"0\.0 MB left, and training writes up to [\d.]+ MB there"):
        train_sft(sft_of(data=sft_data, **quick), io.StringIO())


def _nearly_full(_: Path) -> "_Usage":
    return _Usage(1000)


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_a_disk_that_fills_up_meanwhile(tmp_path: Path) -> None:
    from safetensors import SafetensorError

    full = OSError(ENOSPC, "No space left on device")
    for error in (full, SafetensorError("I/O error: No space left on device (os error 28)")):
        with pytest.raises(DiskFull, match="the disk is full"), disk_errors(tmp_path):
            raise error
    with pytest.raises(RuntimeError, match="something else"), disk_errors(tmp_path):
        raise RuntimeError("something else")


def test_settings_that_contradict_each_other() -> None:
    base = ["model=m", "data=d", "output=o"]
    for items, words in {
        ("early_stopping=2",): "early_stopping needs eval_data or eval_share",
        ("eval_share=0.1", "eval_data=d"): "give eval_data or eval_share, not both",
        ("lora.bits=4", "lora.merge=true"): "a quantised model is not merged",
    }.items():
        with pytest.raises(ConfigError, match=words):
            load_train_config(SftConfig, [*base, *items])
    for items, words in {
        ("loss_type=[sigmoid, sft]",): "give the weight of the sft loss as sft_weight",
        ("loss_weights=[1, 2]",): "loss_weights has 2 values for 1 losses",
    }.items():
        with pytest.raises(ConfigError, match=words):
            load_train_config(DpoConfig, [*base, *items])
    with pytest.raises(ConfigError, match=r"use_vllm, vllm_mode: TRL's own way .* take sampler=vllm"):
        load_train_config(GrpoConfig, [*base[:1], "tasks=t", "output=o", "use_vllm=true", "vllm_mode=server"])
    assert load_train_config(DpoConfig, base).losses == {"sigmoid": 1.0, "sft": 20.0}


@pytest.mark.parametrize("name", ["scheduler", "optimizer", "report_to"])
def test_names_that_transformers_does_not_know(quick: Settings, sft_data: tuple[str], name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}: 'nonesuch' is none of .*[a-z]+, [a-z]+"):
        check(sft_of(data=sft_data, **{**quick, name: "nonesuch"}))


def test_groups_that_an_update_cannot_have() -> None:
    for settings, tasks, processes, said in (
        ({"batch_size": 12, "group": 8}, 9, 1, "an update has 12 episodes .* no whole groups of 8"),
        ({"batch_size": 16, "group": 4}, 7, 2, "an update plays 8 tasks 4 times each, and there are 7"),
    ):
        config = grpo_of(model="m", output="o", tasks="t", **settings)
        with pytest.raises(ConfigError, match=said):
            check_groups(config, tasks, processes)
    check_groups(grpo_of(model="m", output="o", tasks="t", batch_size=4, group=8), 1, 2)


def test_what_a_library_refuses_is_a_setting_to_change() -> None:
    said = r"cannot be trained as it is set: (Target modules \{'nope'\}|Flash)"
    absent = RuntimeError("Flashy needs to be installed. Run `pip install flashy`.")
    for error in (ValueError("Target modules\n  {'nope'} not found"), ImportError("Flash is not there"), absent):
        with pytest.raises(ConfigError, match=said), library_errors():
            raise error
    with pytest.raises(RuntimeError, match=r"^a defect$"), library_errors():
        raise RuntimeError("a defect")
    with pytest.raises(UsageError, match=r"^ours$"), library_errors():
        raise UsageError("ours")
    said = r"CUDA out of memory\. Take less of it: a lower batch_size"
    with pytest.raises(InfrastructureError, match=said), memory_errors():
        raise torch.OutOfMemoryError("CUDA out of memory.\nmore")


def test_rows_of_parquet_are_those_of_jsonl(datasets_of_run: Mapping[str, Path]) -> None:
    for folder in datasets_of_run.values():
        lines = list(DataSource(folder / "data" / "train.jsonl").rows())
        table = list(DataSource(folder / "data" / "train.parquet").rows())
        assert json.loads(json.dumps(table)) == lines
        assert lines


def test_selection(datasets_of_run: Mapping[str, Path]) -> None:
    steps = DataSource(datasets_of_run["steps"])
    rewards = [row["reward"] for row in selected([steps], Selection(min_reward=0.5))]
    assert rewards
    assert min(rewards) >= 0.5
    every = list(selected([steps], Selection()))
    drawn = [list(selected([steps], Selection(limit=5, order="random", seed=seed))) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(row in every for row in drawn[0])
    assert list(selected([steps], Selection(limit=3))) == every[:3]
    trajectories = DataSource(datasets_of_run["all"])
    assert {row["process_score"] for row in selected([trajectories], Selection(limit=8, order="best"))} == {0.8}
