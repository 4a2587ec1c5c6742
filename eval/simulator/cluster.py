"""The simulation: sessions arrive, their requests are served, their tools run, until all are done."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np

from ...errors import UsageError
from .cache import Cache, Waits
from .config import Closed, Cluster, Poisson, PolicyConfig, SimulatorConfig
from .replica import Replica, Request
from .sessions import Session

__all__ = ["Outcome", "arrive", "ideal_seconds", "simulate"]


@dataclass(slots=True)
class Outcome:
    """What one simulation came to."""

    completion: list[float] = field(default_factory=list[float])
    """Seconds from arrival to the last answer, by session in the order of completion."""
    slowdown: list[float] = field(default_factory=list[float])
    """The same over what the session takes alone, with a cache that forgets nothing."""
    queued: float = 0.0
    """Seconds that requests waited for a place."""
    requests: int = 0
    prompt_tokens: int = 0
    prefix_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    evictions: int = 0
    end: float = 0.0
    """When the last answer was complete."""


def ideal_seconds(session: Session, cluster: Cluster) -> float:
    """How long a session takes alone, when everything that could be cached is."""
    rounds = session.rounds
    waits = sum(one.wait for one in rounds[:-1])
    own = sum(one.fresh / cluster.prefill_tokens_per_s + one.output * cluster.decode_step(1) for one in rounds)
    return waits + own + rounds[0].prefix / cluster.prefill_tokens_per_s


def arrive(sessions: Sequence[Session], config: SimulatorConfig, seed: int) -> list[tuple[float, Session]]:
    """When which session begins; in a closed system those after the first ones begin when others end (`inf`)."""
    arrivals, random = config.arrivals, np.random.default_rng(seed)
    if isinstance(arrivals, Poisson):
        drawn = random.integers(len(sessions), size=arrivals.sessions)
        times = np.cumsum(random.exponential(60 / arrivals.per_minute, arrivals.sessions))
        return [(float(when), sessions[i]) for when, i in zip(times, drawn, strict=True)]
    if isinstance(arrivals, Closed):
        drawn = random.integers(len(sessions), size=arrivals.sessions)
        return [(0.0 if place < arrivals.at_once else inf, sessions[i]) for place, i in enumerate(drawn)]
    return [(session.arrival / arrivals.speed, session) for session in sessions]


def simulate(work: Sequence[tuple[float, Session]], cluster: Cluster, policy: PolicyConfig) -> Outcome:
    """Serve all sessions of `work`. Raises UsageError for a request that no cache could ever hold."""
    largest = max((one.context for _, session in work for one in session.rounds), default=0)
    if largest > cluster.kv_tokens:
        raise UsageError(f"a request holds {largest} tokens, the cache {cluster.kv_tokens}: raise cluster.kv_tokens")
    return _Simulation(work, cluster, policy).run()


class _Simulation:
    """One run of the clock."""

    def __init__(self, work: Sequence[tuple[float, Session]], cluster: Cluster, policy: PolicyConfig) -> None:
        self._work, self._cluster, self._policy = work, cluster, policy
        self._waits = Waits()
        self._replicas = [
            Replica(cluster, Cache(cluster.kv_tokens, policy, self._waits)) for _ in range(cluster.replicas)
        ]
        self._events: list[tuple[float, int, int]] = []
        """When which round of which session is asked for."""
        self._later = iter([number for number, (when, _) in enumerate(work) if when == inf])
        self._began: dict[int, float] = {}
        self._rank: dict[int, int] = {}
        self._attained: dict[int, float] = {}
        self._home: dict[int, int] = {}
        self._out = Outcome()
        for number, (when, _) in enumerate(work):
            if when < inf:
                heapq.heappush(self._events, (when, number, 0))

    def run(self) -> Outcome:
        """Until everything is done."""
        while True:
            when = self._events[0][0] if self._events else inf
            replica = min(self._replicas, key=Replica.next_event)
            soonest = replica.next_event()
            if when == soonest == inf:
                break
            if when <= soonest:
                self._ask(*heapq.heappop(self._events))
            else:
                self._advance(replica, soonest)
        self._out.evictions = sum(replica.cache.evictions for replica in self._replicas)
        return self._out

    def _advance(self, replica: Replica, until: float) -> None:
        place = self._replicas.index(replica)

        def done(request: Request) -> None:
            self._done(request, place, until)

        replica.advance(until, done)
        replica.start()

    def _ask(self, when: float, session: int, number: int) -> None:
        if number == 0:
            self._began[session], self._rank[session], self._attained[session] = when, len(self._rank), 0.0
        else:
            before = self._work[session][1].rounds[number - 1]
            self._waits.add(before.kind, before.wait)
        request = Request(session, number, self._work[session][1].rounds[number], self._rank[session], when)
        place = self._place(session, when)
        self._home[session] = place
        replica = self._replicas[place]
        self._advance(replica, when)
        replica.ask(request, self._priority(session, when))
        replica.start()

    def _place(self, session: int, now: float) -> int:
        """The replica for a session's next request."""
        home = self._home.get(session)
        if self._cluster.routing == "sticky" and home is not None and self._replicas[home].cache.has(session, now):
            return home
        return min(range(len(self._replicas)), key=lambda place: (self._replicas[place].load, place))

    def _priority(self, session: int, now: float) -> float:
        match self._policy.scheduling:
            case "program":
                return self._rank[session]
            case "least_attained":
                return self._attained[session]
            case _:
                return now

    def _done(self, request: Request, place: int, now: float) -> None:
        out, session, one = self._out, request.session, request.round
        out.requests += 1
        out.queued += request.started - request.asked
        out.prompt_tokens += one.prompt
        out.prefix_tokens += one.prefix
        out.cached_tokens += request.cached
        out.output_tokens += one.output
        self._attained[session] += now - request.started
        rounds = self._work[session][1].rounds
        if request.number + 1 < len(rounds):
            self._replicas[place].cache.leave(session, request.rank, one, now)
            heapq.heappush(self._events, (now + one.wait, session, request.number + 1))
            return
        took = now - self._began[session]
        out.completion.append(took)
        out.slowdown.append(took / max(ideal_seconds(self._work[session][1], self._cluster), 1e-9))
        out.end = now
        following = next(self._later, None)
        if following is not None:
            heapq.heappush(self._events, (now, following, 0))
