"""The figures of layer 2, counted again slowly from the lines of a log: what the tables are compared with."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

Event = dict[str, Any]


def events_of(folder: Path) -> list[Event]:
    """The events of a log as plain JSON, a torn last line left out."""
    lines = (folder / "events.jsonl").read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1]]


def of_type(events: list[Event], kind: str) -> list[Event]:
    """The events of one type."""
    return [event for event in events if event["event_type"] == kind]


def moment(event: Event, name: str) -> float:
    """A time of an event, in milliseconds."""
    return datetime.fromisoformat(event[name]).timestamp() * 1000


def covered(events: list[Event], others: list[Event] | None = None, tick: float = 0.05) -> float:
    """Milliseconds during which one of `events`, and none of `others`, was going on: counted tick by tick."""
    spans = [(moment(e, "t_start"), moment(e, "t_end")) for e in events]
    apart = [(moment(e, "t_start"), moment(e, "t_end")) for e in others or []]
    if not spans:
        return 0.0
    begin, end = min(a for a, _ in spans), max(b for _, b in spans)
    count = 0
    for number in range(int((end - begin) / tick) + 1):
        at = begin + (number + 0.5) * tick
        count += any(a <= at < b for a, b in spans) and not any(a <= at < b for a, b in apart)
    return count * tick
