"""How large a cluster has to be, from what one episode, one container and one image take."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from ...errors import UsageError
from ...rewards.service.usage import Usage
from ..config import load_values
from ..run_dir import read_episodes

__all__ = ["ROWS", "Demand", "EpisodeProfile", "Sizes", "SizingConfig", "episode_of", "load_sizing", "size"]

_DAY = 86_400.0
_MIB, _GB = 1 << 20, 1e9


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EpisodeProfile(_Strict):
    """One episode, on average."""

    steps: PositiveFloat
    wall_s: PositiveFloat
    """From reset to end, the model's time included."""
    cpu_s: PositiveFloat
    """Of the sandbox."""
    memory_mib: PositiveFloat
    """Peak of the sandbox."""
    prompt_tokens: float = Field(ge=0)
    """For each step."""
    cached_share: float = Field(ge=0, le=1)
    """Of prompt tokens that a prefix cache holds."""
    completion_tokens: float = Field(ge=0)
    """For each step."""
    events_kib: PositiveFloat
    """Of its event log."""


class GradingProfile(_Strict):
    """Grading one episode."""

    containers: float = Field(ge=0)
    cpu_s: float = Field(ge=0)
    wall_s: float = Field(ge=0)


class MachineProfile(_Strict):
    """What the machinery takes."""

    container_cpu_s: float = Field(ge=0)
    """To start and remove one container."""
    host_cpu_ms: float = Field(ge=0)
    """Of a step, in the process that does it."""
    driver_cpu_ms: float = Field(ge=0)
    """Of a step, in the driver."""
    host_mib: float = Field(ge=0)
    """Of an open sandbox, in the process that does it."""
    utilisation: float = Field(gt=0, le=1)
    """Share of the cores that may be planned with."""


class ImageProfile(_Strict):
    """Images of tasks, in GB of 1e9 bytes."""

    shared_gb: float = Field(ge=0)
    task_gb: float = Field(ge=0)
    compression: float = Field(gt=0, le=1)


class GpuProfile(_Strict):
    """One replica of the model."""

    prefill_tokens_s: PositiveFloat
    decode_tokens_s: PositiveFloat


class NodeProfile(_Strict):
    """One machine for sandboxes."""

    cores: PositiveInt
    memory_gib: PositiveFloat


class SizingConfig(_Strict):
    """Everything that sizes are computed from."""

    episode: EpisodeProfile
    grading: GradingProfile
    machine: MachineProfile
    images: ImageProfile
    gpu: GpuProfile
    node: NodeProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is to be done."""

    tasks: int
    episodes: int
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What that needs."""

    sandboxes: int
    """At once, on average: rate times stay (Little's law), graders included."""
    container_starts_per_s: float
    cores: int
    memory_gib: int
    nodes: int
    """Of the given kind, whichever of cores and memory needs more."""
    driver_cores: float
    """Of the machine that writes the records; one process, so that 1 is its limit."""
    steps_per_s: float
    replicas: int
    """GPU replicas of the model."""
    prompt_tokens_per_s: float
    """Not held by a prefix cache."""
    completion_tokens_per_s: float
    disk_node_gb: float
    """For the images that each node meets."""
    disk_run_gb: float
    """For the run directory."""
    registry_gb: float
    """Sent by the registry to all nodes: each image to each node that meets it."""
    record_mb_per_s: float
    """From nodes to the driver."""

    def as_dict(self) -> dict[str, Any]:
        """By name."""
        return {name: getattr(self, name) for name in type(self).__slots__}


def load_sizing(overrides: Mapping[str, Any]) -> SizingConfig:
    """The shipped constants with `overrides` on top. Raises ConfigError that names each wrong value."""
    return load_values(SizingConfig, "scaling.yaml", overrides)


def size(demand: Demand, config: SizingConfig) -> Sizes:
    """What a demand needs."""
    episode, machine, images = config.episode, config.machine, config.images
    rate = demand.episodes / (demand.hours * 3600)
    steps = rate * episode.steps
    starts = rate * (1 + config.grading.containers)
    sandboxes = rate * (episode.wall_s + config.grading.wall_s)
    busy = rate * (episode.cpu_s + config.grading.cpu_s) + starts * machine.container_cpu_s
    busy += steps * machine.host_cpu_ms / 1000
    cores = busy / machine.utilisation
    memory = sandboxes * (episode.memory_mib + machine.host_mib) / 1024
    nodes = max(1, ceil(cores / config.node.cores), ceil(memory / config.node.memory_gib))
    fresh = steps * episode.prompt_tokens * (1 - episode.cached_share)
    written = steps * episode.completion_tokens
    replicas = fresh / config.gpu.prefill_tokens_s + written / config.gpu.decode_tokens_s
    # Of episodes that go to any node, so many of a task's leave a node out with the chance (1 - 1/nodes)^seeds.
    met = 1 - (1 - 1 / nodes) ** (demand.episodes / demand.tasks)
    disk = images.shared_gb + demand.tasks * met * images.task_gb
    recorded = episode.events_kib * 1024
    return Sizes(
        sandboxes=ceil(sandboxes),
        container_starts_per_s=round(starts, 2),
        cores=ceil(cores),
        memory_gib=ceil(memory),
        nodes=nodes,
        driver_cores=round(steps * machine.driver_cpu_ms / 1000, 3),
        steps_per_s=round(steps, 1),
        replicas=ceil(replicas),
        prompt_tokens_per_s=round(fresh),
        completion_tokens_per_s=round(written),
        disk_node_gb=round(disk),
        disk_run_gb=round(demand.episodes * recorded / _GB, 1),
        registry_gb=round(nodes * disk * images.compression),
        record_mb_per_s=round(rate * recorded / 1e6, 2),
    )


def episode_of(run: Path) -> dict[str, float]:
    """The profile of an episode as a run's records tell it. What they do not tell is left out.

    Raises UsageError when the run has no finished episode.
    """
    episodes = [episode for episode in read_episodes(run) if episode.finished and not episode.excluded]
    ends = [(episode, episode.end) for episode in episodes if episode.end is not None]
    steps = sum(end.steps for _, end in ends)
    if not steps:
        raise UsageError(f"{run} has no finished episode with steps: there is nothing to learn from it")
    count = len(ends)
    cpu = [end.cpu_s for _, end in ends if end.cpu_s is not None]
    peaks = [end.memory_peak_bytes for _, end in ends if end.memory_peak_bytes is not None]
    asked = sum(end.requests for _, end in ends)
    told: dict[str, float | None] = {
        "steps": steps / count,
        "wall_s": sum(episode.duration_ms or 0.0 for episode, _ in ends) / count / 1000,
        "cpu_s": sum(cpu) / len(cpu) if cpu else None,
        "memory_mib": sum(peaks) / len(peaks) / _MIB if peaks else None,
        "events_kib": sum((episode.folder / "events.jsonl").stat().st_size for episode, _ in ends) / count / 1024,
        "prompt_tokens": sum(end.usage.input_tokens or 0 for _, end in ends) / steps if asked else None,
        "completion_tokens": sum(end.usage.output_tokens or 0 for _, end in ends) / steps if asked else None,
        "cached_share": _cached_share([end.usage for _, end in ends]),
    }
    return {name: round(value, 3) for name, value in told.items() if value is not None}


def _cached_share(usages: Sequence[Usage]) -> float | None:
    known = [
        (usage.cached_input_tokens, usage.input_tokens)
        for usage in usages
        if usage.cached_input_tokens is not None and usage.input_tokens
    ]
    return sum(cached for cached, _ in known) / sum(asked for _, asked in known) if known else None


ROWS: dict[str, Callable[[Sizes], str]] = {
    "sandboxes at once": lambda sizes: f"{sizes.sandboxes:,}",
    "container starts a second": lambda sizes: f"{sizes.container_starts_per_s:g}",
    "cores for sandboxes": lambda sizes: f"{sizes.cores:,}",
    "memory for sandboxes": lambda sizes: f"{sizes.memory_gib:,} GiB",
    "nodes": lambda sizes: f"{sizes.nodes:,}",
    "steps a second": lambda sizes: f"{sizes.steps_per_s:g}",
    "cores for the driver": lambda sizes: f"{sizes.driver_cores:g}",
    "records to the driver": lambda sizes: f"{sizes.record_mb_per_s:g} MB/s",
    "model: new prompt tokens a second": lambda sizes: f"{sizes.prompt_tokens_per_s:,}",
    "model: completion tokens a second": lambda sizes: f"{sizes.completion_tokens_per_s:,}",
    "model: GPU replicas": lambda sizes: f"{sizes.replicas:,}",
    "disk for images, each node": lambda sizes: f"{sizes.disk_node_gb:,.0f} GB",
    "disk for the run": lambda sizes: f"{sizes.disk_run_gb:,.1f} GB",
    "registry traffic, in all": lambda sizes: f"{sizes.registry_gb:,.0f} GB",
}
"""How sizes are shown: the rows of `trajhub size`, and of the table in docs/scaling.md."""
