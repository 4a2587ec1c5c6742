"""The requests of an episode: each answer with what it cost in time, tokens and money."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...rewards.service.usage import PriceTable, Usage
from .. import payloads
from ..events import LlmRequestEvent, LlmResponseEvent
from .clock import Stretch, micros, milliseconds
from .costs import by_kind
from .timing import Timing

__all__ = ["Requests", "known"]

_NOT_A_PERSON = ("isMeta", "isCompactSummary", "isVisibleInTranscriptOnly")
_Row = dict[str, Any]


class Requests:
    """Follows one episode's requests."""

    def __init__(self, timing: Timing, prices: PriceTable, model: str | None) -> None:
        self._timing, self._prices, self._model = timing, prices, model
        self.rows: list[_Row] = []
        self.usage = Usage()
        self.priced = False
        """A cost comes from the price table."""
        self._asked: dict[str, LlmRequestEvent] = {}
        self._index: dict[str, int] = {}
        self._heard: list[int | None] = []
        """When the last message of a person of each request came."""
        self._steps: list[int] = []
        self._last: dict[str | None, int] = {}
        self._compacted = False

    def ask(self, event: LlmRequestEvent) -> None:
        """A model is asked."""
        self._asked[event.payload.request_id] = event

    def compact(self) -> None:
        """The conversation was summarised: the next prompt repeats little of the one before."""
        self._compacted = True

    def answer(self, event: LlmResponseEvent) -> None:
        """It answered."""
        said = event.payload
        asked = self._asked.pop(said.request_id, None)
        usage = said.usage
        self.usage = self.usage.plus(usage)
        index = len(self.rows)
        self._index[said.request_id] = index
        question = asked.payload if asked is not None else None
        model = known(said.model) or known(question.model if question is not None else None) or self._model
        began = event.t_start if event.t_end > event.t_start or asked is None else asked.t_start
        row: _Row = {
            "request": index,
            "request_id": said.request_id,
            "thread": question.thread if question is not None else None,
            "model": model,
            "t_start": self._timing.moment(began),
            "t_end": self._timing.moment(event.t_end),
            "model_ms": self._timing.duration(began, event),
            "ttft_ms": said.time_to_first_token_ms,
            "input_tokens": usage.input_tokens,
            "cached_tokens": usage.cached_input_tokens,
            "cache_creation_tokens": usage.cache_creation_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "repeated_tokens": usage.repeated_input_tokens,
            "cost_usd": self._cost(said, model),
            **by_kind(self._prices, model, usage),
            "tool_calls": len(said.tool_calls),
            "input_chars": _input_chars(question),
            "output_chars": _output_chars(said),
            "finish_reason": said.finish_reason,
            "failed_attempts": len(said.failed_attempts),
        }
        self.rows.append(row)
        self._steps.append(0)
        self._follow(row, question)

    def _cost(self, said: payloads.LlmResponse, model: str | None) -> float | None:
        if said.cost_usd is not None:
            return said.cost_usd
        price = self._prices.price(model)
        cost = price.cost(said.usage) if price is not None else None
        self.priced = self.priced or cost is not None
        return cost

    def _follow(self, row: _Row, question: payloads.LlmRequest | None) -> None:
        """What follows from the request before in the same conversation."""
        index, last = row["request"], self._last.get(row["thread"])
        before = self.rows[last] if last is not None else None
        answered = last is not None and not (self.rows[last]["tool_calls"] or self._steps[last])
        self._last[row["thread"]] = index
        people, heard = _people(question, first=before is None, answered=answered)
        row["user_messages"] = people if row["thread"] is None else 0
        self._heard.append(heard)
        if before is None:
            row["repeated_tokens"] = row["repeated_tokens"] or 0
        elif row["repeated_tokens"] is None and not self._compacted:
            row["repeated_tokens"] = _repeated(before, row)
        self._compacted = self._compacted and row["thread"] is not None
        if before is not None and before["t_end"] is not None and row["t_start"] is not None:
            row["gap_ms"] = max(milliseconds(micros(row["t_start"]) - micros(before["t_end"])), 0.0)

    def step(self, step: int, request_id: str | None) -> int | None:
        """The request whose answer led to a step: the one that is named, else the last one."""
        index = self._index.get(request_id) if request_id is not None else len(self.rows) - 1
        if index is None or index < 0:
            return None
        self.rows[index].setdefault("first_step", step)
        self._steps[index] += 1
        return index

    def finish(self, *, people: bool) -> list[Stretch]:
        """Complete the rows; the stretches in which a person was waited for (none where nobody could be)."""
        waits, last = list[Stretch](), dict[str | None, int]()
        for index, row in enumerate(self.rows):
            row["tool_calls"] = max(row["tool_calls"], self._steps[index])
            before = last.get(row["thread"])
            last[row["thread"]] = index
            if row.get("gap_ms") is None or before is None:
                continue
            row["human_ms"] = 0.0
            earlier = self.rows[before]
            if people and row["thread"] is None and not earlier["tool_calls"] and row["user_messages"]:
                begin, end = micros(earlier["t_end"]), micros(row["t_start"])
                heard = self._heard[index]
                end = min(max(heard, begin), end) if heard is not None else end
                row["human_ms"] = milliseconds(max(end - begin, 0))
                waits.append((begin, end))
        return waits

    def stretches(self, *, subagents: bool) -> list[Stretch]:
        """When a model was at work: for subagents, or for the episode's own conversation."""
        found = [row for row in self.rows if (row["thread"] is not None) == subagents and row["t_start"] is not None]
        return [(micros(row["t_start"]), micros(row["t_end"])) for row in found]


def known(name: str | None) -> str | None:
    """A name, unless it only says that nobody knows it."""
    return name if name and name != "unknown" else None


def _repeated(before: _Row, row: _Row) -> int | None:
    """At most all that the request before and its answer were, as far as tokens were counted."""
    counts = (before["input_tokens"], before["output_tokens"], row["input_tokens"])
    return None if None in counts else min(counts[0] + counts[1], counts[2])


def _people(question: payloads.LlmRequest | None, *, first: bool, answered: bool) -> tuple[int, int | None]:
    """Messages of a person in a request, and when the last of them came."""
    if question is None:
        return 0, None
    if question.parts:
        parts = [part for part in question.parts if part.kind == "user_message" and not _by_program(part)]
        heard = [micros(part.at) for part in parts if part.at is not None]
        return len(parts), max(heard, default=None)
    said = sum(message.get("role") == "user" for message in question.messages)
    if first:
        return min(said, 1), None
    return (said if answered else 0), None


def _by_program(part: payloads.Part) -> bool:
    extra = part.model_extra or {}
    return any(extra.get(name) for name in _NOT_A_PERSON)


def _input_chars(question: payloads.LlmRequest | None) -> int | None:
    if question is None or not question.messages:
        return None
    return sum(_chars(message.get("content")) for message in question.messages)


def _chars(content: object) -> int:
    """Length of the text in a message's content, which may be made of pieces."""
    if isinstance(content, str):
        return len(content)
    if isinstance(content, Mapping):
        piece = cast("Mapping[str, Any]", content)
        return sum(_chars(piece[name]) for name in ("text", "content", "thinking", "output") if name in piece)
    if isinstance(content, Sequence):
        return sum(_chars(piece) for piece in cast("Sequence[object]", content))
    return 0


def _output_chars(said: payloads.LlmResponse) -> int:
    calls = sum(len(_arguments(call)) for call in said.tool_calls)
    return len(said.content or "") + len(said.reasoning or "") + calls


def _arguments(call: Mapping[str, Any]) -> str:
    function: object = call.get("function")
    inner = cast("Mapping[str, Any]", function) if isinstance(function, Mapping) else call
    value: object = inner.get("arguments", inner.get("input", ""))
    return value if isinstance(value, str) else str(value)
