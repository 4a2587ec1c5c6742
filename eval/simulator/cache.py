"""A replica's cache of prompts: what running requests hold, and what idle sessions keep while their tools run."""

from dataclasses import dataclass
from math import exp, log

from .config import PolicyConfig
from .sessions import Round

__all__ = ["Cache", "Idle", "Waits"]

_SHORTEST = 1e-3
_PRIOR = 1.0


class Waits:
    """How long waits of each kind were so far: geometric means, since waits span orders of magnitude."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[int, float]] = {}

    def add(self, kind: str, seconds: float) -> None:
        """A wait is over."""
        count, total = self._sums.get(kind, (0, 0.0))
        self._sums[kind] = count + 1, total + log(max(seconds, _SHORTEST))

    def expect(self, kind: str) -> float:
        """Seconds; one second of a kind that was never seen."""
        count, total = self._sums.get(kind, (0, 0.0))
        return exp(total / count) if count else _PRIOR


@dataclass(slots=True)
class Idle:
    """What a session left."""

    tokens: int
    since: float
    back: float
    """When it is expected to be used again."""
    rank: int
    """The session's place in the order of arrival."""

    def remaining(self, now: float) -> float:
        """Seconds until it is used, as expected now. One that is late is expected to be as late again."""
        return self.back - now if now <= self.back else now - self.since


class Cache:
    """Tokens of one replica. Sessions are named by their number."""

    def __init__(self, capacity: int, policy: PolicyConfig, waits: Waits) -> None:
        self.capacity, self.policy, self.waits = capacity, policy, waits
        self.held = 0
        """Tokens of running requests."""
        self.idle: dict[int, Idle] = {}
        self.evictions = 0
        self._kept = 0

    def leave(self, session: int, rank: int, done: Round, now: float) -> None:
        """A request of a session is over, and a wait begins."""
        expected = self._expected(done)
        policy = self.policy
        if policy.cache == "none" or (policy.cache == "tool_aware" and expected > policy.keep_s):
            return
        self.drop(session)
        self.idle[session] = Idle(done.context, now, now + expected, rank)
        self._kept += done.context

    def has(self, session: int, now: float) -> int:
        """Tokens of a session that are still there."""
        found = self.idle.get(session)
        if found is None:
            return 0
        if self.policy.cache == "ttl" and now - found.since > self.policy.ttl_s:
            self.drop(session)
            return 0
        return found.tokens

    def take(self, session: int, rank: int, wanted: Round, now: float, *, busy: bool) -> int | None:
        """Make room for a request; how many of its tokens are there already. None while there is no room.

        Nothing is evicted in vain: when there is no room, everything stays.
        """
        cached = min(self.has(session, now), wanted.prefix)
        mine = self.idle.get(session)
        own = mine.tokens if mine is not None else 0
        lacking = wanted.context - (self.capacity - self.held - self._kept + own)
        victims = list[int]()
        if lacking > 0:
            for victim in self._victims(session, rank, now, busy):
                victims.append(victim)
                lacking -= self.idle[victim].tokens
                if lacking <= 0:
                    break
            else:
                return None
        for victim in victims:
            self.drop(victim)
            self.evictions += 1
        self.drop(session)
        self.held += wanted.context
        return cached

    def free(self, tokens: int) -> None:
        """A request lets go of its tokens."""
        self.held -= tokens

    def drop(self, session: int) -> None:
        """Forget what a session left."""
        found = self.idle.pop(session, None)
        if found is not None:
            self._kept -= found.tokens

    def _expected(self, done: Round) -> float:
        match self.policy.wait:
            case "oracle":
                return done.wait
            case "predictor" if done.expected is not None:
                return done.expected
            case _:
                return self.waits.expect(done.kind)

    def _victims(self, session: int, rank: int, now: float, busy: bool) -> list[int]:
        """Whose tokens go first."""
        others = [(number, idle) for number, idle in self.idle.items() if number != session]
        if self.policy.cache != "tool_aware":
            return [one[0] for one in sorted(others, key=lambda one: (one[1].since, one[0]))]
        if self.policy.pin and busy:
            others = [(n, idle) for n, idle in others if idle.rank > rank or now > idle.back + self.policy.keep_s]
        # What an entry is worth: seconds of prefill saved for each token-second held, n / (n * remaining). The size
        # cancels, so the one expected back last goes first.
        return [one[0] for one in sorted(others, key=lambda one: (-one[1].remaining(now), one[0]))]
