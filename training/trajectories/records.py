"""Recorded episodes as training sees them: found first, in one light pass, then read whole one at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...rollouts.chain import verify_chain
from ...rollouts.episode_log import EVENTS
from ...rollouts.events import AnyEvent, LlmRequestEvent, LlmResponseEvent, ToolCallEvent
from ...rollouts.log import LogCorrupt, read_events
from ...rollouts.payloads import LlmRequest, LlmResponse
from ...rollouts.run_dir import read_episode, read_manifest
from ...rollouts.trajectory import Trajectory, episode_folders, trajectory_of

__all__ = ["Outline", "Record", "Source", "find_episodes", "open_sources", "read_record"]


@dataclass(frozen=True)
class Source:
    """A run that data are made of."""

    folder: Path
    manifest: dict[str, Any]

    @cached_property
    def run_id(self) -> str:
        """Its id."""
        return str(self.manifest.get("run_id", self.folder.name))

    @property
    def config(self) -> dict[str, Any]:
        """How it was made; empty for one recorded without a runner."""
        return self.manifest.get("config") or {}

    @property
    def chat(self) -> dict[str, Any]:
        """How its policy asked a model."""
        return self.config.get("chat") or {}

    @property
    def chat_template_kwargs(self) -> dict[str, Any]:
        """What its policy sent for the service's chat template."""
        sent: dict[str, Any] = self.chat.get("extra_body") or {}
        return sent.get("chat_template_kwargs") or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What is known of an episode before it is read: enough to group and to compare."""

    source: Source
    folder: Path
    task_id: str
    resolved: bool | None
    process: float | None

    @property
    def name(self) -> str:
        """Run and episode."""
        return f"{self.source.run_id}/{self.folder.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An episode, and what was said between its policy and a model."""

    outline: Outline
    trajectory: Trajectory
    talk: tuple[LlmRequest | LlmResponse, ...]
    asked: tuple[str | None, ...] = ()
    """The request that the call of each step came from, where that is known."""

    @property
    def foreign(self) -> bool:
        """Whether it was made from another agent's record."""
        return self.trajectory.start.origin is not None


def open_sources(runs: Sequence[Path]) -> list[Source]:
    """The runs, by id. Raises UsageError when one is not a run, or two have the same id."""
    if not runs:
        raise UsageError("name at least one run")
    folders = list(dict.fromkeys(run.resolve() for run in runs))
    sources = sorted((Source(folder, read_manifest(folder)) for folder in folders), key=lambda source: source.run_id)
    for one, next_one in pairwise(sources):
        if one.run_id == next_one.run_id:
            raise UsageError(f"{one.folder} and {next_one.folder} are both called {one.run_id}: data would mix them up")
    return sources


def find_episodes(sources: Sequence[Source], pattern: str | None = None) -> Iterator[Outline]:
    """Every episode that holds something, by run and name; with `pattern`, those whose task id matches the glob."""
    for source in sources:
        for folder in episode_folders(source.folder):
            try:
                episode = read_episode(folder)
            except LogCorrupt:
                yield Outline(source=source, folder=folder, task_id=folder.name, resolved=None, process=None)
                continue
            if episode is None or (pattern is not None and not fnmatchcase(episode.first.task_id, pattern)):
                continue
            yield Outline(
                source=source,
                folder=folder,
                task_id=episode.first.task_id,
                resolved=episode.verdict.resolved if episode.verdict is not None else None,
                process=episode.end.process_score if episode.end is not None else None,
            )


def read_record(outline: Outline) -> Record:
    """Read an episode whole. Raises LogCorrupt when a line is no event, or its hash chain is broken."""
    path = outline.folder / EVENTS
    report = verify_chain(path)
    if report.breaks:
        first = report.breaks[0]
        raise LogCorrupt(f"{path}:{first.line}: the hash chain is broken: the line {first.reason}")
    talk, asked = list[LlmRequest | LlmResponse](), dict[int, str | None]()
    trajectory = trajectory_of(_overheard(read_events(path), talk, asked), outline.folder)
    if trajectory is None:
        raise LogCorrupt(f"{path} holds no event")
    requests = tuple(asked.get(step.index) for step in trajectory.steps)
    return Record(outline=outline, trajectory=trajectory, talk=tuple(talk), asked=requests)


def _overheard(
    events: Iterator[AnyEvent], talk: list[LlmRequest | LlmResponse], asked: dict[int, str | None]
) -> Iterator[AnyEvent]:
    for event in events:
        if isinstance(event, ToolCallEvent):
            asked[event.payload.step] = event.payload.request_id
        if isinstance(event, LlmRequestEvent | LlmResponseEvent):
            talk.append(event.payload)
        yield event
