"""Runs that are damaged, or hold what is no episode: every command that reads them says so and nothing worse."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from trajectory_hub.cli import app
from trajectory_hub.errors import TrajHubError
from typer.testing import CliRunner

RECORDED = Path(__file__).parents[1] / "data" / "runs-1.0" / "random"
READERS = (["runs", "show"], ["runs", "best"], ["check"], ["audit"], ["trace", "score"])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A recorded run of one episode, to be damaged."""
    copy = tmp_path / "random"
    shutil.copytree(RECORDED, copy)
    for folder in sorted((copy / "episodes").iterdir())[1:]:
        shutil.rmtree(folder)
    return copy


def _log(run: Path) -> Path:
    return next((run / "episodes").iterdir()) / "events.jsonl"


def _loop(run: Path) -> None:
    path = _log(run)
    path.unlink()
    path.symlink_to(path.name)


def _folder(run: Path) -> None:
    path = _log(run)
    path.unlink()
    path.mkdir()


def _manifest(text: str) -> Callable[[Path], object]:
    return lambda run: (run / "run.json").write_text(text)


@pytest.mark.parametrize(
    "damage",
    [
        _loop,
        _folder,
        _manifest("[]"),
        _manifest("null"),
        _manifest('{"config": 5}'),
        _manifest('{"policy": []}'),
        _manifest('{"run_id": 5}'),
        _manifest("[" * 100_000),
    ],
)
@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_damage_is_told_not_shown_as_a_traceback(
    run: Path, damage: Callable[[Path], object], command: list[str]
) -> None:
    damage(run)
    error = CliRunner().invoke(app, [*command, str(run)]).exception
    assert error is None or isinstance(error, SystemExit | TrajHubError), error


@pytest.mark.parametrize("command", READERS[:-1], ids=" ".join)  # the last says how many it had scored before
def test_a_stray_file_among_the_episodes_changes_nothing(run: Path, command: list[str]) -> None:
    before = CliRunner().invoke(app, [*command, str(run), "--json"])
    (run / "episodes" / ".DS_Store").write_text("x")
    (run / "episodes" / "empty").mkdir()
    after = CliRunner().invoke(app, [*command, str(run), "--json"])
    assert (after.exit_code, after.stdout) == (before.exit_code, before.stdout)
    assert before.stdout


def test_what_to_run_next_names_the_tasks(run: Path) -> None:
    done = CliRunner().invoke(app, ["runs", "best", str(run)])
    assert f"trajhub grade tiny {run}/best.jsonl" in done.output


def test_a_run_that_names_no_tasks_is_replayed_with_them(run: Path) -> None:
    assert f"trajhub replay {run}\n" in CliRunner().invoke(app, ["check", str(run)]).output
    manifest = json.loads((run / "run.json").read_text())
    del manifest["config"]["tasks"]
    (run / "run.json").write_text(json.dumps(manifest))
    assert f"trajhub replay {run} --tasks TASKS" in CliRunner().invoke(app, ["check", str(run)]).output
