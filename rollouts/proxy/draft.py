"""A request under way: what is known of it so far."""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from ...rewards.service.usage import Usage
from ..loopback import Head
from ..payloads import Part
from ..timestamps import now
from .apis.answers import Reading
from .headers import told_of_request, without_key
from .records import Exchange, Fault

__all__ = ["Draft"]

_LONGEST = 1000


@dataclass(slots=True)
class Draft:
    """Fills up while a request is served. Times are those of one clock that never jumps."""

    head: Head
    in_flight: int = 0
    upstream: str | None = None
    api: str | None = None
    model: str | None = None
    stream: bool = False
    status: int | None = None
    fault: Fault | None = None
    error: str | None = None
    answer_headers: dict[str, str] = field(default_factory=dict[str, str])
    first_byte: datetime | None = None
    first_token: datetime | None = None
    parts: tuple[Part, ...] = ()
    request_bytes: int = 0
    response_bytes: int = 0
    events: int = 0
    request: Any = None
    response: Any = None
    reading: Reading = field(default_factory=lambda: Reading(Usage()))
    cost_usd: float | None = None
    sent: bool = False
    """Whether the service was asked."""
    ended: bool = False
    """Whether the service has said its last word: an agent that hangs up then misses nothing."""
    _start: datetime = field(default_factory=now)
    _clock: float = field(default_factory=time.monotonic)

    def moment(self) -> datetime:
        """The time."""
        return self._start + timedelta(seconds=time.monotonic() - self._clock)

    def fail(self, fault: Fault, error: str) -> None:
        """What went wrong first counts."""
        if self.fault is None:
            self.fault, self.error = fault, error

    def hung_up(self, error: str) -> None:
        """The agent closed its connection: a fault unless it had all that there was to say."""
        if not self.ended:
            self.fail("client_gone", error)

    def exchange(self) -> Exchange:
        """What is recorded."""
        end = self.moment()
        path, _, query = self.head.target.partition("?")
        first = self.first_token
        return Exchange(
            id=uuid4().hex,
            t_start=self._start,
            t_first_byte=self.first_byte,
            t_first_token=first,
            t_end=end,
            duration_ms=_ms(end - self._start),
            ttft_ms=None if first is None else _ms(first - self._start),
            upstream=self.upstream,
            api=self.api,
            method=self.head.method[:32],
            path=path[:2048],
            query=without_key(query)[:2048],
            model=_text(self.model),
            answer_model=_text(self.reading.model),
            stream=self.stream,
            status=self.status,
            request_id=self.answer_headers.get("request-id") or self.answer_headers.get("x-request-id"),
            response_id=_text(self.reading.response_id),
            finish_reason=_text(self.reading.finish_reason),
            usage=self.reading.usage,
            cost_usd=self.cost_usd,
            parts=self.parts,
            fault=self.fault,
            error=_text(self.error or self.reading.error),
            headers=told_of_request(self.head.headers),
            answer_headers=self.answer_headers,
            request_bytes=self.request_bytes,
            response_bytes=self.response_bytes,
            events=self.events,
            in_flight=self.in_flight,
            request=self.request,
            response=self.response,
        )


def _text(value: object) -> str | None:
    """What a body gives as a name, if it is one; half a character is none."""
    return value[:_LONGEST].encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _ms(span: timedelta) -> float:
    return round(span.total_seconds() * 1e3, 3)
