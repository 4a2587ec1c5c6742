"""Telemetry joined to requests and tool calls: by their ids, else by what was said of them, else by time."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..adapters.base import Timed
from ..adapters.reading import compact
from ..payloads import Note
from .clock import Clock
from .facts import Fact

__all__ = ["Attached", "Target", "attach"]

_NEAR = 30.0
"""Seconds between a call's end by its record and by its telemetry."""


@dataclass(slots=True, kw_only=True)
class Target:
    """A request or a tool call of the log that telemetry may be about."""

    about: str
    """`request` or `call`."""
    ids: frozenset[str]
    name: str | None = None
    output_tokens: int | None = None
    step: int | None = None
    request_id: str | None = None
    first_byte: datetime | None = None
    """Of a request's answer, by our clock."""
    end: datetime | None = None


@dataclass(slots=True)
class Attached:
    """What became of an episode's telemetry."""

    notes: list[Timed] = field(default_factory=list[Timed])
    by: Counter[str] = field(default_factory=Counter[str])
    unmatched: int = 0
    """Records about a request or a call that is none of the log's."""
    other: int = 0
    """Records about neither: prompts, settings, metrics."""
    in_trace: int = 0
    """Records that name the trace which the agent was given."""
    internal_ms: dict[int, float] = field(default_factory=dict[int, float])
    """How long a step's tool says it took, by step."""


def attach(facts: Sequence[Fact], targets: Sequence[Target], clock: Clock, trace_id: str) -> Attached:
    """Join telemetry to `targets`. What it says of time makes `clock` surer before times are used to join."""
    found = Attached(in_trace=sum(fact.trace == trace_id for fact in facts))
    known = {(one.about, key): one for one in targets for key in one.ids}
    taken = set[tuple[str, int]]()
    joined = dict[int, tuple[Target, str]]()
    for number, fact in enumerate(facts):
        clock.before(fact.end, fact.received)
        target = next((known[fact.about or "", key] for key in fact.ids if (fact.about or "", key) in known), None)
        if fact.about is not None and target is not None:
            joined[number] = target, "id"
            taken.add((fact.note.kind, id(target)))
            clock.after(fact.end, target.first_byte)
    _by_trace(facts, joined)
    for number, fact in enumerate(facts):
        if fact.about is not None and number not in joined:
            likely = _likely(fact, (one for one in targets if (fact.note.kind, id(one)) not in taken), clock)
            if likely is not None:
                joined[number] = likely
                taken.add((fact.note.kind, id(likely[0])))
    for number, fact in enumerate(facts):
        _tell(found, fact, joined.get(number), clock)
    found.notes += _metrics(facts, clock)
    return found


def _by_trace(facts: Sequence[Fact], joined: dict[int, tuple[Target, str]]) -> None:
    """Join what belongs to a span that is joined already: the span's log records and its children."""
    spans = {fact.span: number for number, fact in enumerate(facts) if fact.kind == "span"}
    for number, fact in enumerate(facts):
        above = fact.parent if fact.kind == "span" else fact.span
        found, seen = joined.get(spans.get(above, -1)), {fact.span}
        while found is None and above in spans and above not in seen:
            seen.add(above)
            above = facts[spans[above]].parent
            found = joined.get(spans.get(above, -1))
        if number not in joined and fact.about is not None and found is not None and found[0].about == fact.about:
            joined[number] = found[0], "trace"


def _likely(fact: Fact, targets: Iterable[Target], clock: Clock) -> tuple[Target, str] | None:
    """The nearest in time of those that agree with what the record says."""
    there = [one for one in targets if one.about == fact.about and _agrees(fact, one)]
    moment = clock.ours(fact.end)
    timed = [(abs((one.end - moment).total_seconds()), number, one)
             for number, one in enumerate(there) if one.end is not None and moment is not None]  # fmt: skip
    if not timed or min(timed)[0] > _NEAR:
        return None
    told = fact.output_tokens is not None if fact.about == "request" else fact.tool is not None
    return min(timed)[2], "content" if told else "time"


def _agrees(fact: Fact, target: Target) -> bool:
    if fact.about == "call":
        return fact.tool is None or fact.tool == target.name
    both = fact.output_tokens is not None and target.output_tokens is not None
    return not both or fact.output_tokens == target.output_tokens


def _tell(found: Attached, fact: Fact, joined: tuple[Target, str] | None, clock: Clock) -> None:
    note = fact.note
    if joined is not None:
        target, how = joined
        found.by[how] += 1
        link = {"joined_by": how, **({"joined_request": target.request_id} if target.request_id else {})}
        note = note.model_copy(update={"step": target.step, "data": {**note.data, **link}})
        if fact.works and target.step is not None and fact.duration_ms is not None:
            found.internal_ms.setdefault(target.step, fact.duration_ms)
    elif fact.about is not None:
        found.unmatched += 1
    else:
        found.other += 1
        if fact.kind != "log":
            return  # an agent's inner workings: they stay in the raw record
    found.notes.append(Timed(payload=note, t_start=clock.ours(fact.start), t_end=clock.ours(fact.end)))


def _metrics(facts: Iterable[Fact], clock: Clock) -> list[Timed]:
    """All metrics as one note: of each name and set of attributes the sum of what was sent as deltas, else the last."""
    series, last = dict[str, dict[str, Any]](), None
    for fact in facts:
        value = fact.note.data.get("value")
        if fact.kind != "metric" or not isinstance(value, int | float):
            continue
        last = fact.end if last is None or (fact.end is not None and fact.end > last) else last
        told = {key: one for key, one in fact.note.data.items() if key != "value"}
        row = series.setdefault(compact([fact.note.kind, told]), {"name": fact.note.kind, **told, "value": 0})
        row["value"] = row["value"] + value if told.get("temporality") == "delta" else value
    if not series:
        return []
    note = Note.of(kind="metrics", source="otlp", data={"series": list(series.values())})
    return [Timed(payload=note, t_start=clock.ours(last))]
