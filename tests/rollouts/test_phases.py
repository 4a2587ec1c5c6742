"""Phases follow from the steps, with evidence, and are recorded as they begin."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.step import Step
from trajectory_hub.errors import StopReason
from trajectory_hub.eval.checks.run import check_run
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.episode_log import EpisodeLog
from trajectory_hub.rollouts.events import SCHEMA_VERSION, PhaseEvent, ToolCallEvent
from trajectory_hub.rollouts.log import Header, read_events
from trajectory_hub.rollouts.phases import phases_of
from trajectory_hub.rollouts.trajectory import read_trajectories
from trajectory_hub.tools.base import Telemetry

RUNS = Path(__file__).parents[1] / "data" / "runs-1.0"
NOW = datetime.now(UTC)


def step(
    index: int, tool: str | None, *, ok: bool = True, data: dict[str, Any] | None = None, **arguments: Any
) -> Step:
    action = json.dumps({"name": tool, "arguments": arguments})
    return Step(
        index=index,
        action=action,
        tool=tool,
        arguments=arguments,
        observation="",
        ok=True,
        data=data or {},
        telemetry=Telemetry(wall_ms=0.0),
        t_start=NOW,
        t_end=NOW,
        duration_ms=0.0,
    )


def shell(index: int, command: str) -> Step:
    return step(index, "shell", command=command)


def edit(index: int) -> Step:
    return step(index, "file_edit", data={"path": "pkg/a.py", "changed": True}, path="pkg/a.py", old="x", new="y")


STEPS = [
    shell(0, "ls -la"),
    step(1, "search", pattern="def f"),
    shell(2, "cat > /tmp/try.py <<'E'\nimport pkg\nE"),
    shell(3, "python /tmp/try.py"),
    step(4, None, action="what?"),
    step(5, "run_tests"),
    edit(6),
    step(7, "run_tests"),
    shell(8, "git diff"),
    shell(9, "sed -i s/a/b/ pkg/a.py"),
    shell(10, "python -m pytest tests"),
    step(11, "submit"),
]
EXPECTED = [
    ("explore", 0),
    ("reproduce", 2),
    ("edit", 6),
    ("test", 7),
    ("explore", 8),
    ("edit", 9),
    ("test", 10),
    ("submit", 11),
]


def test_phases_are_told_from_the_steps_with_evidence() -> None:
    found = phases_of(STEPS, "/testbed")
    assert [(phase.name, phase.step) for phase in found] == EXPECTED
    assert all(phase.evidence for phase in found)
    assert "pkg/a.py" in str(found[2].evidence)


def test_the_same_steps_always_have_the_same_phases() -> None:
    for trajectory in read_trajectories(RUNS / "reference"):
        names = [phase.name for phase in phases_of(trajectory.steps, "/testbed")]
        assert names == ["explore", "edit", "test", "explore", "submit"]
        assert phases_of(trajectory.steps, "/testbed") == phases_of(trajectory.steps, "/testbed")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    header = Header(run_id="r", episode_id="e", task_id="t", agent="a", agent_version="1", repo="o/r", commit="c")
    folder = tmp_path / "r" / "episodes" / "e"
    folder.mkdir(parents=True)
    log = EpisodeLog(folder, header)
    log.started(payloads.EpisodeStart(sandbox={"workdir": "/testbed", "image": "i"}), reset_ms=1.5)
    for one in STEPS:
        log.step(one, 0.5, {}, policy_ms=0.0)
    log.end(StopReason.SUBMITTED)
    manifest = {"schema_version": SCHEMA_VERSION, "run_id": "r", "created": "2026-01-01T00:00:00Z"}
    (tmp_path / "r" / "run.json").write_text(json.dumps(manifest))
    return tmp_path / "r"


def test_a_phase_is_recorded_right_before_the_step_it_begins_with(run: Path) -> None:
    events = list(read_events(run / "episodes" / "e" / "events.jsonl"))
    reset, *phases = [(place, event) for place, event in enumerate(events) if isinstance(event, PhaseEvent)]
    assert (reset[1].payload.name, reset[1].payload.step, reset[1].duration_ms) == ("reset", None, 1.5)
    assert [(event.payload.name, event.payload.step) for _, event in phases] == EXPECTED
    for place, event in phases:
        call = events[place + 1]
        assert isinstance(call, ToolCallEvent) and call.payload.step == event.payload.step
    assert [one for one in check_run(run, "no tasks").findings if one.check == "phases"] == []


def test_a_phase_that_was_recorded_wrongly_is_found(run: Path) -> None:
    log = run / "episodes" / "e" / "events.jsonl"
    log.write_text(log.read_text().replace('"name":"reproduce"', '"name":"edit"'))
    (found,) = [one for one in check_run(run, "no tasks").findings if one.check == "phases"]
    assert "phase edit is said to begin here; the steps say reproduce" in found.message
