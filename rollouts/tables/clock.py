"""Stretches of time, and how the wall time of an episode is split among those who used it.

Times are whole microseconds since 1970, so that parts add up exactly.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

__all__ = ["Stretch", "measure", "micros", "milliseconds", "split"]

Stretch = tuple[int, int]
"""Begin and end, in microseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def milliseconds(duration: int) -> float:
    """Microseconds as milliseconds."""
    return duration / 1000


def measure(stretches: Iterable[Stretch], within: Stretch) -> int:
    """How long the union of stretches is, inside `within`: what overlaps counts once."""
    total, reached = 0, within[0]
    for begin, end in sorted(stretches):
        begin, end = max(begin, reached), min(end, within[1])
        if end > begin:
            total, reached = total + end - begin, end
    return total


def split(within: Stretch, users: Sequence[Sequence[Stretch]]) -> list[int]:
    """How much of `within` each user had, an instant being the first user's that claims it; last what nobody had."""
    taken = list[Stretch]()
    before, shares = 0, list[int]()
    for stretches in users:
        taken += stretches
        now = measure(taken, within)
        shares.append(now - before)
        before = now
    return [*shares, max(within[1] - within[0], 0) - before]
