"""What a host and the driver of a run say to each other.

The driver calls `exchange(orders) -> news` again and again, one call at a time. A message is repeated in every news
until orders hold its answer, and orders are repeated until an exchange succeeds: a call that fails, or whose result is
lost, loses nothing and does nothing twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..crew import Order, Underway
from ..log_file import Fsync

__all__ = [
    "Answer",
    "Append",
    "Charge",
    "Claim",
    "CloseLog",
    "Greeting",
    "Message",
    "News",
    "OpenLog",
    "Orders",
    "Over",
    "WriteFile",
]


@dataclass(frozen=True, slots=True)
class OpenLog:
    """Open the event log of an episode. Answered by its last event, or None."""

    episode: str
    fsync: Fsync


@dataclass(frozen=True, slots=True)
class Append:
    """Add lines to the open log of an episode."""

    episode: str
    data: bytes


@dataclass(frozen=True, slots=True)
class CloseLog:
    """Close the log of an episode."""

    episode: str


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Replace a file beside the log."""

    episode: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Make a new episode of a task and seed. Answered by its id."""

    task_id: str
    seed: int | None


@dataclass(frozen=True, slots=True)
class Charge:
    """Count dollars. Answered by what the whole run has cost."""

    usd: float


@dataclass(frozen=True, slots=True)
class Over:
    """A job is done, or was not begun."""

    episode: str
    begun: bool
    error: BaseException | None


Message = OpenLog | Append | CloseLog | WriteFile | Claim | Charge | Over


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a message."""

    value: Any = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """From the driver to a host."""

    answers: Mapping[int, Answer] = field(default_factory=dict[int, Answer])
    jobs: tuple[Order, ...] = ()
    spent_usd: float = 0.0
    """What the whole run has cost."""
    stop: str | None = None
    """Begin nothing more, and why."""
    hurry: bool = False
    """Do not wait for steps under way."""
    close: bool = False
    """Let go of everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """From a host to the driver."""

    messages: tuple[tuple[int, Message], ...] = ()
    """Numbered; in the order in which they were sent."""
    underway: tuple[Underway, ...] = ()
    closed: bool = False
    """Everything was let go of: this is the last news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What a host says of its node when it is ready."""

    version: str
    """Of this package."""
    engine: Mapping[str, Any]
    """What the Docker engine says of itself."""
    images: Mapping[str, str | None]
    """Id of each image that was asked for; None for one that is not there."""
