"""Correlation of scores with labels that come in clusters: the steps of one trajectory are no independent facts.

Each coefficient is a statistic of cluster counts (`bootstrap.Statistic`): all resamples of whole clusters are computed
at once, from sums over clusters (Pearson, Kendall) or weighted mid-ranks (Spearman).
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .bootstrap import RESAMPLES, Estimate, Floats, Scale, Statistic, estimate

__all__ = ["COEFFICIENTS", "Indices", "clusters_of", "correlate", "gain", "kendall", "pearson", "spearman"]

Indices = NDArray[np.intp]

_SLICE = 512
"""Rows of the table of pairs that are looked at together."""


def clusters_of(names: Sequence[Hashable]) -> Indices:
    """The number of each observation's cluster, counted from 0 in the order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.intp)


def pearson(x: Floats, y: Floats, clusters: Indices) -> Statistic:
    """Pearson's r. Undefined when either side is constant."""
    a, b = x - x.mean(), y - y.mean()
    sums = _per_cluster(np.stack([np.ones_like(a), a, b, a * a, b * b, a * b]), clusters)
    scale = float(a @ a) * float(b @ b)

    def statistic(drawn: Floats) -> Floats:
        n, sa, sb, saa, sbb, sab = (drawn @ sums.T).T
        return _quotient(n * sab - sa * sb, (n * saa - sa**2) * (n * sbb - sb**2), n**2 * scale)

    return statistic


def spearman(x: Floats, y: Floats, clusters: Indices) -> Statistic:
    """Spearman's rho: Pearson's r of mid-ranks, ranked anew in every resample."""
    first, second = _Ranking(x), _Ranking(y)

    def statistic(drawn: Floats) -> Floats:
        weights = drawn[:, clusters]
        n = weights.sum(axis=1)
        a, b = (side.ranks(weights) - n[:, None] / 2 for side in (first, second))
        sa, sb = (weights * a).sum(axis=1), (weights * b).sum(axis=1)
        va, vb = n * (weights * a * a).sum(axis=1) - sa**2, n * (weights * b * b).sum(axis=1) - sb**2
        return _quotient(n * (weights * a * b).sum(axis=1) - sa * sb, va * vb, n**8)

    return statistic


def kendall(x: Floats, y: Floats, clusters: Indices) -> Statistic:
    """Kendall's tau-b. Pairs of observations are summed over pairs of clusters once; a resample weighs those sums."""
    order = np.argsort(clusters, kind="stable")
    a, b, starts = x[order], y[order], np.unique(clusters[order], return_index=True)[1]
    agree, left, right = (np.zeros((len(starts), len(starts))) for _ in range(3))
    numbers = clusters_of(clusters[order].tolist())
    for start in range(0, len(a), _SLICE):
        rows = slice(start, start + _SLICE)
        one, two = np.sign(a[rows, None] - a[None, :]), np.sign(b[rows, None] - b[None, :])
        for into, table in ((agree, one * two), (left, one * one), (right, two * two)):
            np.add.at(into, numbers[rows], np.add.reduceat(table, starts, axis=1))

    def statistic(drawn: Floats) -> Floats:
        same, ties_left, ties_right = (((drawn @ table) * drawn).sum(axis=1) for table in (agree, left, right))
        return _quotient(same, ties_left * ties_right, np.ones(len(drawn)))

    return statistic


COEFFICIENTS: Mapping[str, Callable[[Floats, Floats, Indices], Statistic]] = MappingProxyType(
    {"pearson": pearson, "spearman": spearman, "kendall": kendall}
)


def correlate(
    scores: Floats, labels: Floats, clusters: Indices, *, seed: int, resamples: int = RESAMPLES
) -> dict[str, Estimate]:
    """Each coefficient with its interval. Nothing is said of fewer than three observations, or of constants."""
    reason = _unsayable(scores, labels)
    if reason is not None:
        return {name: Estimate(None, note=reason) for name in COEFFICIENTS}
    units = int(clusters.max()) + 1
    return {
        name: _estimate(make(scores, labels, clusters), units, "correlation", seed, resamples)
        for name, make in COEFFICIENTS.items()
    }


def gain(
    before: Floats, after: Floats, labels: Floats, clusters: Indices, *, seed: int, resamples: int = RESAMPLES
) -> Estimate:
    """How much Pearson's r with the labels grows from `before` to `after`, both on the same observations."""
    reason = _unsayable(before, labels) or _unsayable(after, labels)
    if reason is not None:
        return Estimate(None, note=reason)
    old, new = pearson(before, labels, clusters), pearson(after, labels, clusters)
    units = int(clusters.max()) + 1
    return _estimate(lambda drawn: new(drawn) - old(drawn), units, "difference", seed, resamples)


def _unsayable(scores: Floats, labels: Floats) -> str | None:
    if len(scores) < 3:
        return f"only {len(scores)} labelled steps have a score; a correlation needs three or more"
    if np.ptp(labels) == 0:
        return f"all {len(labels)} labels are {labels[0]:.2f}"
    if np.ptp(scores) == 0:
        return f"all {len(scores)} scores are {scores[0]:.2f}"
    return None


def _estimate(statistic: Statistic, units: int, scale: Scale, seed: int, resamples: int) -> Estimate:
    undefined = "scores or labels do not vary"
    found = estimate(statistic, units, scale=scale, seed=seed, undefined=undefined, resamples=resamples)
    return (
        found._replace(note="all labels come from one trajectory") if units == 1 and found.value is not None else found
    )


def _per_cluster(rows: Floats, clusters: Indices) -> Floats:
    return np.array([np.bincount(clusters, weights=row) for row in rows], dtype=np.float64)


def _quotient(above: Floats, below: Floats, scale: Floats) -> Floats:
    """The quotient above / sqrt(below), NaN where `below` is nothing but rounding at its scale; within [-1, 1]."""
    sound = below > 1e-12 * scale
    return np.where(sound, np.clip(above / np.sqrt(np.where(sound, below, 1.0)), -1, 1), np.nan)


class _Ranking:
    """Mid-ranks of values that count as often as their weight."""

    def __init__(self, values: Floats) -> None:
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        self._starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        self._place = np.unique(values, return_inverse=True)[1]

    def ranks(self, weights: Floats) -> Floats:
        """Ranks (resamples, observations) for weights of that shape."""
        ties = np.add.reduceat(weights[:, self._order], self._starts, axis=1)
        middle = np.cumsum(ties, axis=1) - ties / 2
        return np.asarray(middle[:, self._place], dtype=np.float64)
