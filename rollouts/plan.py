"""What is left to do of a run, from what its logs say was done."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..envs.task import Task
from .config import RolloutConfig
from .events import EpisodeStartEvent
from .play import Job
from .run_dir import Episode, close_abandoned, read_episode, read_episodes

__all__ = ["Plan", "latest", "make_plan"]


@dataclass(slots=True, kw_only=True)
class Plan:
    """Episodes to do and to grade."""

    jobs: list[Job] = field(default_factory=list[Job])
    kept: list[Episode] = field(default_factory=list[Episode])
    """Episodes of earlier sittings that count as they are."""
    ungraded: list[Episode] = field(default_factory=list[Episode])
    """Those of them that have no verdict yet."""
    spent_usd: float = 0.0
    """What earlier sittings cost, as far as it is known."""


def latest(episodes: Sequence[Episode]) -> dict[tuple[str, int | None], Episode]:
    """The last attempt of each task and seed: the only one that counts.

    Records of other agents tell of no attempts, so each of them counts.
    """
    last: dict[tuple[str, int | None], Episode] = {}
    for episode in sorted(episodes, key=lambda episode: episode.attempt):
        start = episode.first
        foreign = isinstance(start, EpisodeStartEvent) and start.payload.origin is not None
        last[f"{start.task_id}\0{start.episode_id}" if foreign else start.task_id, start.seed] = episode
    return last


def make_plan(run: Path, config: RolloutConfig, tasks: Sequence[Task]) -> Plan:
    """Compare what a run should hold with what it holds, and close the logs of episodes whose process died."""
    earlier = [_whole(episode) for episode in read_episodes(run)]
    costs = [episode.end.cost_usd for episode in earlier if episode.end is not None]
    plan = Plan(spent_usd=sum(cost for cost in costs if cost is not None))
    attempts: defaultdict[tuple[str, int | None], int] = defaultdict(int)
    for episode in earlier:
        key = episode.first.task_id, episode.first.seed
        attempts[key] = max(attempts[key], episode.attempt)
    last = latest(earlier)
    for seed in config.all_seeds:
        for task in tasks:
            key = task.instance_id, seed
            episode = last.get(key)
            if episode is None or not episode.finished or episode.to_retry:
                plan.jobs.append(Job(task=task, seed=seed, attempt=attempts[key] + 1))
                continue
            plan.kept.append(episode)
            if config.grade and episode.verdict is None:
                plan.ungraded.append(episode)
    return plan


def _whole(episode: Episode) -> Episode:
    if episode.end is not None:
        return episode
    close_abandoned(episode)
    return read_episode(episode.folder) or episode
