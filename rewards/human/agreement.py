"""How far annotators agree: raw agreement, Cohen's and Fleiss' kappa, Krippendorff's alpha.

Ratings are a matrix (items, annotators) with NaN where somebody did not rate. Every measure is a statistic of item
counts (`bootstrap.Statistic`), so that one call gives the figure and its interval.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from .bootstrap import Floats, Statistic

__all__ = [
    "Level",
    "Weighting",
    "agreement_with_others",
    "cohen_kappa",
    "fleiss_kappa",
    "krippendorff_alpha",
    "mean_bias",
    "mean_distance",
    "raw_agreement",
]

Level = Literal["nominal", "ordinal", "interval"]
"""What a difference between two values means: any is as bad, by rank, or by size."""
Weighting = Literal["unweighted", "linear", "quadratic"]


def raw_agreement(ratings: Floats) -> Statistic:
    """Share of pairs of ratings of one item that are equal, averaged over the items rated at least twice."""
    counts, _ = _counts(ratings)
    rated = counts.sum(axis=1)
    agree = (counts * (counts - 1)).sum(axis=1) / np.maximum(rated * (rated - 1), 1)
    return _mean(agree, rated >= 2)


def agreement_with_others(own: Floats, others: Floats) -> Statistic:
    """Share of the others' ratings (items, others) that equal one's own (items,), averaged over items."""
    rated = np.isfinite(others)
    equal = (others == own[:, None]).sum(axis=1) / np.maximum(rated.sum(axis=1), 1)
    return _mean(equal, rated.any(axis=1) & np.isfinite(own))


def mean_bias(own: Floats, others: Floats) -> Statistic:
    """Mean over items of one's own rating minus the mean of the others' (items, others)."""
    rated = np.isfinite(others)
    used = rated.any(axis=1) & np.isfinite(own)
    middle = np.where(rated, others, 0.0).sum(axis=1) / np.maximum(rated.sum(axis=1), 1)
    return _mean(np.where(used, own - middle, 0.0), used)


def mean_distance(ratings: Floats) -> Floats:
    """Of each item, the mean distance between two of its ratings; 0 with fewer than two."""
    apart = np.abs(ratings[:, :, None] - ratings[:, None, :])
    known = np.isfinite(apart)
    number = np.isfinite(ratings).sum(axis=1)
    return np.where(known, apart, 0.0).sum(axis=(1, 2)) / np.maximum(number * (number - 1), 1)


def cohen_kappa(first: Floats, second: Floats, weighting: Weighting = "unweighted") -> Statistic:
    """Agreement of two annotators beyond chance. Undefined when chance alone would make them agree.

    Weights are distances between the values themselves; for evenly spaced values they are those of the ranks.
    Source: Cohen 1960 (unweighted), Cohen 1968 (weighted: 1 - sum of weighted observed over weighted expected).
    """
    both = np.isfinite(first) & np.isfinite(second)
    values = np.unique(np.concatenate([first[both], second[both]]))
    left, right = (_one_hot(np.where(both, side, np.nan), values) for side in (first, second))
    distance = _DISTANCE[weighting](values[:, None] - values[None, :])
    apart = np.einsum("nc,ck,nk->n", left, distance, right)

    def statistic(drawn: Floats) -> Floats:
        rows, columns = drawn @ left, drawn @ right
        expected = np.einsum("bc,ck,bk->b", rows, distance, columns)
        return 1 - _ratio((drawn @ apart) * (drawn @ both.astype(np.float64)), expected)

    return statistic


def fleiss_kappa(ratings: Floats) -> tuple[Statistic, int]:
    """Agreement of many annotators beyond chance, and how many items it rests on.

    It needs as many ratings of each item, by whomever: items with the number of ratings that is most common (at least
    two) are used. Source: Fleiss 1971, "Measuring nominal scale agreement among many raters".
    """
    counts, _ = _counts(ratings)
    rated = counts.sum(axis=1)
    sizes, often = np.unique(rated[rated >= 2], return_counts=True)
    size = float(sizes[np.argmax(often)]) if len(sizes) else 0.0
    used = (rated == size) & (rated >= 2)
    counts = counts * used[:, None]
    pairs = (counts * (counts - 1)).sum(axis=1) / max(size * (size - 1), 1.0)

    def statistic(drawn: Floats) -> Floats:
        items = drawn @ used.astype(np.float64)
        shares = _ratio(drawn @ counts, (items * size)[:, None])
        chance = (shares**2).sum(axis=1)
        return _ratio(_ratio(drawn @ pairs, items) - chance, 1 - chance)

    return statistic, int(used.sum())


def krippendorff_alpha(ratings: Floats, level: Level) -> Statistic:
    """1 - observed over expected disagreement, for any number of annotators and missing ratings.

    The ordinal metric is the interval metric on mid-ranks, so both need only sums and sums of squares.
    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability".
    """
    counts, values = _counts(ratings)
    counts = counts * (counts.sum(axis=1) >= 2)[:, None]
    rated = counts.sum(axis=1)
    share = 1 / np.maximum(rated - 1, 1)

    def nominal(drawn: Floats) -> Floats:
        total, sums = drawn @ rated, drawn @ counts
        observed = drawn @ ((rated**2 - (counts**2).sum(axis=1)) * share)
        return 1 - _ratio((total - 1) * observed, total**2 - (sums**2).sum(axis=1))

    def numeric(drawn: Floats) -> Floats:
        total, sums = drawn @ rated, drawn @ counts
        ranks = np.cumsum(sums, axis=1) - sums / 2
        places = ranks if level == "ordinal" else np.broadcast_to(values - values.mean(), sums.shape)
        squares = ((drawn * (rated * share)) @ counts * places**2).sum(axis=1)
        within = np.einsum("bn,nb->b", drawn * share, (counts @ places.T) ** 2)
        expected = total * (sums * places**2).sum(axis=1) - (sums * places).sum(axis=1) ** 2
        return 1 - _ratio((total - 1) * (squares - within), expected)

    return nominal if level == "nominal" else numeric


_DISTANCE: dict[Weighting, Callable[[Floats], Floats]] = {
    "unweighted": lambda apart: (apart != 0).astype(np.float64),
    "linear": np.abs,
    "quadratic": np.square,
}


def _counts(ratings: Floats) -> tuple[Floats, Floats]:
    """How many annotators gave each item each value (items, values), and the values in order."""
    values = np.unique(ratings[np.isfinite(ratings)])
    counts = np.zeros((len(ratings), len(values)))
    for column in ratings.T:
        counts += _one_hot(column, values)
    return counts, values


def _one_hot(column: Floats, values: Floats) -> Floats:
    return (column[:, None] == values[None, :]).astype(np.float64)


def _mean(per_item: Floats, used: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Statistic:
    return lambda drawn: _ratio(drawn @ (per_item * used), drawn @ used.astype(np.float64))


def _ratio(above: Floats, below: Floats) -> Floats:
    """Quotient, NaN where the divisor is 0 up to rounding."""
    safe = np.abs(below) > 1e-12
    return np.where(safe, above / np.where(safe, below, 1.0), np.nan)
