"""Damaged sources: what stands before the damage is read, the damage is named, and nothing else is ever raised."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from trajectory_hub.errors import TrajHubError
from trajectory_hub.rollouts.adapters import documents
from trajectory_hub.rollouts.adapters.base import Adapter
from trajectory_hub.rollouts.adapters.documents import open_document
from trajectory_hub.rollouts.adapters.engine import IngestConfig, ingest
from trajectory_hub.rollouts.adapters.registry import adapters
from trajectory_hub.rollouts.events import EpisodeEndEvent, EpisodeStartEvent
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.payloads import ToolCall, ToolResult

from . import benchmark_records as made
from .reading_events import Told, told

DOCUMENTS: dict[str, Callable[[], Any]] = {
    "swe-agent": made.swe_agent,
    "mini-swe-agent": made.mini_swe_agent,
    "atif": made.atif,
    "openhands": made.openhands_history,
    "openhands-sdk": made.sdk_events,
    "nebius-swe-agent": made.nebius_swe_agent,
    "nebius-openhands": made.nebius_openhands,
    "swe-bench": made.predictions,
}
LINES: dict[str, Callable[[], list[Any]]] = {
    "openhands": lambda: [made.openhands_row(), made.openhands_row(made.openhands_pairs())],
    "openhands-sdk": made.sdk_events,
    "nebius-swe-agent": made.nebius_swe_agent,
    "nebius-openhands": made.nebius_openhands,
    "swe-bench": made.predictions,
    "atif": lambda: [made.atif(), made.atif()],
}
GARBAGE: list[Any] = [
    None,
    True,
    -1,
    0.5,
    1e308,
    10**30,
    "",
    "\ud800",
    "x" * 300,
    [],
    {},
    [[]],
    {"role": 3},
    [None, {}],
]


def _adapter(name: str) -> Adapter:
    return adapters().get(name)


def _read(name: str, path: Path) -> list[Told]:
    """What an adapter tells; errors of ours are an answer as well."""
    try:
        return told(_adapter(name), path)
    except TrajHubError:
        return []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_cut_anywhere_gives_what_stands_before(tmp_path: Path, name: str) -> None:
    data = json.dumps(DOCUMENTS[name]()).encode()
    steps = list[int]()
    for cut in range(1, len(data), max(1, len(data) // 60)):
        (tmp_path / "x.json").write_bytes(data[:cut])
        found = _read(name, tmp_path / "x.json")
        steps.append(sum(len(one.payloads(ToolCall)) for one in found))
        assert not found or any(item.broken and item.where for one in found for item in one.unread)
    assert name == "swe-bench" or steps == sorted(steps), "more of a file never tells fewer steps"


@pytest.mark.parametrize("name", LINES)
def test_lines_cut_anywhere_give_the_lines_before(tmp_path: Path, name: str) -> None:
    path = made.write_lines(tmp_path / "x.jsonl", LINES[name]())
    data = path.read_bytes()
    whole = sum(one.records for one in _read(name, path))
    for cut in range(1, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:cut])
        assert sum(one.records for one in _read(name, path)) <= whole + 1
    path.write_bytes(b"{not json\n" + data + b'"text"\n\xff\xfe\n')
    assert sum(one.records for one in _read(name, path)) == whole + 3
    assert sum(item.broken for one in _read(name, path) for item in one.unread) == 2


def _mutated(value: Any, dice: random.Random) -> Any:
    """The value with one of its parts, anywhere, replaced, taken out or doubled."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        rest = dict(cast("dict[str, Any]", value))
        key = dice.choice(list(rest))
        if dice.random() < 0.15:
            del rest[key]
        else:
            rest[key] = _mutated(rest[key], dice)
        return rest
    if isinstance(value, list) and value and dice.random() < 0.85:
        items = cast("list[Any]", value)
        place = dice.randrange(len(items))
        middle = dice.choice([[], [items[place]] * 2, [_mutated(items[place], dice)], [_mutated(items[place], dice)]])
        return [*items[:place], *middle, *items[place + 1 :]]
    return dice.choice(GARBAGE)


def _check(found: list[Told]) -> None:
    for one in found:
        called = [call.step for call in one.payloads(ToolCall)]
        assert called == list(range(len(called)))
        done = [result.step for result in one.payloads(ToolResult)]
        assert len(set(done)) == len(done)
        assert set(done) <= set(called)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_mutated_documents_raise_only_errors_of_ours(tmp_path: Path, name: str) -> None:
    dice = random.Random(name)
    for _ in range(150):
        value = DOCUMENTS[name]()
        for _ in range(dice.randint(1, 4)):
            value = _mutated(value, dice)
        (tmp_path / "x.json").write_bytes(json.dumps(value).encode("utf-8", "surrogatepass"))
        _check(_read(name, tmp_path / "x.json"))


@pytest.mark.parametrize("name", LINES)
def test_mutated_lines_raise_only_errors_of_ours(tmp_path: Path, name: str) -> None:
    dice = random.Random(name)
    for _ in range(60):
        rows = [_mutated(row, dice) for row in LINES[name]()]
        _check(_read(name, made.write_lines(tmp_path / "x.jsonl", rows)))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_mutated_sources_become_whole_runs(tmp_path: Path, name: str) -> None:
    """What the engine writes of them: logs that begin, end, and can be read again."""
    dice = random.Random(f"{name} run")
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(6):
        value = _mutated(_mutated(DOCUMENTS[name](), dice), dice)
        (folder / f"{number}.json").write_bytes(json.dumps(value).encode("utf-8", "surrogatepass"))
    garbled = bytearray(json.dumps(DOCUMENTS[name]()).encode())
    for _ in range(5):
        garbled[dice.randrange(len(garbled))] = dice.randrange(256)
    (folder / "garbled.json").write_bytes(garbled)
    ingest([folder], tmp_path / "run", IngestConfig(format=name))
    for log in (tmp_path / "run" / "episodes").glob("*/events.jsonl"):
        events = list(read_events(log))
        assert isinstance(events[0], EpisodeStartEvent)
        assert isinstance(events[-1], EpisodeEndEvent)


@pytest.mark.parametrize("name", ["swe-agent", "mini-swe-agent", "atif"])
def test_large_documents_are_streamed_and_tell_the_same(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ijson", reason="ijson is not installed")
    path = made.write_json(tmp_path / "x.json", DOCUMENTS[name](), indent=2)
    small = told(_adapter(name), path)
    monkeypatch.setattr(documents, "SMALL", 100)
    large = told(_adapter(name), path)
    assert [one.items for one in large] == [one.items for one in small]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    torn = told(_adapter(name), path)
    assert [item.broken for one in torn for item in one.unread] == [True]
    assert 0 < sum(len(one.payloads(ToolCall)) for one in torn) <= len(small[0].payloads(ToolCall))


def test_garbage_in_the_middle_leaves_what_stands_before(tmp_path: Path) -> None:
    text = json.dumps({"trajectory": [{"n": 1}, {"n": 2}, {"n": 3}], "info": {}})
    (tmp_path / "x.json").write_text(text.replace('"n": 3', '"n": 3 @@'))
    document = open_document(tmp_path / "x.json", frozenset({"trajectory"}))
    assert list(document.items("trajectory")) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert document.damage is not None
    assert "column" in str(document.damage.where)


def test_a_document_nested_without_end_is_read_as_deep_as_can_be(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"[" * 100_000)
    document = open_document(tmp_path / "x.json", frozenset())
    assert document.damage is not None
    assert "recursion limit" in str(document.damage.where)
