"""Files of every earlier version load, and a copy in the present version says the same."""

from dataclasses import replace
from pathlib import Path

import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.rollouts import read_events, read_trajectories
from trajectory_hub.rollouts.chain import link, seal_line, verify_chain
from trajectory_hub.rollouts.events import SCHEMA_VERSION, event_body, parse_event
from trajectory_hub.rollouts.migrate import MIGRATIONS, migrate_run
from trajectory_hub.rollouts.run_dir import read_manifest
from trajectory_hub.rollouts.trajectory import episode_folders

DATA = Path(__file__).parents[1] / "data"
OLD = sorted(path.parent for path in DATA.glob("runs-*/*/run.json"))


@pytest.mark.parametrize("run", OLD, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_copy_in_the_present_version_holds_the_same_trajectories(run: Path, tmp_path: Path) -> None:
    counts = migrate_run(run, tmp_path / "copy")
    old, new = list(read_trajectories(run)), list(read_trajectories(tmp_path / "copy"))
    assert [replace(item, folder=None) for item in old] == [replace(item, folder=None) for item in new]
    logs = [folder / "events.jsonl" for folder in episode_folders(tmp_path / "copy")]
    assert sum(counts.values()) == sum(verify_chain(log).chained for log in logs) > 0
    assert all(not verify_chain(log).breaks for log in logs)
    assert {event.schema_version for log in logs for event in read_events(log)} == {SCHEMA_VERSION}
    assert read_manifest(tmp_path / "copy")["schema_version"] == SCHEMA_VERSION
    patches = {path.relative_to(run): path.read_text() for path in run.glob("episodes/*/patch.diff")}
    assert all((tmp_path / "copy" / name).read_text() == text for name, text in patches.items())


def test_there_is_a_run_of_every_version_that_can_be_migrated() -> None:
    assert {path.parent.name.removeprefix("runs-") for path in OLD} == set(MIGRATIONS)


def test_a_log_that_was_changed_gets_no_new_chain(tmp_path: Path) -> None:
    migrate_run(OLD[0], tmp_path / "copy")
    log = episode_folders(tmp_path / "copy")[0] / "events.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"ok":true', b'"ok":false', 1))
    with pytest.raises(UsageError, match=r"events\.jsonl:\d+ was changed"):
        migrate_run(tmp_path / "copy", tmp_path / "again")


def test_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    run = tmp_path / "run"
    migrate_run(OLD[0], run)
    log = episode_folders(run)[0] / "events.jsonl"
    event = parse_event(log.read_bytes().splitlines()[0]).model_copy(update={"schema_version": "9.0"})
    log.write_bytes(seal_line(event_body(event), link(None, event_body(event))))
    with pytest.raises(UsageError, match=r"no way from schema version 9\.0"):
        migrate_run(run, tmp_path / "again")


def test_a_folder_that_exists_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        migrate_run(OLD[0], tmp_path)
