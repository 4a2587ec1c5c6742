"""What tests look at in the events that an adapter tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trajectory_hub.rollouts.adapters import Adapter, Foreign, ForeignEpisode, Timed, Unread
from trajectory_hub.rollouts.payloads import Payload


@dataclass(frozen=True)
class Told:
    """One episode, all of its events taken."""

    episode: ForeignEpisode
    items: Sequence[Foreign]

    def payloads(self, kind: type[Payload]) -> list[Any]:
        """The payloads of one kind."""
        return [item.payload for item in self.timed if isinstance(item.payload, kind)]

    @property
    def timed(self) -> list[Timed]:
        """What became events."""
        return [item for item in self.items if isinstance(item, Timed)]

    @property
    def unread(self) -> list[Unread]:
        """What became none."""
        return [item for item in self.items if isinstance(item, Unread)]

    @property
    def records(self) -> int:
        """How many records of the source are accounted for."""
        return sum(item.records for item in self.items)


def told(adapter: Adapter, path: Path) -> list[Told]:
    """Every episode of a source."""
    return [Told(episode, list(episode.events)) for episode in adapter.episodes(path, {})]
