"""Who does the episodes of a run: the protocol between a runner and whoever works for it.

A runner decides what is done, how often and for how much money; a crew does it, wherever that is.
"""

from dataclasses import dataclass
from typing import Protocol

from .log import Header
from .play import Job

__all__ = ["Crew", "Order", "Report", "Underway"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A job, and what all events of its episode have in common."""

    job: Job
    header: Header


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of an order."""

    order: Order
    begun: bool = True
    """Whether it was begun: one that was not left no trace, and may be given again."""
    error: BaseException | None = None
    """What makes the whole run pointless, if that happened."""
    place: str | None = None
    """Where it was done, for a crew that works in several places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """An episode that is going on, for whoever watches."""

    task_id: str
    seed: int
    steps: int
    doing: str
    seconds: float
    """Since it began."""


class Crew(Protocol):
    """Does jobs, several at once, and ends those that take too long."""

    @property
    def busy(self) -> bool:
        """Whether an episode is going on."""
        ...

    def room(self) -> int:
        """How many more jobs it takes now; those it cannot begin at once it prepares for."""
        ...

    def begin(self, order: Order) -> None:
        """Have a job done, soon."""
        ...

    def hear(self, timeout: float) -> Report | None:
        """The next report, if one comes within so many seconds: exactly one for each order, sooner or later."""
        ...

    def underway(self) -> list[Underway]:
        """The episodes that are going on."""
        ...

    def notices(self) -> list[str]:
        """What people should know of since the last call, in sentences."""
        ...

    def stop(self, why: str) -> None:
        """Begin nothing more, and end what goes on after the step that is under way; may be called again."""
        ...

    def hurry(self) -> None:
        """Do not wait for steps under way either: remove their containers."""
        ...

    def close(self) -> None:
        """Let go of everything; no container is left."""
        ...
