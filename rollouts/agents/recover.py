"""What a killed process left of a black box's episodes, told in their logs: nothing that was recorded is lost.

The proxy's record, telemetry and samples are on disk as they come, while the log of a black box is written when its
agent has ended. On resume they are joined as they are, so that what an episode cost is known, and the episode is closed
as interrupted.
"""

from pathlib import Path

from .. import payloads
from ..episode_log import EVENTS
from ..events import NoteEvent
from ..log import EventWriter, Header, read_events
from ..run_dir import Episode, close_abandoned, read_episode, read_episodes
from .collect import collect
from .sampler import SAMPLES, read_samples

__all__ = ["recover"]

_ARTIFACTS = "artifacts"


def recover(run: Path) -> list[str]:
    """Close the episodes that a killed process left open, with what their artifacts tell; their ids."""
    found = list[str]()
    for episode in read_episodes(run):
        started = _started(episode) if episode.end is None else None
        if started is not None:
            _close(episode, started)
            found.append(episode.folder.name)
    return found


def _started(episode: Episode) -> payloads.Note | None:
    """The note of an agent's start, if nothing was joined after it."""
    last = None
    for event in read_events(episode.folder / EVENTS):
        last = event
    note = last.payload if isinstance(last, NoteEvent) else None
    return note if note is not None and note.kind == "agent_started" else None


def _close(episode: Episode, started: payloads.Note) -> None:
    folder = episode.folder / _ARTIFACTS
    samples = list(read_samples(folder / SAMPLES))
    workdir = str(started.data.get("workdir", "/"))
    found = collect(folder, [], samples, trace=str(started.data.get("trace", "")), workdir=workdir)
    with EventWriter(episode.folder / EVENTS, Header.of(episode.first)) as writer:
        for one in found.events:
            end = one.t_end or one.t_start
            start = one.t_start or end
            spent = 0.0 if start is None or end is None else (end - start).total_seconds() * 1e3
            writer.write(one.payload, t_start=start, t_end=end, duration_ms=spent)
    again = read_episode(episode.folder)
    if again is not None:
        close_abandoned(again)
