"""The chain names every line that is not what was written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from trajectory_hub.rollouts import EventReader, EventWriter, Header, payloads, read_events
from trajectory_hub.rollouts.chain import link, seal_line, seal_of, verify_chain
from trajectory_hub.rollouts.events import dump_event, parse_event

OLD = Path(__file__).parents[1] / "data" / "runs-1.0" / "reference" / "episodes" / "trajhub__tiny-1--s0--a1"
HEADER = Header(
    run_id="r", episode_id="e", task_id="t", agent="a", agent_version="1", repo="o/r", commit="c" * 40, seed=0
)
Lines = list[bytes]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    with EventWriter(path, HEADER) as writer:
        for number in range(10):
            writer.write(payloads.Phase(name=f"phase {number}"))
    return path


def test_a_log_as_written_has_no_break_and_keeps_its_bytes(log: Path) -> None:
    report = verify_chain(log)
    assert (report.events, report.chained, report.breaks) == (10, 10, ())
    assert b"".join(dump_event(event) for event in read_events(log)) == log.read_bytes()


def test_writing_goes_on_with_the_chain(log: Path) -> None:
    head = verify_chain(log).head
    with EventWriter(log, HEADER) as writer:
        writer.append(writer.event(payloads.Phase(name="grade")), writer.event(payloads.Phase(name="more")))
    report = verify_chain(log)
    assert (report.chained, report.breaks) == (12, ())
    assert report.head != head


def test_an_event_of_another_log_gets_a_place_in_this_chain(log: Path, tmp_path: Path) -> None:
    with EventWriter(tmp_path / "copy.jsonl", HEADER) as writer:
        for event in reversed(list(read_events(log))):
            writer.append(event)
    breaks = verify_chain(tmp_path / "copy.jsonl").breaks
    assert breaks == ()


def edited(lines: Lines) -> Lines:
    return [*lines[:4], lines[4].replace(b"phase 4", b"phase X"), *lines[5:]]


def removed(lines: Lines) -> Lines:
    return [*lines[:4], *lines[5:]]


def doubled(lines: Lines) -> Lines:
    return [*lines[:5], *lines[4:]]


def swapped(lines: Lines) -> Lines:
    return [*lines[:4], lines[5], lines[4], *lines[6:]]


def unchained(lines: Lines) -> Lines:
    bare = {key: value for key, value in json.loads(lines[4]).items() if key != "chain"}
    return [*lines[:4], json.dumps(bare).encode() + b"\n", *lines[5:]]


def rewritten(lines: Lines) -> Lines:
    body = json.dumps({key: value for key, value in json.loads(lines[4]).items() if key != "chain"}).encode()
    before = json.loads(lines[3])["chain"]
    return [*lines[:4], seal_line(body, link(before, body)), *lines[5:]]


@pytest.mark.parametrize(
    ("change", "line", "reason"),
    [
        (edited, 5, "was changed"),
        (removed, 5, "event 5 at the place of event 4"),
        (doubled, 6, "event 4 at the place of event 5"),
        (swapped, 5, "event 5 at the place of event 4"),
        (unchained, 5, "has lost its chain value"),
        (rewritten, 6, "the line before it was replaced"),
    ],
)
def test_a_change_is_named_with_its_line(log: Path, change: Callable[[Lines], Lines], line: int, reason: str) -> None:
    log.write_bytes(b"".join(change(log.read_bytes().splitlines(keepends=True))))
    first = verify_chain(log).breaks[0]
    assert first.line == line
    assert reason in first.reason


def test_a_torn_last_line_is_no_break(log: Path) -> None:
    log.write_bytes(log.read_bytes()[:-20])
    assert verify_chain(log).breaks == ()
    with EventWriter(log, HEADER) as writer:
        writer.write(payloads.Phase(name="again"))
    assert (verify_chain(log).events, verify_chain(log).breaks) == (10, ())


def test_a_log_of_version_1_0_loads_and_is_continued_with_a_chain(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    log.write_bytes((OLD / "events.jsonl").read_bytes())
    before = list(EventReader(log))
    assert verify_chain(log).chained == 0
    assert [parse_event(dump_event(event)) for event in before] == before
    with EventWriter(log, Header.of(before[0])) as writer:
        writer.write(payloads.Phase(name="again"))
    report = verify_chain(log)
    assert (report.events, report.chained, report.breaks) == (len(before) + 1, 1, ())


def test_the_seal_of_a_run_depends_on_every_head_and_on_no_order() -> None:
    heads = [("one", "aa"), ("two", "bb"), ("three", None)]
    assert seal_of(heads) == seal_of(reversed(heads))
    assert seal_of(heads) != seal_of([("one", "aa"), ("two", "bc"), ("three", None)])
    assert seal_of(heads) != seal_of(heads[:2])
