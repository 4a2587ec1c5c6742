"""An episode told by the proxy's record alone: requests, answers and tool calls from what was sent and received.

A request holds the whole conversation so far, so what a tool returned is found in the request after its call; the call
is timed from the end of the answer that made it to the request that brings its result.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter

from .. import payloads
from ..adapters.base import Timed
from ..payloads import RequestAttempt
from ..proxy import Exchange
from .exchanges import Call, Dialogue, dialogue_of

__all__ = ["Thread", "attempts_of", "request_of", "response_of", "tell", "threads_of"]


@dataclass(slots=True)
class Thread:
    """Requests that go on with one conversation, in order."""

    dialogues: list[Dialogue] = field(default_factory=list[Dialogue])
    kept: list[int] = field(default_factory=list[int])
    """How many messages each has in common with the one before that was answered."""
    marks: list[str] = field(default_factory=list[str])
    """Of the last request."""
    sent: list[str] = field(default_factory=list[str])
    """Of the last that was answered."""
    name: str | None = None
    """None for the episode's own conversation."""

    def take(self, dialogue: Dialogue, marks: list[str]) -> None:
        """The next request of this conversation."""
        self.dialogues.append(dialogue)
        self.kept.append(common(self.sent, marks))
        self.marks = marks
        if dialogue.answered:
            self.sent = marks


def common(mine: Sequence[str], theirs: Sequence[str]) -> int:
    """How many messages two conversations have in common, from the first."""
    return next((n for n, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs)))


def threads_of(dialogues: Iterable[Dialogue]) -> list[Thread]:
    """Requests sorted into conversations. The one with the most tool calls is the episode's own, and the first."""
    threads = list[Thread]()
    for dialogue in sorted(dialogues, key=lambda one: one.exchange.t_start):
        marks = dialogue.marks
        instructions = sum(message.get("role") in ("system", "developer") for message in dialogue.messages[:2])
        shared, best = max(((common(one.marks, marks), one) for one in threads), key=itemgetter(0), default=(0, None))
        if best is None or shared <= instructions:  # what all requests of an agent share is no common conversation
            best = Thread()
            threads.append(best)
        best.take(dialogue, marks)
    threads.sort(key=lambda thread: (-_calls(thread), -len(thread.dialogues), thread.dialogues[0].exchange.t_start))
    for number, thread in enumerate(threads[1:], 1):
        thread.name = f"side-{number}"
    return threads


def _calls(thread: Thread) -> int:
    return sum(len(dialogue.calls) for dialogue in thread.dialogues)


def tell(exchanges: Iterable[Exchange]) -> list[Timed]:
    """The events of an episode, in the order in which things ended."""
    threads = threads_of(found for one in exchanges if (found := dialogue_of(one)) is not None)
    told = [(event, thread) for thread in threads for event in _tell(thread)]
    told.sort(key=lambda pair: pair[0].t_end or pair[0].t_start or datetime.min)
    steps = dict[tuple[int, int], int]()
    return [_numbered(event, id(thread), steps) for event, thread in told]


def _numbered(event: Timed, thread: int, steps: dict[tuple[int, int], int]) -> Timed:
    """The event with the number that its step has in the episode, instead of that in its conversation."""
    payload = event.payload
    if not isinstance(payload, payloads.ToolCall | payloads.ToolResult):
        return event
    step = steps.setdefault((thread, payload.step), len(steps))
    renumbered = payload.model_copy(update={"step": step})
    return Timed(payload=renumbered, t_start=event.t_start, t_end=event.t_end, duration_ms=event.duration_ms)


def _tell(thread: Thread) -> Iterator[Timed]:
    waiting = dict[str, tuple[int, Call, datetime]]()
    steps, failed = 0, list[Exchange]()
    for dialogue, kept in zip(thread.dialogues, thread.kept, strict=True):
        exchange = dialogue.exchange
        for call_id in [key for key in waiting if key in dialogue.results]:
            step, call, since = waiting.pop(call_id)
            yield _result(step, call, dialogue, since)
        if not dialogue.answered:
            failed.append(exchange)
            continue
        yield Timed(payload=request_of(dialogue, kept, thread.name), t_start=exchange.t_start)
        yield Timed(payload=response_of(dialogue, failed), t_start=exchange.t_start, t_end=exchange.t_end)
        failed = []
        for call in dialogue.calls:
            yield Timed(payload=_tool_call(steps, call, dialogue), t_start=exchange.t_end)
            waiting[call.id] = (steps, call, exchange.t_end)
            steps += 1


def request_of(dialogue: Dialogue, kept: int, thread: str | None) -> payloads.LlmRequest:
    """The request of an exchange; messages that the one before in its conversation held are left out."""
    exchange = dialogue.exchange
    return payloads.LlmRequest.of(
        request_id=exchange.id,
        model=exchange.model or exchange.answer_model or "unknown",
        endpoint=exchange.path,
        kept_messages=kept,
        messages=tuple(dialogue.messages[kept:]),
        parameters=dialogue.parameters,
        thread=thread,
    )


def response_of(dialogue: Dialogue, failed: Sequence[Exchange] = ()) -> payloads.LlmResponse:
    """The answer of an exchange, after tries that failed."""
    exchange = dialogue.exchange
    return payloads.LlmResponse.of(
        request_id=exchange.id,
        model=exchange.answer_model,
        content=dialogue.content,
        reasoning=dialogue.reasoning,
        tool_calls=tuple(call.as_openai for call in dialogue.calls),
        finish_reason=exchange.finish_reason,
        usage=exchange.usage,
        cost_usd=exchange.cost_usd,
        time_to_first_token_ms=exchange.ttft_ms,
        parts=exchange.parts,
        failed_attempts=attempts_of(failed),
    )


def attempts_of(failed: Sequence[Exchange]) -> tuple[RequestAttempt, ...]:
    """Exchanges without an answer, as tries of the request that came after them."""
    return tuple(
        RequestAttempt(status=one.status, error=one.error or one.fault, duration_ms=one.duration_ms) for one in failed
    )


def _tool_call(step: int, call: Call, dialogue: Dialogue) -> payloads.ToolCall:
    return payloads.ToolCall.of(
        step=step,
        tool=call.name if call.arguments is not None else None,
        arguments=call.arguments or {},
        action=call.raw,
        thought=dialogue.content,
        malformed=call.arguments is None or not call.name,
        call_id=call.id or None,
        request_id=dialogue.exchange.id,
    )


def _result(step: int, call: Call, dialogue: Dialogue, since: datetime) -> Timed:
    told = dialogue.results[call.id]
    payload = payloads.ToolResult.of(
        step=step,
        tool=call.name if call.arguments is not None else None,
        ok=not told.failed,
        error="failed" if told.failed else None,
        observation=told.text,
    )
    return Timed(payload=payload, t_start=since, t_end=max(since, dialogue.exchange.t_start))
