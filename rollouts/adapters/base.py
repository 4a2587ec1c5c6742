"""What an adapter is: something that recognises another agent's record by its content and tells it in our events.

An adapter reads; it never writes. It yields the episodes of a source one after the other, and each episode's events as
they come, so that a source of any size is read in constant memory. What it does not understand it says by name.
"""

import os
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from ..payloads import Payload

__all__ = ["Adapter", "Foreign", "ForeignEpisode", "Names", "Sample", "Timed", "Unread"]

Timing = Literal["recorded", "durations", "none"]
"""See `payloads.Origin.timing`."""


Item = TypeVar("Item")


class Names(AbstractSet[str]):
    """What a folder holds, looked up when it is asked for: a folder may hold any number of files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and os.path.lexists(self._folder / name)

    def __iter__(self) -> Iterator[str]:
        with os.scandir(self._folder) as children:
            for child in children:
                yield child.name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return any(True for _ in self)

    @classmethod
    def _from_iterable(cls, it: Iterable[Item]) -> AbstractSet[Item]:
        return frozenset(it)


@dataclass(frozen=True, slots=True)
class Sample:
    """What an adapter sees of a source when it is asked whether it knows it."""

    path: Path
    """A file, or a folder that holds one run."""
    head: bytes
    """The first 64 KiB of a file; empty for a folder."""
    names: AbstractSet[str] = frozenset()
    """What a folder holds; empty for a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One event to come: its payload and when it was. Without times it is at the time of the event before it."""

    payload: "Payload"
    t_start: datetime | None = None
    t_end: datetime | None = None
    duration_ms: float | None = None
    """None: the difference of the two times."""
    kind: str | None = None
    """The kind of record that it came from, in the words of the format, for the report; None: the event's type."""
    records: int = 0
    """How many records of the source are accounted for by this event: 0 for the second event of a record, more than 1
    for an event made of several. Over a whole source they add up to what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A record, or a part of one, that became no event."""

    kind: str
    """Its name in the words of the format, for example `assistant.content.server_tool_use`; what is counted."""
    where: str | None = None
    """The line or position, for messages."""
    broken: bool = False
    """It is damaged (torn, not JSON), rather than unknown."""
    records: int = 1
    """How many records of the source it accounts for; 0 for a part of a record whose rest became events."""


Foreign = Timed | Unread


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignEpisode:
    """One episode of a source. Its events must be taken before the next episode is asked for.

    The adapter yields `EpisodeStart` first and `EpisodeEnd` last, where the source says how it ended (ingestion writes
    the end otherwise, with what the events say was used). `records` in between are whatever the source tells, in order.
    """

    key: str
    """Tells the episodes of a source apart; the same each time the source is read. Of two with one key the second
    becomes `key#2`."""
    task_id: str
    agent: str
    agent_version: str = "unknown"
    model: str | None = None
    repo: str = ""
    commit: str = ""
    seed: int | None = None
    timing: Timing = "none"
    events: Iterator[Foreign]
    artifacts: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Files kept beside the log, under `artifacts/`, by name."""


@runtime_checkable
class Adapter(Protocol):
    """One format. Registered under the entry-point group `trajectory_hub.adapters`; see `docs/adapters.md`.

    An adapter whose sources consist of several files may also have a method `companions(path) -> Iterable[Path]`: the
    files that are read along with `path`, and that are therefore no sources of their own.
    """

    name: str
    """For example `claude-code`; what `--format` takes and `Origin.format` holds."""
    version: str
    """Raised when the same source gives other events than before."""
    title: str
    """What people call the format."""

    def recognise(self, sample: Sample) -> float:
        """How sure it is that it knows this source, from 0 (not at all) to 1; by content, never by name alone."""
        ...

    def episodes(self, path: Path, options: dict[str, Any]) -> Iterator[ForeignEpisode]:
        """The episodes of a source, in order; a damaged one yields what is readable, then `Unread(broken=True)`."""
        ...
