"""Weights spread over two processes on CPUs (FSDP2, gloo): what one process learns, and a killed training goes on."""

# TRL, transformers and torch tell little of their types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
import json
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from trajectory_hub.rollouts.config import CONFIGS
from trajectory_hub.training.dpo import train_dpo
from trajectory_hub.training.sft import train_sft

from .configs import dpo_of, sft_of
from .test_train import losses, weights
from .test_train_interrupted import launched

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # of other people's code
SPREAD = [str(CONFIGS / "accelerate" / "fsdp.yaml"), "--num_processes", "2", "--mixed_precision", "no"]
BOTH = f"""
import os, sys
from pathlib import Path
from trajectory_hub.training.dpo import train_dpo
from trajectory_hub.training.sft import train_sft
from trajectory_hub.training.trainer.callbacks import Progress
from trajectory_hub.training.trainer.config import DpoConfig, SftConfig

whole = Progress.on_save

def killed(self, args, state, control, **kwargs):
    whole(self, args, state, control, **kwargs)
    if state.is_world_process_zero:
        os.kill(os.getpid(), {int(SIGKILL)})

train_dpo(DpoConfig.model_validate_json(Path(sys.argv[1]).read_text()))
Progress.on_save = killed
train_sft(SftConfig.model_validate_json(Path(sys.argv[2]).read_text()))
"""


def test_two_processes_that_share_the_weights_learn_what_one_learns(
    datasets_of_run: Mapping[str, Path], quick: Mapping[str, Any], tmp_path: Path
) -> None:
    """DPO of adapters to its end; then SFT, killed after its second update, and taken up again by the command."""
    data = {"dpo": str(datasets_of_run["preference"]), "sft": str(datasets_of_run["sft"])}
    lora = {"dpo": {"rank": 4}, "sft": None}
    for name, path in data.items():
        settings = {**quick, "data": [path], "save_steps": 2, "batch_size": 1, "output": str(tmp_path / name)}
        settings["lora"] = lora[name]
        (tmp_path / f"{name}.json").write_text(json.dumps(settings))
    (tmp_path / "both.py").write_text(BOTH)
    died = launched(SPREAD, str(tmp_path / "both.py"), str(tmp_path / "dpo.json"), str(tmp_path / "sft.json"))
    assert died.returncode != 0
    assert (tmp_path / "dpo" / "training.json").exists(), died.stderr[-3000:]
    assert "Signal 9" in died.stderr, died.stderr[-3000:]
    done = launched(SPREAD, "-m", "trajectory_hub.training.sft", "-c", str(tmp_path / "sft.json"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "resumed from checkpoint-2" in done.stdout
    one = {**quick, "batch_size": 1, "gradient_accumulation": 2}
    train_dpo(
        dpo_of(**{**one, "data": (data["dpo"],), "output": str(tmp_path / "dpo-one"), "lora": lora["dpo"]}),
        io.StringIO(),
    )
    train_sft(sft_of(**{**one, "data": (data["sft"],), "output": str(tmp_path / "sft-one")}), io.StringIO())
    for name in data:
        told = json.loads((tmp_path / name / "training.json").read_text())
        assert (told["processes"], told["spread"]) == (2, "fsdp")
        assert losses(tmp_path / name) == pytest.approx(losses(tmp_path / f"{name}-one"), rel=1e-4)
        two, alone = weights(tmp_path / name), weights(tmp_path / f"{name}-one")
        assert two.keys() == alone.keys()  # a tied tensor has one name
        for tensor, value in alone.items():
            assert two[tensor].shape == value.shape
            assert two[tensor].allclose(value, atol=1e-4), tensor
