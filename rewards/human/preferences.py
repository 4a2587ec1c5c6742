"""Whether scores of trajectories prefer what people prefer."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .bootstrap import RESAMPLES, Estimate, estimate
from .correlation import clusters_of
from .labels import PairLabel

__all__ = ["EpisodeKey", "PairAccuracy", "pair_accuracy"]

EpisodeKey = tuple[str, str]
"""Run and episode."""

_VOTE = {"a": 1, "tie": 0, "b": -1}


class PairAccuracy(NamedTuple):
    """How often a score prefers what people prefer."""

    pairs: int
    """Pairs that people decided and that have two scores."""
    undecided: int
    """Pairs that people called a tie, or over which they are split evenly: they count neither way."""
    unscored: int
    """Pairs of which a trajectory has no score."""
    equal: int
    """Pairs with two equal scores; each counts as half right."""
    accuracy: Estimate

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return self._asdict() | {"accuracy": self.accuracy.as_dict()}


def pair_accuracy(
    labels: Iterable[PairLabel], scores: Mapping[EpisodeKey, float], *, seed: int, resamples: int = RESAMPLES
) -> PairAccuracy:
    """Accuracy over pairs, by the majority of annotators, with an interval that resamples whole tasks."""
    votes: dict[tuple[str, EpisodeKey, EpisodeKey], int] = defaultdict(int)
    for label in labels:
        votes[label.task_id, (label.run_a, label.episode_a), (label.run_b, label.episode_b)] += _VOTE[label.chosen]
    right, tasks, unscored, equal = list[float](), list[str](), 0, 0
    for (task, a, b), vote in sorted(votes.items()):
        if vote and (a not in scores or b not in scores):
            unscored += 1
        elif vote:
            difference = float(np.sign(round(scores[a] - scores[b], 9)))
            equal += difference == 0
            right.append((1 + difference * np.sign(vote)) / 2)
            tasks.append(task)
    undecided = sum(vote == 0 for vote in votes.values())
    return PairAccuracy(len(right), undecided, unscored, equal, _accuracy(right, tasks, seed, resamples))


def _accuracy(right: list[float], tasks: list[str], seed: int, resamples: int) -> Estimate:
    clusters = clusters_of(tasks)
    hits, sizes = np.bincount(clusters, weights=np.array(right)), np.bincount(clusters).astype(np.float64)
    found = estimate(
        lambda drawn: (drawn @ hits) / (drawn @ sizes),
        len(sizes),
        scale="share",
        seed=seed,
        undefined="there are no pairs",
        resamples=resamples,
    )
    return found._replace(note="all pairs belong to one task") if len(sizes) == 1 else found
