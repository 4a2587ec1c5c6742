"""Episodes of our own, exported to a format and ingested again, say the same as far as the format can."""

from pathlib import Path

import pytest
from trajectory_hub.cli import app
from trajectory_hub.rollouts.adapters.engine import ingest
from trajectory_hub.rollouts.trajectory import Trajectory, read_trajectories
from typer.testing import CliRunner

RUN = Path(__file__).parents[2] / "data" / "runs-1.0" / "reference"


def _again(form: str, out: Path, run: Path) -> dict[str, Trajectory]:
    result = CliRunner().invoke(app, ["trace", "export", str(RUN), "--to", form, "-o", str(out)])
    assert result.exit_code == 0, result.output
    ingest([out], run)
    return {f"{one.header.task_id} {one.header.seed}": one for one in read_trajectories(run)}


def test_atif_gives_back_steps_rewards_patch_verdict_and_end(tmp_path: Path) -> None:
    found = _again("atif", tmp_path / "atif", tmp_path / "run")
    own = {f"{one.header.task_id} {one.header.seed}": one for one in read_trajectories(RUN)}
    assert found.keys() == own.keys()
    for name, one in found.items():
        was = own[name]
        assert one.steps == was.steps
        assert [(s.t_start, s.t_end, s.duration_ms) for s in one.steps] == [
            (s.t_start, s.t_end, s.duration_ms) for s in was.steps
        ]
        assert [s.telemetry for s in one.steps] == [s.telemetry for s in was.steps]
        assert (one.rewards, one.patch, one.end) == (was.rewards, was.patch, was.end)
        assert one.verdict is not None
        assert was.verdict is not None
        assert (one.verdict.resolved, one.verdict.report) == (was.verdict.resolved, was.verdict.report)
        assert one.start.observation == was.start.observation
        assert (one.header.repo, one.header.commit) == (was.header.repo, was.header.commit)


@pytest.mark.parametrize("form", ["nebius-openhands", "nebius-swe-agent"])
def test_rows_give_back_observations_and_outcome(tmp_path: Path, form: str) -> None:
    rows = tmp_path / "rows.jsonl"
    found = list(_again(form, rows, tmp_path / "run").values())
    own = {one.header.task_id: one for one in read_trajectories(RUN)}
    assert found
    for one in found:
        was = own[one.header.task_id]
        assert [step.observation for step in one.steps] == [step.observation for step in was.steps]
        assert one.resolved == was.resolved
        assert (one.patch and one.patch.patch) == (was.patch and was.patch.patch)
