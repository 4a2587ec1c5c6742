"""The event log: round trips, torn lines, death at any moment, speed."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic_core import from_json
from trajectory_hub.errors import DiskFull
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.events import (
    EVENT_CLASSES,
    EventType,
    PhaseEvent,
    ToolCallEvent,
    ToolResultEvent,
    UnknownEvent,
    dump_event,
    parse_event,
)
from trajectory_hub.rollouts.log import EventReader, EventWriter, Header, LogCorrupt, last_event, read_events

HEADER = Header(
    run_id="r1",
    episode_id="demo--seed0",
    task_id="demo",
    agent="scripted",
    agent_version="1",
    repo="a/b",
    commit="c0ffee",
    seed=0,
)


def result(step: int, observation: str = "ok") -> payloads.ToolResult:
    return payloads.ToolResult(step=step, tool="shell", ok=True, observation=observation, data={"command": "ls"})


def test_every_event_type_has_a_payload_and_a_class() -> None:
    assert {kind for _, kind in EVENT_CLASSES.values()} == set(EventType)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "episode" / "events.jsonl"
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    with EventWriter(path, HEADER) as writer:
        event = writer.event(result(0), t_start=start, t_end=start, duration_ms=1.25)
        writer.append(event, writer.event(payloads.Phase(name="reset")))
    events = list(read_events(path))
    assert [(e.seq, e.event_type) for e in events] == [(0, "tool_result"), (1, "phase")]
    assert events[0].model_copy(update={"chain": None}) == event
    assert isinstance(events[0], ToolResultEvent)
    assert b'"t_start":"2026-01-02T03:04:05.000000Z"' in path.read_bytes()


def test_unknown_types_and_fields_survive_a_round_trip(tmp_path: Path) -> None:
    with EventWriter(tmp_path / "events.jsonl", HEADER) as writer:
        known = from_json(dump_event(writer.event(result(0))))
    newer = known | {"schema_version": "1.7", "zone": "b"}
    newer["payload"] = known["payload"] | {"mood": ["new"]}
    unknown = known | {"event_type": "telepathy", "payload": {"deep": {"x": 1}}}
    for value, cls in ((newer, ToolResultEvent), (unknown, UnknownEvent)):
        line = dump_event(parse_event(json.dumps(value)))
        assert from_json(line) == value
        assert isinstance(parse_event(line), cls)


def test_an_invalid_event_of_a_known_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path, HEADER) as writer:
        writer.write(result(0))
        writer.write(result(1))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0].replace(b'"step":0', b'"step":"x"') + lines[1])
    with pytest.raises(LogCorrupt, match=r"events\.jsonl:1: not an event: .*payload\.step"):
        list(read_events(path))
    reader = EventReader(path, tolerant=True)
    assert [event.seq for event in reader] == [1]
    assert len(reader.problems) == 1


@pytest.mark.parametrize("cut", [1, 2, 40, 10_000])
def test_a_torn_last_line_is_left_out_and_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path, HEADER) as writer:
        for step in range(3):
            writer.write(result(step, "x" * 100_000))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    kept = 3 if cut == 1 else 2  # without its newline alone, a line is still whole
    reader = EventReader(path)
    assert len(list(reader)) == kept
    assert bool(reader.torn) == (kept == 2)
    last = last_event(path)
    assert last is not None
    assert last.seq == kept - 1
    with EventWriter(path, HEADER) as writer:
        assert writer.seq == kept
        writer.write(result(9))
    reader = EventReader(path)
    assert [event.seq for event in reader] == list(range(kept + 1))
    assert reader.torn == 0


def test_a_log_of_torn_bytes_only_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"schema_ver')
    assert last_event(path) is None
    with EventWriter(path, HEADER) as writer:
        assert writer.seq == 0
    path.write_bytes(b"\0" * 4096)
    with EventWriter(path, HEADER) as writer:
        writer.write(result(0))
    assert [event.seq for event in read_events(path)] == [0]


def test_a_file_that_is_no_log_is_never_cut(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("dear diary\n")
    with pytest.raises(LogCorrupt):
        EventWriter(path, HEADER)
    assert path.read_text() == "dear diary\n"


def test_text_that_is_not_utf8_is_kept_readable(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    thought = "half \ud83d emoji \x00 \x1b[31m \u202e"
    shown = thought.replace("\ud83d", "\\ud83d")
    with EventWriter(path, HEADER) as writer:
        writer.write(payloads.ToolCall.of(step=0, tool=None, arguments={"\udc80": thought}, action="", thought=thought))
        writer.write(payloads.Phase.model_construct(name=thought))
    call, phase = read_events(path)
    assert isinstance(call, ToolCallEvent)
    assert call.payload.thought == shown
    assert call.payload.arguments == {"\\udc80": shown}
    assert isinstance(phase, PhaseEvent)
    assert phase.payload.name == shown


def test_a_full_disk_leaves_a_whole_log(tmp_path: Path) -> None:
    code = f"""
    import resource, signal, sys
    from pathlib import Path
    from trajectory_hub.errors import DiskFull
    from trajectory_hub.rollouts import payloads
    from trajectory_hub.rollouts.log import EventWriter, Header
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    writer = EventWriter(Path(sys.argv[1]), Header(**{ {n: getattr(HEADER, n) for n in Header.__slots__}!r}))
    try:
        for step in range(100):
            writer.write(payloads.Phase(name="x" * 500))
    except DiskFull as error:
        print("full", error)
    """
    path = tmp_path / "events.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("full cannot write")
    reader = EventReader(path)
    assert len(list(reader)) > 2
    assert reader.torn == 0
    assert DiskFull.failure == "environment"


KILLED = """
import sys
from pathlib import Path
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.log import EventWriter, Header
writer = EventWriter(Path(sys.argv[1]), Header(run_id="r", episode_id="e", task_id="t", agent="a",
    agent_version="1", repo="r", commit="c"))
step = 0
while True:
    writer.write(payloads.Phase(name="y" * 3000))
    sys.stdout.write(f"{step}\\n")
    sys.stdout.flush()
    step += 1
"""


def test_sigkill_loses_no_finished_step(tmp_path: Path) -> None:
    for round_ in range(3):
        path = tmp_path / f"{round_}.jsonl"
        with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(50 + 37 * round_):
                process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
            told = process.stdout.read().splitlines()
        finished = 50 + 37 * round_ + sum(line.isdigit() for line in told)
        assert len(list(read_events(path))) >= finished - 1
