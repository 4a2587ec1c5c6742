"""A run that an earlier version began can be gone on with."""

import shutil
from pathlib import Path

import pytest
from trajectory_hub.errors import ConfigError
from trajectory_hub.rollouts import RolloutConfig
from trajectory_hub.rollouts.manifest import open_run
from trajectory_hub.rollouts.run_dir import read_manifest

RUN = Path(__file__).parents[1] / "data" / "runs-1.0" / "reference"


def test_settings_that_came_later_count_as_their_defaults(tmp_path: Path) -> None:
    run = Path(shutil.copytree(RUN, tmp_path / "run"))
    recorded = read_manifest(run)
    assert "vllm" not in recorded["config"]
    now = RolloutConfig.model_validate(recorded["config"])
    assert open_run(run, {**recorded, "config": now.model_dump(mode="json")}).resumed
    assert read_manifest(run)["sittings"][-1]["changed"] == {}
    other = now.model_copy(update={"vllm": now.vllm.model_copy(update={"temperature": 0.5})})
    with pytest.raises(ConfigError, match=r"vllm\.temperature: None -> 0\.5"):
        open_run(run, {**recorded, "config": other.model_dump(mode="json")})
