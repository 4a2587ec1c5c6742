"""Simulated outcomes of two models on the same tasks, with a known true gain."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..eval.gate.outcomes import Pairing

__all__ = ["SETTINGS", "Setting", "pairings"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A population of tasks and two models.

    Each task has a rate of its own, drawn from a beta distribution with mean `base` and intra-task correlation
    `correlation` (two episodes of one task agree that much more often than two of different tasks). The candidate has
    the same rate on a share `same` of the tasks and an independent one on the others, and on top of that gains `gain`:
    on all tasks alike, or (`rare`) only on a fifth of those.
    """

    name: str
    tasks: int
    seeds: int
    base: float = 0.4
    correlation: float = 0.5
    same: float = 0.7
    rare: bool = False
    repositories: int = 0
    """0: tasks are independent. Else tasks come in so many repositories, in each of which the candidate is better or
    worse by `repository_effect`, with mean 0."""
    repository_effect: float = 0.15
    cluster: str = "auto"


_TASKS = ((20, 1), (20, 4), (50, 1), (50, 4), (100, 1), (100, 8), (300, 1), (300, 4), (500, 2))
SETTINGS = (
    *(Setting(name=f"{tasks} tasks x {seeds}", tasks=tasks, seeds=seeds) for tasks, seeds in _TASKS),
    Setting(name="rarely resolved", tasks=100, seeds=1, base=0.05),
    Setting(name="rarely resolved, 4 seeds", tasks=100, seeds=4, base=0.05),
    Setting(name="mostly resolved", tasks=100, seeds=1, base=0.85),
    Setting(name="seeds agree", tasks=100, seeds=4, correlation=0.9),
    Setting(name="seeds differ", tasks=100, seeds=4, correlation=0.1),
    Setting(name="models differ", tasks=100, seeds=4, same=0.0),
    Setting(name="few tasks gain", tasks=100, seeds=4, rare=True),
    Setting(name="12 repositories", tasks=240, seeds=1, base=0.5, repositories=12),
    Setting(name="12 repositories, by task", tasks=240, seeds=1, base=0.5, repositories=12, cluster="task"),
    Setting(name="30 repositories", tasks=300, seeds=4, base=0.5, repositories=30),
)


def pairings(setting: Setting, gain: float, count: int, seed: int) -> Iterator[tuple[Pairing, list[str]]]:
    """`count` evaluations of two models whose true gain is `gain`, and the repository of each task."""
    random = np.random.default_rng(seed)
    labels = [f"repository {index % max(1, setting.repositories)}" for index in range(setting.tasks)]
    for _ in range(count):
        ours, theirs = _rates(setting, gain, random)
        solved = random.binomial(setting.seeds, [ours, theirs])
        scores = tuple((Fraction(int(new - old), setting.seeds),) for old, new in solved.T)
        yield Pairing(tasks=tuple(map(str, range(setting.tasks))), pairs=scores, dropped=0), labels


def _rates(setting: Setting, gain: float, random: np.random.Generator) -> tuple[Floats, Floats]:
    """True rate of each task, of base and candidate."""
    spread = 1 / setting.correlation - 1
    shape = (setting.base * spread, (1 - setting.base) * spread)
    ours, fresh = random.beta(shape[0], shape[1], size=(2, setting.tasks))
    theirs = cast("Floats", np.where(random.random(setting.tasks) < setting.same, ours, fresh))
    if setting.repositories:
        better = random.random(setting.repositories) < 0.5
        moved = better[np.arange(setting.tasks) % setting.repositories]
        size = 2 * setting.repository_effect
        theirs = cast("Floats", np.where(moved, theirs + size * (1 - theirs), theirs * (1 - size)))
    # What a task still lacks shrinks by the same share everywhere, so that the mean gain is exactly `gain`.
    share = gain / (1 - setting.base)
    if setting.rare:
        return ours, theirs + np.where(random.random(setting.tasks) < 0.2, 5 * share, 0.0) * (1 - theirs)
    return ours, theirs + share * (1 - theirs)
