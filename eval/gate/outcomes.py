"""Outcomes of episodes, and how those of two sides are paired."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from .clusters import Floats
from .report import Evidence

__all__ = ["Attempt", "Cost", "Outcomes", "Pairing", "pair", "repository_of"]

_HASHED = re.compile(r"-[0-9a-f]{40}(-v\w+)?$")
_Cell = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What became of one task with one seed."""

    task: str
    seed: int
    resolved: bool
    """False as well where it does not count."""
    excluded: str | None = None
    """Who is to blame instead of the model; None for an episode that counts."""
    where: str
    """Folder of the episode, or the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the episodes of a run took, earlier attempts included. None where it is not known."""

    usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    wall_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """All outcomes of one model: one for each task and seed."""

    evidence: tuple[Evidence, ...]
    """The run, or a report for each seed."""
    attempts: Mapping[_Cell, Attempt]
    repositories: Mapping[str, str]
    """Repository of each task."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Everything in which two runs must agree to be compared."""
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What a reader should be told of where two runs differ in it."""
    cost: Cost = field(default_factory=Cost)

    @property
    def path(self) -> str:
        """What to call it in a message."""
        return self.evidence[0].path

    @property
    def tasks(self) -> tuple[str, ...]:
        """By name."""
        return tuple(sorted({task for task, _ in self.attempts}))

    @property
    def seeds(self) -> tuple[int, ...]:
        """In order."""
        return tuple(sorted({seed for _, seed in self.attempts}))

    @property
    def excluded(self) -> Counter[str]:
        """Episodes that do not count, by who is to blame."""
        return Counter(each.excluded for each in self.attempts.values() if each.excluded is not None)

    def tally(self, task: str) -> tuple[int, int]:
        """Episodes of a task that resolved it, and that count."""
        found = [self.attempts[task, seed] for seed in self.seeds if (task, seed) in self.attempts]
        return sum(each.resolved for each in found), sum(each.excluded is None for each in found)


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """Differences of two sides over the tasks that have at least one pair."""

    tasks: tuple[str, ...]
    pairs: tuple[tuple[Fraction, ...], ...]
    """Of each task: candidate less base, for every seed in which both sides count."""
    dropped: int
    """Pairs in which a side does not count."""

    @cached_property
    def scores(self) -> tuple[Fraction, ...]:
        """Mean difference of each task, exact."""
        return tuple(sum(task, Fraction()) / len(task) for task in self.pairs)

    @cached_property
    def differences(self) -> Floats:
        """Mean difference of each task, shape (tasks,)."""
        return np.array([float(score) for score in self.scores])

    @property
    def gain(self) -> float:
        """Mean over tasks, rounded once: three points are 0.03 whatever they are made of. NaN without a task."""
        return float(sum(self.scores, Fraction()) / len(self.scores)) if self.scores else float("nan")

    @property
    def arrays(self) -> list[Floats]:
        """The pairs of each task as floats."""
        return [np.array([float(value) for value in task]) for task in self.pairs]

    @property
    def count(self) -> int:
        """All pairs."""
        return sum(map(len, self.pairs))

    @property
    def changed(self) -> tuple[int, int]:
        """Pairs in which the candidate does better, and in which the base does."""
        every = [value for task in self.pairs for value in task]
        return sum(value > 0 for value in every), sum(value < 0 for value in every)


def pair(base: Sequence[Outcomes], candidate: Sequence[Outcomes]) -> Pairing:
    """Pair two sides by task and seed. Several runs of a side are averaged before, run by run of equal weight."""
    tasks, pairs, dropped = list[str](), list[tuple[Fraction, ...]](), 0
    cells = sorted({cell for run in (*base, *candidate) for cell in run.attempts})
    for task, own in groupby(cells, key=itemgetter(0)):
        found = list[Fraction]()
        for cell in own:
            ours, theirs = _share(base, cell), _share(candidate, cell)
            if ours is None or theirs is None:
                dropped += 1
            else:
                found.append(theirs - ours)
        if found:
            tasks.append(task)
            pairs.append(tuple(found))
    return Pairing(tasks=tuple(tasks), pairs=tuple(pairs), dropped=dropped)


def _share(runs: Iterable[Outcomes], cell: _Cell) -> Fraction | None:
    """Share of the runs that resolved it, of those in which it counts."""
    found = [run.attempts[cell] for run in runs if cell in run.attempts]
    counted = [each.resolved for each in found if each.excluded is None]
    return Fraction(sum(counted), len(counted)) if counted else None


def repository_of(task: str) -> str:
    """The repository that an instance id of the SWE-bench family names: `owner__name-123` and the like."""
    plain = task.removeprefix("instance_")
    bare = _HASHED.sub("", plain)
    return (bare if bare != plain else plain.rpartition("-")[0] or plain).replace("__", "/", 1)
