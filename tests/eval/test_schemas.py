"""Schemas and their page are those of the models, and what we write conforms to them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter
from trajectory_hub.eval.schemas import FOLDER, PAGE, reference_page, render, schemas
from trajectory_hub.rollouts import Trajectory, read_trajectories
from trajectory_hub.rollouts.run_dir import read_manifest
from trajectory_hub.rollouts.trajectory import episode_folders
from typer.testing import CliRunner

from .experiments import make_experiment

RUNS = Path(__file__).parents[1] / "data" / "runs-1.0"


def schema_of(name: str) -> Callable[[Any], None]:
    """What raises ValidationError for a document that does not conform."""
    schema: dict[str, Any] = json.loads((FOLDER / name).read_text())
    Draft202012Validator.check_schema(schema)
    validator: Any = Draft202012Validator(schema)
    return validator.validate


@pytest.mark.parametrize("name", sorted(schemas()))
def test_schemas_on_disk_are_those_of_the_models(name: str) -> None:
    assert (FOLDER / name).read_text() == render(schemas()[name]), "run trajhub schema"


def test_the_page_is_that_of_the_models() -> None:
    assert PAGE.read_text() == reference_page(), "run trajhub schema"


def test_no_schema_is_left_over() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(schemas())


def test_the_event_schema_lists_every_type() -> None:
    text = json.dumps(schemas()["event.json"])
    assert all(f'"const": "{kind}"' in text for kind in ("episode_start", "verdict", "sandbox_metric"))


@pytest.mark.parametrize("run", ["reference", "random"])
def test_recorded_files_conform(run: str) -> None:
    schema_of("run.json")(read_manifest(RUNS / run))
    events, verdicts = schema_of("event.json"), schema_of("verdict.json")
    for folder in episode_folders(RUNS / run):
        for line in (folder / "events.jsonl").read_text().splitlines():
            events(json.loads(line))
        verdicts(json.loads((folder / "verdict.json").read_text()))


def test_a_trajectory_and_its_rewards_conform() -> None:
    trajectory, reward = schema_of("trajectory.json"), schema_of("reward.json")
    for found in read_trajectories(RUNS / "random"):
        trajectory(TypeAdapter(Trajectory).dump_python(found, mode="json"))
        for item in found.rewards:
            assert item is not None
            reward(item.model_dump(mode="json"))


def test_what_gates_and_experiments_write_conforms(tmp_path: Path) -> None:
    folder = make_experiment(tmp_path / "micro", count=6, seeds=(0,))
    schema_of("experiment.json")(json.loads((folder / "experiment.json").read_text()))
    for path in (folder / "gates").glob("*.json"):
        schema_of("gate.json")(json.loads(path.read_text()))


def test_the_command_writes_elsewhere_and_tells_what_is_behind(tmp_path: Path) -> None:
    from trajectory_hub.cli import app

    runner = CliRunner()
    assert runner.invoke(app, ["schema", "-o", str(tmp_path), "--check"]).exit_code == 1
    assert runner.invoke(app, ["schema", "-o", str(tmp_path)]).exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {*schemas(), "schema.md"}
    assert runner.invoke(app, ["schema", "-o", str(tmp_path), "--check"]).exit_code == 0
    (tmp_path / "run.json").write_text("{}")
    behind = runner.invoke(app, ["schema", "-o", str(tmp_path), "--check"])
    assert (behind.exit_code, "run.json" in behind.output) == (1, True)
