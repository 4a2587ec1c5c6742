"""How sure a preference is. Each definition gives a number in [0, 1] and has a name that is stored beside it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from math import lgamma

import numpy as np

from ..trajectories.records import Outline

__all__ = ["Basis", "agreement", "posterior", "verdict_stability"]

_GRID = 2000


class Basis(StrEnum):
    """What a confidence is the probability of."""

    VERDICT = "verdict"
    """That grading both patches again says the same: the product, over both sides, of the share of verdicts on that
    very patch, in all runs given, that agree. 1 where every verdict agrees."""
    AGREEMENT = "agreement"
    """That a difference of process scores points to the better outcome: (a + 1) / (n + 2), where n counts the pairs of
    episodes of one task, in all runs given, with different verdicts and process scores apart by at least the margin,
    and a those in which the resolved one has the higher score. 1/2 where no such pair exists."""
    POSTERIOR = "posterior"
    """That the chosen action has the higher expected value: P(x > y) for independent x ~ Beta(1 + s, 1 + n - s) and
    y likewise, where s sums the n values (outcomes or scores in [0, 1]) of an action's continuations."""


def posterior(chosen: Sequence[float], rejected: Sequence[float]) -> float:
    """See `Basis.POSTERIOR`. Values in [0, 1] that are no outcomes vary less than outcomes do, so this errs low."""
    edges = np.linspace(0.0, 1.0, _GRID + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    high, low = (_density(middle, sum(values), len(values)) for values in (chosen, rejected))
    below = np.cumsum(low) - low / 2
    return round(float((high * below).sum()), 4)


def _density(points: np.ndarray, total: float, count: int) -> np.ndarray:
    """Beta(1 + total, 1 + count - total) at the points, summing to one."""
    a, b = 1 + total, 1 + count - total
    log = (a - 1) * np.log(points) + (b - 1) * np.log1p(-points) + lgamma(a + b) - lgamma(a) - lgamma(b)
    weights = np.exp(log)
    return weights / weights.sum()


def agreement(outlines: Iterable[Outline], margin: float) -> float:
    """See `Basis.AGREEMENT`."""
    tasks: defaultdict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for outline in outlines:
        if outline.resolved is not None and outline.process is not None:
            tasks[outline.task_id][outline.resolved].append(outline.process)
    agree = total = 0
    for failed, solved in tasks.values():
        gaps = np.subtract.outer(np.asarray(solved), np.asarray(failed))
        total += int((np.abs(gaps) >= margin).sum())
        agree += int((gaps >= margin).sum())
    return round((agree + 1) / (total + 2), 4)


def verdict_stability(verdicts: Iterable[tuple[str, bool]]) -> dict[tuple[str, bool], float]:
    """Of each patch (its SHA-256) and verdict: the share of verdicts on that patch that say so."""
    counts = Counter(verdicts)
    totals = Counter[str]()
    for (patch, _), count in counts.items():
        totals[patch] += count
    return {key: count / totals[key[0]] for key, count in counts.items()}
