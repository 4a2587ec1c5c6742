"""Nonsense is not learnt from: a loss or a gradient that is no number stops a training."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.training.sft import train_sft
from trajectory_hub.training.trainer.callbacks import Progress
from trajectory_hub.training.trainer.output import Output
from transformers import TrainerControl, TrainerState, TrainingArguments

from .configs import sft_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # of other people's code
Settings = Mapping[str, Any]


def test_a_training_that_diverges_stops_and_says_so(datasets_of_run: Mapping[str, Path], quick: Settings) -> None:
    wild = {**quick, "learning_rate": 1e30, "warmup": 0, "max_grad_norm": 0, "data": (str(datasets_of_run["sft"]),)}
    with pytest.raises(UsageError, match=r"became nan at step \d+: training has diverged; lower learning_rate"):
        train_sft(sft_of(**wild), io.StringIO())
    assert not (Path(quick["output"]) / "training.json").exists()
    tame = sft_of(**{**wild, "learning_rate": 1e-3})  # nothing was kept that other settings could spoil
    assert train_sft(tame, io.StringIO()).manifest["steps"] == 4
    rows = (Path(quick["output"]) / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows if "loss" in json.loads(row)] == [1, 2, 3, 4]


def test_a_gradient_without_bounds_stops_before_its_weights_are_kept(quick: Settings) -> None:
    progress = Progress(Output(sft_of(data=("d",), **quick)), io.StringIO(), None)
    with pytest.raises(UsageError, match="the grad_norm became inf at step 3"):
        progress.on_log(
            TrainingArguments(use_cpu=True), TrainerState(global_step=3), TrainerControl(), {"grad_norm": float("inf")}
        )
