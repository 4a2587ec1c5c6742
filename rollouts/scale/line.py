"""The way to a host, whatever carries it, and where hosts come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...errors import InfrastructureError
from .messages import News, Orders

__all__ = ["HostLost", "Hosts", "Line", "Share", "shares_of"]


class HostLost(InfrastructureError):
    """Raised when a host is dead, or cannot be reached any more; says why."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one host does of a run."""

    workers: int
    """Episodes at once."""
    ahead: int
    """Episodes that wait there with a sandbox started."""


def shares_of(workers: int, warm: int, places: int, per_place: int | None) -> list[Share]:
    """A run's workers and warm sandboxes spread over places, `per_place` workers to each if that is given."""
    count = min(places, workers) if per_place is None else -(-workers // per_place)
    even = [workers // count + (index < workers % count) for index in range(count)]
    sizes = even if per_place is None else [min(per_place, workers - index * per_place) for index in range(count)]
    return [Share(size, -(-warm * size // workers)) for size in sizes]


class Line(Protocol):
    """The way to one host. `exchange` is called by one thread, one call after another."""

    @property
    def name(self) -> str:
        """What people call the place."""
        ...

    @property
    def share(self) -> Share:
        """What the host does of the run."""
        ...

    def exchange(self, orders: Orders) -> News:
        """Give orders and wait for news. Raises HostLost."""
        ...

    def nudge(self) -> None:
        """Make an exchange that waits return soon."""
        ...

    def end(self) -> None:
        """Let go of the host, whatever state it is in."""
        ...


class Hosts(Protocol):
    """Where hosts come from."""

    def ready(self) -> Sequence[Line]:
        """Hosts that can be used since the last call. Others are looked for, and started."""
        ...

    @property
    def hopeful(self) -> bool:
        """Whether there may be further ones."""
        ...

    def gone(self, line: Line) -> None:
        """A host was lost, or let go of."""
        ...

    def take_notices(self) -> list[str]:
        """What people should know of since the last call."""
        ...

    def close(self) -> None:
        """Let go of what is left."""
        ...
