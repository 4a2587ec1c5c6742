"""Which answer in one record is which in another: by ids, then by content, then by order and time."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from ..adapters.base import Timed
from ..adapters.reading import as_dict, as_str, compact, parse_arguments
from ..payloads import LlmResponse
from .exchanges import Dialogue

__all__ = ["Pair", "match_answers"]

Left = TypeVar("Left")
Right = TypeVar("Right")
_NEAR = 30.0
"""Seconds within which an answer is written down after it came."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An answer of a transcript, by its position, and the exchange it came with."""

    answer: int
    dialogue: int
    by: str
    """`id`, `content` or `order`."""


def match_answers(answers: Sequence[Timed], dialogues: Sequence[Dialogue]) -> list[Pair]:
    """The answers of a transcript that the proxy saw; each is matched once, by the strongest means there is."""
    left, right = list(range(len(answers))), list(range(len(dialogues)))
    found = list[Pair]()

    def by(how: str, mine: Callable[[int], Iterable[Hashable]], theirs: Callable[[int], Iterable[Hashable]]) -> None:
        known = dict[Hashable, list[int]]()
        for index in right:
            for key in theirs(index):
                known.setdefault(key, []).append(index)
        for index in list(left):
            there = next((one for key in mine(index) for one in known.get(key, ()) if one in right), None)
            if there is not None:
                found.append(Pair(index, there, how))
                left.remove(index)
                right.remove(there)

    by("id", lambda i: _ids(answers[i]), lambda i: _exchange_ids(dialogues[i]))
    by("content", lambda i: _content(answers[i]), lambda i: _said(dialogues[i]))
    found += _in_order(answers, dialogues, left, right)
    return sorted(found, key=lambda pair: pair.answer)


def _ids(answer: Timed) -> list[str]:
    said = _response(answer)
    own = [said.request_id, *(value for value in (said.model_extra or {}).values() if isinstance(value, str))]
    return own + [call_id for call in said.tool_calls if (call_id := as_str(call.get("id"))) is not None]


def _exchange_ids(dialogue: Dialogue) -> list[str]:
    one = dialogue.exchange
    ids = [one.id, one.request_id, one.response_id, *(call.id for call in dialogue.calls)]
    return [value for value in ids if value and not value.startswith("call-")]


def _content(answer: Timed) -> list[Hashable]:
    said = _response(answer)
    calls = [_called(call) for call in said.tool_calls]
    return _key(said.content, calls)


def _said(dialogue: Dialogue) -> list[Hashable]:
    return _key(dialogue.content, [(call.name, compact(call.arguments or call.raw)) for call in dialogue.calls])


def _called(call: Any) -> tuple[str, str]:
    record = as_dict(call)
    function = as_dict(record.get("function")) or record
    raw = function.get("arguments", function.get("input", function.get("args")))
    parsed = parse_arguments(raw if raw is not None else {})
    return str(function.get("name")), compact(parsed if parsed is not None else raw)


def _key(content: str | None, calls: Sequence[tuple[str, str]]) -> list[Hashable]:
    text = " ".join((content or "").split())
    return [(text, tuple(calls))] if text or calls else []


def _in_order(
    answers: Sequence[Timed], dialogues: Sequence[Dialogue], left: list[int], right: list[int]
) -> Iterable[Pair]:
    """What is left, first to first: as many on both sides, or near in time."""
    even = len(left) == len(right)
    waiting = sorted(right, key=lambda index: dialogues[index].exchange.t_start)
    for index in left:
        there = next((one for one in waiting if even or _near(answers[index], dialogues[one].exchange.t_end)), None)
        if there is not None:
            waiting.remove(there)
            yield Pair(index, there, "order")


def _near(answer: Timed, end: datetime) -> bool:
    moment = answer.t_end or answer.t_start
    return moment is not None and abs((moment - end).total_seconds()) <= _NEAR


def _response(answer: Timed) -> LlmResponse:
    payload = answer.payload
    assert isinstance(payload, LlmResponse)
    return payload
