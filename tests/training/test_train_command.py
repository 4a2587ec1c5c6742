"""`trajhub train`: its settings, what it tells, and how it ends."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from trajectory_hub.cli import app
from trajectory_hub.errors import ConfigError
from trajectory_hub.training.trainer.config import CONFIG_OF, SftConfig, TrainConfig, load_train_config
from typer.testing import CliRunner

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # of other people's code
Settings = Mapping[str, Any]


def test_every_default_is_valid() -> None:
    for name, kind in CONFIG_OF.items():
        where = ["tasks=tasks"] if name == "grpo" else ["data=[data]"]
        config: TrainConfig = load_train_config(kind, ["model=m", "output=o", *where])
        assert config.seed == 0
    with pytest.raises(ConfigError, match=r"learning_rat: Extra inputs are not permitted"):
        load_train_config(SftConfig, ["model=m", "output=o", "data=d", "learning_rat=1"])


def test_the_command(datasets_of_run: Mapping[str, Path], quick: Settings, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump({key: quick[key] for key in ("batch_size", "bf16", "device", "max_steps")}))
    given = ["--model", quick["model"], "--data", str(datasets_of_run["sft"]), "-o", quick["output"], "--limit", "4"]
    command = ["train", "sft", "-c", str(settings), "-c", "learning_rate=1e-3", *given]
    tried = CliRunner().invoke(app, [*command, "--dry-run"])
    assert tried.exit_code == 0, (tried.output, tried.exception)
    assert "First example (shop-0)" in tried.stdout
    told = tried.stdout.split("sft: checked, nothing trained\n")[1]
    figures = dict(line.rsplit(None, 1) for line in told.splitlines())
    assert (figures["rows"], figures["examples"], figures["updates"]) == ("4", "4", "4")
    assert "without --dry-run" in tried.stderr
    assert not Path(quick["output"]).exists()
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    manifest = json.loads(done.stdout)
    assert manifest["counts"]["train"]["rows"] == 4
    assert "step 4/4" not in done.stdout
    again = CliRunner().invoke(app, command)
    assert again.stdout.splitlines()[0] == "sft: there already"
    assert "Next:    trajhub eval" in again.stderr
    bare = CliRunner().invoke(app, command[:-4])
    assert "output: Field required (-o, or -c output=...)" in str(bare.exception)
    wrong = CliRunner().invoke(app, [*command, "-c", "seed=5"])
    assert isinstance(wrong.exception, ConfigError)
    assert "what differs: seed" in str(wrong.exception)
