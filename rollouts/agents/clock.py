"""How far an agent's clock is from ours, as far as cause and effect tell.

What an agent records before it asks cannot be later than the proxy's receipt, and what it records of an answer cannot
be earlier than the answer's first byte. Each such pair bounds the offset from one side (Marzullo's intersection). The
agent's times are moved only where leaving them as they are would contradict cause and effect; then by the bound from
above, which the answer that was written down soonest gives.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

__all__ = ["Clock"]


@dataclass(slots=True)
class Clock:
    """The agent's clock minus ours, in seconds."""

    lower: float | None = None
    """It is at least that much ahead."""
    upper: float | None = None
    """It is at most that much ahead."""
    pairs: int = 0
    _pairs: list[tuple[datetime, datetime, bool]] = field(default_factory=list[tuple[datetime, datetime, bool]])

    def before(self, theirs: datetime | None, ours: datetime | None, slack: float = 0.0) -> None:
        """Something of theirs happened before something of ours, but may have been written down `slack` s later."""
        if theirs is not None and ours is not None:
            theirs -= timedelta(seconds=slack)
            bound = (theirs - ours).total_seconds()
            self.lower = bound if self.lower is None else max(self.lower, bound)
            self._pairs.append((theirs, ours, True))
            self.pairs += 1

    def after(self, theirs: datetime | None, ours: datetime | None) -> None:
        """Something of theirs happened after something of ours."""
        if theirs is not None and ours is not None:
            bound = (theirs - ours).total_seconds()
            self.upper = bound if self.upper is None else min(self.upper, bound)
            self._pairs.append((theirs, ours, False))
            self.pairs += 1

    @property
    def offset(self) -> float:
        """By how much their times are moved: 0 when that contradicts nothing, else what the least delay says."""
        lower, upper = self.lower, self.upper
        wrong = (lower is not None and lower > 0) or (upper is not None and upper < 0)
        best = upper if upper is not None else lower
        return round(best, 6) if wrong and best is not None else 0.0

    def ours(self, theirs: datetime | None) -> datetime | None:
        """A moment of their clock by ours."""
        return None if theirs is None else theirs - timedelta(seconds=self.offset)

    def as_dict(self) -> dict[str, Any]:
        """For the log; bounds in milliseconds."""
        offset = self.offset
        wrong = sum((t - o).total_seconds() > offset if b else (t - o).total_seconds() < offset
                    for t, o, b in self._pairs)  # fmt: skip
        return {
            "offset_ms": round(offset * 1e3, 3),
            "at_least_ms": None if self.lower is None else round(self.lower * 1e3, 3),
            "at_most_ms": None if self.upper is None else round(self.upper * 1e3, 3),
            "pairs": self.pairs,
            "contradicted": wrong,
        }
