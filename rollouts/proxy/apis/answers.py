"""Answers of each API: which one a stream is put together by, and what a whole one says."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ....rewards.service.usage import Usage
from ..upstream import Dialect
from .anthropic import Messages, read_anthropic
from .base import BROKEN, Answer, Json, Reading, message_of, obj
from .gemini import Contents, read_gemini
from .openai import Choices, Responses, read_openai

__all__ = ["Answer", "Reading", "answer_of", "read_answer"]


class _Unknown(Answer):
    """A stream of which only events are counted."""

    def _take(self, event: Json, at: datetime) -> None:
        if self.parts.first is None:
            self.parts.first = at

    def whole(self) -> Json | None:
        return None


_STREAMS: dict[Dialect, type[Answer]] = {
    "openai.chat": Choices,
    "openai.completions": Choices,
    "openai.responses": Responses,
    "anthropic.messages": Messages,
    "gemini.generate": Contents,
}
_READERS: dict[str, Callable[[Dialect, Json], Reading]] = {
    "openai": read_openai,
    "anthropic": read_anthropic,
    "gemini": read_gemini,
    "other": read_openai,
}


def answer_of(dialect: Dialect) -> Answer:
    """A stream of that API, nothing of which has come."""
    return _STREAMS.get(dialect, _Unknown)()


def read_answer(dialect: Dialect, body: Any) -> Reading:
    """What a whole answer says: usage, model, id, why it ended, what went wrong. None for what it does not say."""
    found = obj(body)
    error = message_of(found) if found.get("error") else None
    try:
        reading = _READERS[dialect.partition(".")[0]](dialect, found)
    except BROKEN:
        return Reading(Usage(), error=error)  # an answer in another form says nothing
    return Reading(reading.usage, reading.model, reading.response_id, reading.finish_reason, error)
