"""What an exporter is: something that tells recorded episodes in a format of others, and says what is lost by it.

Episodes come one after the other, each whole in memory and no more than one, so a run of any size is exported in the
memory of its largest episode. An exporter writes what follows from the events alone: no clock, no chance, so that the
same episodes give the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from ..events import AnyEvent
from ..log import Header
from .story import Story, tell

__all__ = ["Exporter", "NoOptions", "NotExported", "RecordedEpisode", "Sink", "Target"]


class NotExported(ValueError):
    """Raised for an episode that a format cannot hold; the message says why."""


class NoOptions(BaseModel):
    """For an exporter without settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, kw_only=True)
class RecordedEpisode:
    """An episode to be exported."""

    run_id: str
    manifest: Mapping[str, Any]
    """What the run's `run.json` holds."""
    events: Sequence[AnyEvent]
    """At least one."""
    folder: Path | None = None
    """Where it was read from."""
    counts: bool = True
    """Whether it is the attempt that counts: the last one of its task and seed."""

    @cached_property
    def header(self) -> Header:
        """What its events have in common."""
        return Header.of(self.events[0])

    @cached_property
    def story(self) -> Story:
        """Its events, put together."""
        return tell(self.events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an export goes."""

    path: Path
    options: BaseModel
    """An instance of the exporter's `options`."""
    runs: Sequence[str]
    """Ids of the runs that are exported."""
    episodes: Sequence[tuple[str, str]] = field(default=())
    """Run and episode id of all that will come."""
    seeds: Sequence[int | None] = field(default=())
    """The different seeds of what will come."""


class Sink(Protocol):
    """An export in progress."""

    def write(self, episode: RecordedEpisode) -> None:
        """Take one episode. Raises NotExported."""
        ...

    def close(self) -> list[Path]:
        """Finish; the files that were written."""
        ...

    def abandon(self) -> None:
        """Take back what is not finished."""
        ...


@runtime_checkable
class Exporter(Protocol):
    """One format. Registered under the entry-point group `trajectory_hub.exporters`; see `docs/exports.md`."""

    name: str
    """For example `atif`; what `--to` takes."""
    title: str
    """What people call the format."""
    output: str
    """What `-o` names: a file of which kind, or a folder of what."""
    options: type[BaseModel]
    """Its settings; `-c key=value` sets one."""
    loses: Mapping[str, str]
    """Fields of our events that an export does not hold, and why: `event_type.field`, `event_type.*` for all of one,
    `event.field` for what every event carries, `unknown.*` for events of types that this version does not know."""

    unread: Mapping[str, str]
    """Fields that an export holds and `trajhub trace ingest` does not give back as they were, and why; empty for a
    format that it does not read."""

    def open(self, target: Target) -> Sink:
        """Begin an export. Raises UsageError when it cannot be done as asked."""
        ...
