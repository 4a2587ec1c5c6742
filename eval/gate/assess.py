"""The statistics of a pairing: two tests of the same hypothesis, over the clusters that its repositories call for."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from typing import Literal

import numpy as np

from .clusters import Clustered, degrees_of_freedom, shrunk_mean
from .config import GateConfig
from .outcomes import Pairing
from .permutation import sign_flip
from .unusable import Unusable

__all__ = ["Tested", "assess"]

Clustering = Literal["task", "repository"]
_ENOUGH = 10.0
"""Degrees of freedom from which on repositories are clusters by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What the statistics say of a pairing, before any correction."""

    pairing: Pairing
    by_task: Clustered
    by_repository: Clustered | None
    cluster: Clustering
    p_interval: float
    p_permutation: float
    how: str

    @property
    def deciding(self) -> Clustered:
        """The one whose clusters were chosen."""
        found = self.by_repository if self.cluster == "repository" else None
        return found or self.by_task

    @property
    def p_value(self) -> float:
        """Both tests have to agree."""
        return max(self.p_interval, self.p_permutation)


def assess(found: Pairing, repository: Sequence[str], depth: float, config: GateConfig) -> Tested:
    """Both tests of the hypothesis that there is no gain (or none above `min_gain`, by that rule).

    `repository` is that of each task, `depth` the episodes a task and side, which weigh the pseudo-tasks.
    """
    weight = 1 / sqrt(max(1.0, depth))
    values, pseudo = found.differences, (weight, -weight)
    by_task = shrunk_mean(values, None, pseudo)
    by_repository = shrunk_mean(values, repository, pseudo) if len(set(repository)) > 1 else None
    cluster = _cluster(repository, config)
    deciding = by_repository if cluster == "repository" and by_repository is not None else by_task
    flips = sign_flip(_units(found, repository, cluster), flips=config.flips, seed=config.seed)
    null = config.min_gain if config.rule == "exceeds_min_gain" else 0.0
    return Tested(
        pairing=found,
        by_task=by_task,
        by_repository=by_repository,
        cluster=cluster,
        p_interval=deciding.p_value(null),
        p_permutation=flips.p_value,
        how=flips.how,
    )


def _cluster(repository: Sequence[str], config: GateConfig) -> Clustering:
    """What varies independently. Decided by the sizes of the repositories, not by outcomes."""
    if config.cluster != "auto":
        if config.cluster == "repository" and len(set(repository)) < 2:
            raise Unusable("all tasks are of one repository, so they cannot be clustered by repository")
        return config.cluster
    sizes = np.array(list(Counter(repository).values()), dtype=np.float64)
    return "repository" if len(sizes) > 1 and degrees_of_freedom(sizes) >= _ENOUGH else "task"


def _units(found: Pairing, repository: Sequence[str], cluster: str) -> list[Fraction]:
    """What keeps or changes its sign as a whole."""
    if cluster == "task":
        return list(found.scores)
    sums: defaultdict[str, Fraction] = defaultdict(Fraction)
    for name, score in zip(repository, found.scores, strict=True):
        sums[name] += score
    return list(sums.values())
