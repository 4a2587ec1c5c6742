"""A transcript's events with what the proxy knows of their requests: times, tokens, costs, tries that failed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .. import payloads
from ..adapters.base import Timed
from ..proxy import Exchange
from .clock import Clock
from .conversation import attempts_of, response_of
from .exchanges import Dialogue
from .match import Pair

__all__ = ["enriched", "request_id_of"]


def enriched(
    events: Sequence[Timed],
    answers: Sequence[Timed],
    dialogues: Sequence[Dialogue],
    answered: Sequence[Dialogue],
    pairs: Sequence[Pair],
    clock: Clock,
) -> list[Timed]:
    """The transcript's events by our clock, with what the proxy knows of its requests."""
    seen = {request_id_of(answers[pair.answer]): (answered[pair.dialogue], pair.by) for pair in pairs}
    found = list[Timed]()
    for event in events:
        dialogue, by = seen.get(request_id_of(event), (None, ""))
        moved = replace(event, t_start=clock.ours(event.t_start), t_end=clock.ours(event.t_end))
        if dialogue is not None:
            moved = _told(moved, dialogue, by, _failed(dialogue, dialogues))
        found.append(moved)
    return found


def _failed(dialogue: Dialogue, dialogues: Sequence[Dialogue]) -> list[Exchange]:
    """Earlier exchanges that said the same and were not answered."""
    marks, start = dialogue.marks, dialogue.exchange.t_start
    tries = (one for one in dialogues if not one.answered and one.exchange.t_start < start)
    return [one.exchange for one in tries if one.marks == marks]


def _told(event: Timed, dialogue: Dialogue, by: str, failed: Sequence[Exchange]) -> Timed:
    exchange, payload = dialogue.exchange, event.payload
    if isinstance(payload, payloads.LlmRequest):
        update: dict[str, Any] = {
            "endpoint": exchange.path,
            "parameters": {**dialogue.parameters, **payload.parameters},
        }
        if payload.model == "unknown" and exchange.model:
            update["model"] = exchange.model
        return Timed(payload=payload.model_copy(update=update), t_start=exchange.t_start)
    assert isinstance(payload, payloads.LlmResponse)
    seen = response_of(dialogue, failed)
    names = ("model", "finish_reason", "cost_usd", "time_to_first_token_ms", "content", "reasoning")
    update = {name: getattr(seen, name) for name in names if getattr(payload, name) is None}
    if payload.cost_usd == 0:
        update["cost_usd"] = seen.cost_usd  # agents write 0 where they know no price
    update["usage"] = _usage(payload.usage, seen.usage)
    update["parts"] = payload.parts or seen.parts
    update["failed_attempts"] = payload.failed_attempts or attempts_of(failed)
    update |= {"exchange": exchange.id, "joined_by": by}
    return Timed(payload=payload.model_copy(update=update), t_start=exchange.t_start, t_end=exchange.t_end)


def _usage(theirs: payloads.Usage, ours: payloads.Usage) -> payloads.Usage:
    """What the agent recorded, completed by what the service said."""
    known = {name: value for name, value in theirs.model_dump().items() if value is not None}
    return payloads.Usage(**{**ours.model_dump(), **known})


def request_id_of(event: Timed) -> str:
    """The id of an event's request; empty for other events."""
    payload = event.payload
    return payload.request_id if isinstance(payload, payloads.LlmRequest | payloads.LlmResponse) else ""
