"""One event log from an episode's records: transcript, proxy, telemetry, samples, each with what only it knows.

The agent's own transcript tells what happened; the proxy when each request was made and answered, how many tokens it
took and what it cost; telemetry how long tools say they took. Without a transcript the proxy's record tells it all.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import payloads
from ..adapters.base import Timed
from ..phases import Phases
from ..proxy import Exchange
from .clock import Clock
from .conversation import tell
from .enrich import enriched, request_id_of
from .exchanges import Dialogue, dialogue_of
from .facts import Fact
from .match import Pair, match_answers
from .ordering import in_order
from .telemetry import Attached, Target, attach

__all__ = ["Joined", "Records", "join"]

_LAG = 10.0
"""Seconds by which an agent may write down late that it asked; some write in batches."""


@dataclass(slots=True, kw_only=True)
class Records:
    """What there is of one episode."""

    workdir: str
    trace_id: str = ""
    """The trace that the agent was given."""
    transcript: Sequence[Timed] = ()
    """Events that an adapter made of the agent's own record, by the agent's clock."""
    exchanges: Sequence[Exchange] = ()
    facts: Sequence[Fact] = ()
    samples: Sequence[Timed] = ()


@dataclass(slots=True)
class Joined:
    """The events of the episode in the order in which they ended, and how well its records fit together."""

    events: list[Timed]
    quality: dict[str, Any]


def join(records: Records) -> Joined:
    """Put the records of an episode together."""
    dialogues = [found for one in records.exchanges if (found := dialogue_of(one)) is not None]
    answered = [dialogue for dialogue in dialogues if dialogue.answered]
    answers = [one for one in records.transcript if isinstance(one.payload, payloads.LlmResponse)]
    pairs = match_answers(answers, answered)
    clock = Clock()
    _bound(clock, records.transcript, answers, answered, pairs)
    base = enriched(records.transcript, answers, dialogues, answered, pairs, clock)
    matched = {id(answered[pair.dialogue].exchange) for pair in pairs}
    rest = tell(one for one in records.exchanges if id(one) not in matched)
    base += _left_over(rest, base, own=not records.transcript)
    attached = attach(records.facts, _targets(base, answered, pairs), clock, records.trace_id)
    base = [_with_internal(event, attached) for event in base]
    aside = [*records.samples, *attached.notes, *_refused(records.exchanges), *_offered(answered)]
    events = list(in_order(base, aside, Phases(records.workdir)))
    return Joined(events, _quality(records, answers, answered, pairs, attached, clock))


def _offered(answered: Sequence[Dialogue]) -> list[Timed]:
    """The tools that the agent offered its model: those of the request that offers most."""
    best = max(answered, key=lambda dialogue: len(dialogue.tools), default=None)
    if best is None or not best.tools:
        return []
    note = payloads.Note.of(kind="tools", source="proxy", data={"tools": best.tools})
    return [Timed(payload=note, t_start=best.exchange.t_start)]


def _bound(
    clock: Clock, events: Sequence[Timed], answers: Sequence[Timed], dialogues: Sequence[Dialogue], pairs: list[Pair]
) -> None:
    asked = {one.payload.request_id: one.t_start for one in events if isinstance(one.payload, payloads.LlmRequest)}
    for pair in pairs:
        if pair.by == "order":
            continue
        answer, exchange = answers[pair.answer], dialogues[pair.dialogue].exchange
        sent, said = asked.get(request_id_of(answer)), answer.t_end or answer.t_start
        if sent is not None and sent != said:
            clock.before(sent, exchange.t_start, _LAG)
        clock.after(said, exchange.t_first_byte or exchange.t_start)


def _left_over(events: Sequence[Timed], base: Sequence[Timed], *, own: bool) -> list[Timed]:
    """Events of exchanges that the transcript does not have, numbered after its steps."""
    calls = [one.payload for one in base if isinstance(one.payload, payloads.ToolCall)]
    known = {call.call_id for call in calls if call.call_id}
    first = max((call.step for call in calls), default=-1) + 1
    dropped = {
        one.payload.step
        for one in events
        if isinstance(one.payload, payloads.ToolCall) and one.payload.call_id in known
    }
    numbers = dict[int, int]()
    found = list[Timed]()
    for event in events:
        payload = event.payload
        if isinstance(payload, payloads.ToolCall | payloads.ToolResult):
            if payload.step in dropped:
                continue
            step = numbers.setdefault(payload.step, first + len(numbers))
            event = replace(event, payload=payload.model_copy(update={"step": step}))
        elif isinstance(payload, payloads.LlmRequest) and not own and payload.thread is None:
            event = replace(event, payload=payload.model_copy(update={"thread": "unrecorded"}))
        found.append(event)
    return found


def _targets(base: Sequence[Timed], answered: Sequence[Dialogue], pairs: Sequence[Pair]) -> list[Target]:
    exchanges = {dialogue.exchange.id: dialogue.exchange for dialogue in answered}
    results = {one.payload.step: one for one in base if isinstance(one.payload, payloads.ToolResult)}
    found = list[Target]()
    for event in base:
        match event.payload:
            case payloads.ToolCall() as call:
                done = results.get(call.step)
                end = (done.t_end if done is not None else None) or event.t_end or event.t_start
                ids = frozenset({call.call_id} if call.call_id else ())
                found.append(Target(about="call", ids=ids, name=call.tool, step=call.step, end=end))
            case payloads.LlmResponse() as said:
                extra = said.model_extra or {}
                exchange = exchanges.get(str(extra.get("exchange") or said.request_id))
                ids = {said.request_id, *(value for value in extra.values() if isinstance(value, str))}
                if exchange is not None:
                    ids |= {value for value in (exchange.request_id, exchange.response_id) if value}
                found.append(
                    Target(
                        about="request",
                        ids=frozenset(ids),
                        output_tokens=said.usage.output_tokens,
                        request_id=said.request_id,
                        first_byte=None if exchange is None else exchange.t_first_byte or exchange.t_start,
                        end=event.t_end,
                    )
                )
            case _:
                pass
    return found


def _with_internal(event: Timed, attached: Attached) -> Timed:
    payload = event.payload
    if (
        isinstance(payload, payloads.ToolResult)
        and payload.internal_ms is None
        and payload.step in attached.internal_ms
    ):
        told = payload.model_copy(update={"internal_ms": attached.internal_ms[payload.step]})
        return replace(event, payload=told)
    return event


def _refused(exchanges: Iterable[Exchange]) -> Iterator[Timed]:
    """Exchanges that are no conversation, or were never answered."""
    for one in exchanges:
        dialogue = dialogue_of(one)
        if dialogue is not None and dialogue.answered:
            continue
        kind = one.fault or ("failed_request" if (one.status or 0) >= 400 else one.api or "request")
        data = {"exchange": one.id, "method": one.method, "path": one.path, "status": one.status, "error": one.error}
        yield Timed(
            payload=payloads.Note.of(kind=kind, source="proxy", data=data), t_start=one.t_start, t_end=one.t_end
        )


def _quality(
    records: Records,
    answers: Sequence[Timed],
    answered: Sequence[Dialogue],
    pairs: Sequence[Pair],
    attached: Attached,
    clock: Clock,
) -> dict[str, Any]:
    by = Counter(pair.by for pair in pairs) + attached.by
    lone = len(answers) - len(pairs) + (len(answered) - len(pairs) if answers else 0)
    matched, unmatched = sum(by.values()), lone + attached.unmatched
    return {
        "matched": matched,
        "unmatched": unmatched,
        "share": round(matched / (matched + unmatched), 4) if matched + unmatched else None,
        "by": dict(sorted(by.items())),
        "requests": {
            "matched": len(pairs),
            "only_in_transcript": len(answers) - len(pairs),
            "only_at_proxy": len(answered) - len(pairs),
        },
        "telemetry": {
            "matched": sum(attached.by.values()),
            "unmatched": attached.unmatched,
            "other": attached.other,
            "in_trace": attached.in_trace,
        },
        "clock": clock.as_dict(),
        "sources": {
            "transcript": len(records.transcript),
            "proxy": len(records.exchanges),
            "telemetry": len(records.facts),
            "samples": len(records.samples),
        },
    }
