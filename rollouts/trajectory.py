"""A trajectory: one episode as data, read from its log. What rewards judge, replays repeat and datasets are made of."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from ..envs.step import Step
from ..errors import UsageError
from ..tools.base import Telemetry
from . import payloads
from .episode_log import EVENTS
from .events import (
    AnyEvent,
    EpisodeEndEvent,
    EpisodeStartEvent,
    FinalPatchEvent,
    SandboxMetricEvent,
    StepRewardEvent,
    ToolCallEvent,
    ToolResultEvent,
    VerdictEvent,
)
from .log import Header, read_events
from .run_dir import EPISODES, read_manifest

__all__ = ["Trajectory", "episode_folders", "read_trajectories", "read_trajectory", "trajectory_of"]

_MEASURED = tuple(field.name for field in fields(Telemetry))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """One episode. Steps and rewards have the same length and order."""

    __pydantic_config__: ClassVar = {"use_attribute_docstrings": True}

    header: Header
    start: payloads.EpisodeStart
    steps: tuple[Step, ...]
    rewards: tuple[payloads.StepReward | None, ...]
    """None for a step that nobody scored."""
    patch: payloads.FinalPatch | None = None
    verdict: payloads.Verdict | None = None
    """The last one, where an episode was graded again."""
    end: payloads.EpisodeEnd | None = None
    """None while the episode runs, or when its process died."""
    folder: Path | None = None
    """Where it was read from."""

    @property
    def resolved(self) -> bool | None:
        """The verdict; None without one, or when the tests could not be run."""
        return self.verdict.resolved if self.verdict is not None else None

    @property
    def process_score(self) -> float | None:
        """What the episode is worth as a process, apart from its outcome."""
        return self.end.process_score if self.end is not None else None


class _Builder:
    """Collects the events of one episode."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self.start = payloads.EpisodeStart()
        self.calls: dict[int, ToolCallEvent] = {}
        self.results: dict[int, ToolResultEvent] = {}
        self.rewards: dict[int, payloads.StepReward] = {}
        self.metrics: dict[int, payloads.SandboxMetric] = {}
        self.rest: dict[str, Any] = {}

    def take(self, event: AnyEvent) -> None:
        """Take one event into account; kinds that are no part of a trajectory are passed over."""
        self.header = self.header or Header.of(event)
        match event:
            case EpisodeStartEvent(payload=start):
                self.start = start
            case ToolCallEvent(payload=call):
                self.calls[call.step] = event
            case ToolResultEvent(payload=result):
                self.results[result.step] = event
            case StepRewardEvent(payload=reward):
                self.rewards[reward.step] = reward
            case SandboxMetricEvent(payload=metric) if metric.step is not None:
                self.metrics[metric.step] = metric
            case FinalPatchEvent(payload=patch):
                self.rest["patch"] = patch
            case VerdictEvent(payload=verdict):
                self.rest["verdict"] = verdict
            case EpisodeEndEvent(payload=end):
                self.rest["end"] = end
            case _:
                pass

    def build(self, folder: Path | None) -> Trajectory | None:
        """The trajectory so far; a call without its result (the process died in between) is no step."""
        if self.header is None:
            return None
        done = sorted(self.calls.keys() & self.results.keys())
        return Trajectory(
            header=self.header,
            start=self.start,
            steps=tuple(_step(self.calls[i], self.results[i], self.metrics.get(i)) for i in done),
            rewards=tuple(self.rewards.get(i) for i in done),
            folder=folder,
            **self.rest,
        )


def trajectory_of(events: Iterator[AnyEvent], folder: Path | None = None) -> Trajectory | None:
    """The trajectory that the events of one episode tell; None without any event."""
    builder = _Builder()
    for event in events:
        builder.take(event)
    return builder.build(folder)


def read_trajectory(folder: Path) -> Trajectory:
    """The trajectory in an episode's folder. Raises UsageError when there is none, LogCorrupt when it is damaged."""
    path = folder / EVENTS
    if not path.exists():
        raise UsageError(f"{folder} is not an episode: it has no {EVENTS}")
    found = trajectory_of(read_events(path), folder)
    if found is None:
        raise UsageError(f"{path} holds no event yet")
    return found


def episode_folders(run: Path) -> list[Path]:
    """The folders of a run's episodes that hold a log, by name. Raises UsageError when `run` is not a run."""
    read_manifest(run)
    parent = run / EPISODES
    if not parent.is_dir():
        return []
    return [path for path in sorted(parent.iterdir()) if _begun(path / EVENTS)]


def read_trajectories(run: Path) -> Iterator[Trajectory]:
    """Every trajectory of a run, one in memory at a time, earlier attempts included, by name."""
    return map(read_trajectory, episode_folders(run))


def _begun(log: Path) -> bool:
    if not log.is_file():
        return False
    with log.open("rb") as file:
        return file.readline().endswith(b"\n")


def _step(call: ToolCallEvent, result: ToolResultEvent, metric: payloads.SandboxMetric | None) -> Step:
    said, done = call.payload, result.payload
    return Step(
        index=said.step,
        action=said.action,
        tool=said.tool,
        arguments=said.arguments,
        observation=done.observation,
        ok=done.ok,
        error=done.error,
        exit_code=done.exit_code,
        data=done.data,
        telemetry=_telemetry(metric),
        t_start=result.t_start,
        t_end=result.t_end,
        duration_ms=result.duration_ms,
        thought=said.thought,
    )


def _telemetry(metric: payloads.SandboxMetric | None) -> Telemetry:
    if metric is None:
        return Telemetry(wall_ms=0.0)
    measured: dict[str, Any] = {name: getattr(metric, name) for name in _MEASURED}
    measured["wall_ms"] = metric.wall_ms or 0.0
    return Telemetry(**measured)
