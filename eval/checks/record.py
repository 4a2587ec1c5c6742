"""One episode as it lies on disk, read once for all checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from ...rollouts.chain import ChainReport, verify_chain
from ...rollouts.episode_log import EVENTS
from ...rollouts.events import AnyEvent, parse_event
from ...rollouts.trajectory import Trajectory, trajectory_of

__all__ = ["Record", "read_record"]


@dataclass(frozen=True)
class Record:
    """The events of one episode with the line each stands on."""

    folder: Path
    events: Sequence[AnyEvent]
    lines: Sequence[int]
    """Line number of each event, from 1."""
    problems: Sequence[tuple[int, str]]
    """Lines that are no event, and why."""
    torn: int
    """Bytes of an unfinished last line."""

    @property
    def name(self) -> str:
        """The episode's id."""
        return self.folder.name

    @cached_property
    def chain(self) -> ChainReport:
        """What the hash chain says."""
        return verify_chain(self.folder / EVENTS)

    @cached_property
    def trajectory(self) -> Trajectory | None:
        """The episode as data; None when no event could be read."""
        return trajectory_of(iter(self.events), self.folder)

    def at(self, index: int) -> str:
        """Where an event stands."""
        return f"{self.name}/{EVENTS}:{self.lines[index]}"


def read_record(folder: Path) -> Record:
    """Everything that can be read of an episode, however damaged."""
    events, lines, problems, torn = list[AnyEvent](), list[int](), list[tuple[int, str]](), 0
    with (folder / EVENTS).open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                events.append(parse_event(line))
            except ValidationError as error:
                if not line.endswith(b"\n"):
                    torn = len(line)
                    break
                first = error.errors(include_input=False, include_url=False)[0]
                where = ".".join(map(str, first["loc"]))
                problems.append((number, f"{where}: {first['msg']}" if where else first["msg"]))
                continue
            lines.append(number)
    return Record(folder, events, lines, problems, torn)
