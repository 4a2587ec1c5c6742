"""Best of n: of several episodes of a task, the one that its process score recommends, never its verdict."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .plan import latest
from .run_dir import Episode, read_episodes, read_manifest
from .score_log import episode_worth

__all__ = ["BestOfN", "Candidate", "Curve", "best_of_n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One episode that may be chosen."""

    episode: Episode
    score: float | None
    """In [0, 1]; None when nobody scored it."""

    @property
    def task(self) -> str:
        """Id of its task."""
        return self.episode.first.task_id

    @property
    def patch(self) -> str:
        """What the agent changed; empty when it changed nothing."""
        return self.episode.patch.patch if self.episode.patch is not None else ""

    @property
    def resolved(self) -> bool | None:
        """The verdict; None without one."""
        return self.episode.verdict.resolved if self.episode.verdict is not None else None

    @property
    def rank(self) -> tuple[bool, float, int]:
        """Higher is better: a patch before none, then the score; among equals the lowest seed, which is arbitrary."""
        score = -1.0 if self.score is None else self.score
        return bool(self.patch.strip()), score, -(self.episode.first.seed or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What choosing among k of a task's episodes resolves, as a mean over tasks."""

    k: int
    tasks: int
    """Tasks with at least k graded episodes."""
    by_score: float
    """The recommended one of k is resolved."""
    any: float
    """At least one of k is (pass@k): what a perfect choice would reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN:
    """A choice over a run."""

    model: str
    chosen: Sequence[Candidate]
    """One a task, by task."""
    candidates: Mapping[str, int]
    """How many episodes each task had to choose from."""
    excluded: int
    """Episodes that say nothing about the agent."""
    curve: Sequence[Curve]
    """By k; empty when nothing was graded."""

    def predictions(self) -> list[dict[str, str]]:
        """Rows of a predictions file."""
        return [
            {"instance_id": one.task, "model_name_or_path": self.model, "model_patch": one.patch} for one in self.chosen
        ]


def best_of_n(run: Path, layer: str | None = None) -> BestOfN:
    """Choose an episode for each task of a run, by its process score or by what a score layer holds it worth.

    Raises UsageError when `run` is no run, holds no episode to choose, or was not scored by the layer.
    """
    manifest = read_manifest(run)
    scores = None if layer is None else episode_worth(run, layer)
    episodes = [episode for episode in latest(list(read_episodes(run))).values() if episode.finished]
    counted = [episode for episode in episodes if not episode.excluded]
    by_task = defaultdict[str, list[Candidate]](list)
    for episode in counted:
        own = episode.end.process_score if episode.end is not None else None
        score = own if scores is None else scores.get(episode.folder.name)
        by_task[episode.first.task_id].append(Candidate(episode=episode, score=score))
    if not by_task:
        raise UsageError(f"{run} holds no finished episode to choose; see `trajhub runs show {run}`")
    ranked = {task: sorted(by_task[task], key=lambda one: one.rank, reverse=True) for task in sorted(by_task)}
    actor: dict[str, Any] = manifest.get("policy") or {}
    return BestOfN(
        model=str(actor.get("model") or actor.get("name") or run.name),
        chosen=[candidates[0] for candidates in ranked.values()],
        candidates={task: len(candidates) for task, candidates in ranked.items()},
        excluded=len(episodes) - len(counted),
        curve=_curve(list(ranked.values())),
    )


def _curve(ranked: Sequence[Sequence[Candidate]]) -> list[Curve]:
    """For every k, the mean over tasks and over all ways to draw k of a task's episodes."""
    outcomes = [[bool(one.resolved) for one in task if one.resolved is not None] for task in ranked]
    curve = list[Curve]()
    for k in range(1, max(map(len, outcomes)) + 1):
        enough = [found for found in outcomes if len(found) >= k]
        by_score = sum(_first_of(found, k) for found in enough) / len(enough)
        anyone = sum(1 - comb(len(found) - sum(found), k) / comb(len(found), k) for found in enough) / len(enough)
        curve.append(Curve(k=k, tasks=len(enough), by_score=by_score, any=anyone))
    return curve


def _first_of(outcomes: Sequence[bool], k: int) -> float:
    """How likely the best ranked of k drawn ones is a resolved one: rank i is it in C(n-1-i, k-1) of C(n, k) draws."""
    n = len(outcomes)
    return sum(comb(n - 1 - i, k - 1) for i, resolved in enumerate(outcomes) if resolved) / comb(n, k)
