"""Trainings that are killed, and trainings in several processes: the same losses and the same weights."""

# TRL, transformers and torch tell little of their types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from trajectory_hub.errors import ConfigError
from trajectory_hub.rollouts.config import CONFIGS
from trajectory_hub.training.sft import train_sft

from .configs import sft_of
from .test_train import losses, same, weights

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # of other people's code
KILLED = """
import os, sys, threading, time
from pathlib import Path
from signal import SIGKILL
from trajectory_hub.training.sft import train_sft
from trajectory_hub.training.trainer.config import SftConfig

config = SftConfig.model_validate_json(sys.argv[1])

def watch():
    saved = Path(config.output) / "checkpoints" / "checkpoint-4"
    while not saved.exists():
        time.sleep(0.002)
    os.kill(os.getpid(), SIGKILL)  # in the middle of writing the second checkpoint, or soon after

threading.Thread(target=watch, daemon=True).start()
train_sft(config)
"""


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)


def launched(how: Sequence[str], *command: str) -> subprocess.CompletedProcess[str]:
    """By `accelerate launch` with a configuration file, and options after it."""
    return run(
        [
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            "--main_process_port",
            "0",
            "--config_file",
            *how,
            *command,
        ]
    )


@pytest.mark.parametrize("grouped", [False, True])
def test_a_killed_training_goes_on_bit_for_bit(
    datasets_of_run: Mapping[str, Path], quick: Mapping[str, Any], tmp_path: Path, grouped: bool
) -> None:
    """With dropout, whose numbers have to go on as well, and a schedule that changes at every step."""
    base = {**quick, "data": (str(datasets_of_run["sft"]),), "max_steps": 8, "save_steps": 2}
    base["group_by_length"] = grouped
    base["lora"] = {"rank": 4, "dropout": 0.2}
    whole = train_sft(sft_of(**{**base, "output": str(tmp_path / "whole")}), io.StringIO())
    config = sft_of(**base)
    done = run([sys.executable, "-c", KILLED, config.model_dump_json()])
    assert done.returncode == -SIGKILL, done.stderr[-3000:]
    with pytest.raises(ConfigError, match="what differs: seed"):
        train_sft(config.model_copy(update={"seed": 1}), io.StringIO())
    told = io.StringIO()
    resumed = train_sft(config, told)
    assert "resumed from checkpoint-" in told.getvalue()
    assert resumed.manifest["resumed"]
    assert losses(resumed.output) == losses(whole.output)
    assert same(weights(resumed.output), weights(whole.output))
    assert resumed.manifest["tokens"] == whole.manifest["tokens"]


def test_two_processes_learn_what_one_learns(
    datasets_of_run: Mapping[str, Path], quick: Mapping[str, Any], tmp_path: Path
) -> None:
    """`accelerate launch` with half the batch in each of two processes (gloo), by the command itself."""
    base = {**quick, "data": [str(datasets_of_run["sft"])], "max_steps": 3}
    one = train_sft(sft_of(**{**base, "output": str(tmp_path / "one")}), io.StringIO())
    (tmp_path / "two.json").write_text(json.dumps({**base, "batch_size": 1, "output": str(tmp_path / "two")}))
    module = ["-m", "trajectory_hub.training.sft", "-c", str(tmp_path / "two.json")]
    done = launched([str(CONFIGS / "accelerate" / "cpu2.yaml")], *module)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("First example") == 1
    manifest = json.loads((tmp_path / "two" / "training.json").read_text())
    assert manifest["processes"] == 2
    assert losses(tmp_path / "two") == pytest.approx(losses(one.output), rel=1e-4)
    two = weights(tmp_path / "two")
    assert all(two[name].allclose(value, atol=1e-4) for name, value in weights(one.output).items())
