"""A replica: prompts one after another, answers together, both at once share its time.

A fluid model between events: a replica works on one prompt at a time at a fixed rate, and adds a token to every running
answer in `decode_step(n)` seconds. Progress of answers is one counter for all, so an event costs the logarithm of their
number.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from .cache import Cache
from .config import Cluster
from .sessions import Round

__all__ = ["Replica", "Request"]

_CLOSE = 1e-9
_ROUNDING = 1e-15
"""Relative; without it a clock that has run for months could stand still just before an event."""


@dataclass(slots=True)
class Request:
    """A round of a session that was asked for."""

    session: int
    number: int
    round: Round
    rank: int
    """Of the session, in the order of arrival."""
    asked: float
    started: float = inf
    cached: int = 0
    left: float = 0.0
    """Prompt tokens that are still to be read."""


@dataclass(slots=True)
class Replica:
    """One of them."""

    cluster: Cluster
    cache: Cache
    now: float = 0.0
    waiting: list[tuple[float, int, Request]] = field(default_factory=list[tuple[float, int, Request]])
    prefilling: Request | None = None
    _decoding: list[tuple[float, int, Request]] = field(default_factory=list[tuple[float, int, Request]])
    _progress: float = 0.0
    """Tokens that a request which always ran would have got."""
    _count: int = 0

    @property
    def load(self) -> int:
        """Requests that wait or run."""
        return len(self.waiting) + self.running

    @property
    def running(self) -> int:
        """Requests that hold a place in the batch."""
        return len(self._decoding) + (self.prefilling is not None)

    def ask(self, request: Request, priority: float) -> None:
        """Wait for a place; the least priority is served first, of equals the one that came first."""
        self._count += 1
        heapq.heappush(self.waiting, (priority, self._count, request))

    def next_event(self) -> float:
        """When the next prompt or answer will be complete, if nothing else happens."""
        prefill, decode = self._rates()
        when = inf
        if self.prefilling is not None:
            when = self.now + self.prefilling.left / prefill
        if self._decoding and decode > 0:
            when = min(when, self.now + max(0.0, self._decoding[0][0] - self._progress) / decode)
        return when

    def advance(self, until: float, done: Callable[[Request], None]) -> None:
        """Work until then, at most to the next event; `done` hears of each answer that is complete."""
        prefill, decode = self._rates()
        spent = until - self.now
        self.now = until
        if self.prefilling is not None:
            self.prefilling.left -= spent * prefill
        self._progress += spent * decode if self._decoding else 0.0
        close = max(_CLOSE, _ROUNDING * self.now)
        if self.prefilling is not None and self.prefilling.left <= close * max(1.0, prefill):
            self._decode(self.prefilling)
            self.prefilling = None
        small = max(close * max(1.0, decode), _ROUNDING * self._progress)
        while self._decoding and self._decoding[0][0] - self._progress <= small:
            request = heapq.heappop(self._decoding)[2]
            self.cache.free(request.round.context)
            done(request)

    def start(self) -> None:
        """Take requests in, as far as there are places and room."""
        while self.waiting and self.prefilling is None and self.running < self.cluster.batch:
            request = self.waiting[0][2]
            cached = self.cache.take(request.session, request.rank, request.round, self.now, busy=self.running > 0)
            if cached is None:
                return
            heapq.heappop(self.waiting)
            request.started, request.cached = self.now, cached
            request.left = float(request.round.prompt - cached)
            if request.left == 0 or self.cluster.prefill_tokens_per_s == inf:
                self._decode(request)
            else:
                self.prefilling = request

    def _decode(self, request: Request) -> None:
        self._count += 1
        heapq.heappush(self._decoding, (self._progress + request.round.output, self._count, request))

    def _rates(self) -> tuple[float, float]:
        """Prompt tokens a second, and tokens a second of every answer."""
        cluster, running = self.cluster, len(self._decoding)
        both = self.prefilling is not None and running > 0
        share = cluster.prefill_share if both else 1.0
        step = cluster.decode_step(running) if running else 1.0
        decode = (1 - share if both else 1.0) / step if step > 0 else 1 / _CLOSE
        return cluster.prefill_tokens_per_s * share, decode
