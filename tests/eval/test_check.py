"""`trajhub check` finds what was damaged, and finds nothing in what was not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.eval.checks.finding import CheckReport, Severity
from trajectory_hub.eval.checks.run import RUN_CHECKS, check_run
from trajectory_hub.rollouts.chain import link, seal_line
from trajectory_hub.rollouts.migrate import migrate_run
from trajectory_hub.rollouts.trajectory import episode_folders

RUNS = Path(__file__).parents[1] / "data" / "runs-1.0"
NO_TASKS = "no tasks here"
Event = dict[str, Any]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A whole run of the present version."""
    migrate_run(RUNS / "reference", tmp_path / "run")
    return tmp_path / "run"


def events_of(folder: Path) -> list[Event]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def write(folder: Path, events: list[Event]) -> None:
    """The events with a chain that fits them, as somebody would do who knows how the log is made."""
    before, lines = None, list[bytes]()
    for event in events:
        body = json.dumps({key: value for key, value in event.items() if key != "chain"}).encode()
        before = link(before, body)
        lines.append(seal_line(body, before))
    (folder / "events.jsonl").write_bytes(b"".join(lines))


def errors(report: CheckReport) -> set[str]:
    return {one.check for one in report.findings if one.severity is Severity.ERROR}


def test_a_whole_run_has_no_error(run: Path) -> None:
    report = check_run(run, NO_TASKS)
    assert report.ok, report.findings
    assert report.items == 4
    assert set(report.checks) == set(RUN_CHECKS)
    assert report.statistics["tools"]["submit"] == 4
    assert report.statistics["languages_of_patches"] == {"Python": 4}
    assert check_run(run, NO_TASKS, seal=report.seal).ok


@pytest.mark.parametrize("name", ["reference", "random"])
def test_runs_of_version_1_0_have_no_error(name: str) -> None:
    report = check_run(RUNS / name, NO_TASKS)
    assert report.ok, report.findings
    assert any(one.check == "chain" and one.severity is Severity.NOTE for one in report.findings)


def test_seeds_that_did_the_same_are_told(run: Path) -> None:
    doubled = [one for one in check_run(run, NO_TASKS).findings if one.check == "duplicates"]
    assert [one.severity for one in doubled] == [Severity.WARNING, Severity.WARNING]


def test_another_seal_is_an_error(run: Path, tmp_path: Path) -> None:
    seal = check_run(run, NO_TASKS).seal
    shutil.rmtree(episode_folders(run)[0])
    assert errors(check_run(run, NO_TASKS, seal=seal)) == {"chain"}


def edit_observation(events: list[Event]) -> None:
    result = next(event for event in events if event["event_type"] == "tool_result")
    result["payload"]["observation"] = "nothing was found"


def drop_result(events: list[Event]) -> None:
    events.remove(next(event for event in events if event["event_type"] == "tool_result"))


def turn_time_back(events: list[Event]) -> None:
    events[5]["t_start"] = events[5]["t_end"] = "2020-01-01T00:00:00.000000Z"


def raise_reward(events: list[Event]) -> None:
    reward = next(event for event in events if event["event_type"] == "step_reward")
    reward["payload"]["criteria"][0]["score"] = 0.99


def score_out_of_range(events: list[Event]) -> None:
    reward = next(event for event in events if event["event_type"] == "step_reward")
    reward["payload"]["criteria"][0]["score"] = 1.5


def change_agent(events: list[Event]) -> None:
    events[7]["agent"] = "somebody else"


def miscount(events: list[Event]) -> None:
    next(event for event in events if event["event_type"] == "episode_end")["payload"]["steps"] += 1


def change_patch(events: list[Event]) -> None:
    final = next(event for event in events if event["event_type"] == "final_patch")
    final["payload"]["patch"] = final["payload"]["patch"].replace("+", "+ ")


def forge_patch(events: list[Event]) -> None:
    """The patch, its sum and the verdict about it, all in accordance; only the edits say otherwise."""
    from trajectory_hub.rollouts.episode_log import patch_facts

    final = next(event for event in events if event["event_type"] == "final_patch")
    final["payload"]["patch"] = final["payload"]["patch"].replace("\n+", "\n+import os\n+", 2)
    final["payload"] |= patch_facts(final["payload"]["patch"])
    next(event for event in events if event["event_type"] == "verdict")["payload"]["patch_sha256"] = None


def forge_verdict(events: list[Event]) -> None:
    next(event for event in events if event["event_type"] == "verdict")["payload"]["report"]["resolved"] = False


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (drop_result, "answers"),
        (turn_time_back, "sequence"),
        (raise_reward, "arithmetic"),
        (score_out_of_range, "arithmetic"),
        (change_agent, "identity"),
        (miscount, "completeness"),
        (change_patch, "patch"),
        (forge_patch, "edits"),
        (forge_verdict, "verdict"),
    ],
)
def test_what_contradicts_itself_is_found_even_with_a_new_chain(
    run: Path, change: Callable[[list[Event]], None], check: str
) -> None:
    folder = episode_folders(run)[0]
    seal, events = check_run(run, NO_TASKS).seal, events_of(folder)
    change(events)
    write(folder, events)
    report = check_run(run, NO_TASKS)
    assert check in errors(report), report.findings
    assert all(folder.name in one.where for one in report.findings if one.severity is Severity.ERROR)
    assert "chain" in errors(check_run(run, NO_TASKS, seal=seal))


def test_an_edited_line_is_named(run: Path) -> None:
    folder = episode_folders(run)[0]
    events = events_of(folder)
    edit_observation(events)
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (first, *_) = [one for one in check_run(run, NO_TASKS).findings if one.check == "chain"]
    assert first.where.startswith(f"{folder.name}/events.jsonl:")


def test_lines_that_are_no_events_and_a_torn_tail_are_told(run: Path) -> None:
    log = episode_folders(run)[0] / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:3], b"{}\n", *lines[3:-1], lines[-1][:30]]))
    found = [one for one in check_run(run, NO_TASKS).findings if one.check == "schema"]
    assert (found[0].severity, found[0].where.rpartition(":")[2]) == (Severity.ERROR, "4")
    assert "torn" in found[1].message
    assert found[1].severity is Severity.WARNING


def test_credentials_are_told_and_not_shown(run: Path) -> None:
    folder = episode_folders(run)[0]
    events = events_of(folder)
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    next(event for event in events if event["event_type"] == "tool_result")["payload"]["observation"] = f"TOKEN={token}"
    write(folder, events)
    found = [one for one in check_run(run, NO_TASKS).findings if one.check == "secrets"]
    assert len(found) == 1
    assert token not in found[0].message
    assert "step 0" in found[0].where
