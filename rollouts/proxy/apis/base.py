"""What answers of all APIs have in common: what they say of themselves, and streams of which one is put together."""

import json
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from ....rewards.service.usage import Usage
from ...payloads import Part

__all__ = ["BROKEN", "Answer", "Json", "Parts", "Reading", "message_of", "obj", "objs"]

Json = dict[str, Any]
BROKEN = (TypeError, AttributeError, KeyError, ValueError, IndexError)
"""What reading JSON of another form than expected raises."""


def obj(value: Any) -> Json:
    """An object, or an empty one for everything else."""
    return cast("Json", value) if isinstance(value, dict) else {}


def objs(value: Any) -> list[Json]:
    """The objects of a list; none of everything else."""
    return (
        [cast("Json", item) for item in cast("list[Any]", value) if isinstance(item, dict)]
        if isinstance(value, list)
        else []
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says of itself."""

    usage: Usage
    model: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    error: str | None = None


class Parts:
    """Pieces of a stream in their order, each with the time of its last bit."""

    def __init__(self) -> None:
        self._found = list[tuple[object, Part]]()
        self.first: datetime | None = None

    def note(self, key: object, kind: str, text: str, at: datetime, call_id: str | None = None) -> None:
        """A bit of the piece `key` came."""
        if self.first is None and (text or kind == "tool_call"):
            self.first = at
        if self._found and self._found[-1][0] == key:
            part = self._found.pop()[1]
            call_id, text_length = call_id or part.call_id, (part.chars or 0) + len(text)
        else:
            text_length = len(text)
        if text_length or kind == "tool_call":
            self._found.append((key, Part(kind=kind, at=at, chars=text_length, call_id=call_id)))

    @property
    def all(self) -> tuple[Part, ...]:
        """All of them."""
        return tuple(part for _, part in self._found)


class Answer(ABC):
    """A streamed answer in the making."""

    def __init__(self) -> None:
        self.parts = Parts()
        self.events = 0
        self.error: str | None = None
        """What the service said went wrong in the middle of the stream."""

    def feed(self, data: bytes, at: datetime) -> Json | None:
        """Take one event; what it says, None when that is no object."""
        self.events += 1
        try:
            event: Any = json.loads(data)
        except (ValueError, RecursionError):
            return None
        if not isinstance(event, dict):
            return None
        found = cast("Json", event)
        if found.get("error"):
            self.error = message_of(found)
        with suppress(*BROKEN):
            self._take(found, at)  # an event that is not of the API's form is passed on like every other
        return found

    @abstractmethod
    def _take(self, event: Json, at: datetime) -> None: ...

    @abstractmethod
    def whole(self) -> Json | None:
        """The answer, as far as it came, in the form without streaming; None when nothing came."""
        ...


def message_of(body: Json) -> str:
    """What an error says; at most 500 characters."""
    error: Any = body.get("error", body)
    if isinstance(error, dict):
        found = cast("Json", error)
        kind, said = found.get("type") or found.get("code") or found.get("status"), found.get("message")
        return f"{kind}: {said}"[:500]
    return str(error)[:500]
