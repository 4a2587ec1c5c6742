"""Weights that follow people's labels: non-negative, held near the present ones unless the data say otherwise.

What a rubric can express is a weighted mean over the parts that apply (rules in a criterion, layers in a criterion,
criteria in a step), so exactly that is fitted, by least squares up to an affine map: the order and the spacing of
scores are what counts, not their level.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...extras import need
from .bootstrap import Floats
from .correlation import Indices
from .observations import weighted_mean

__all__ = ["STRENGTHS", "Fit", "fit", "folds", "least_weights"]

STRENGTHS = (10.0, 1.0, 0.1, 0.01, 0.001)
"""How strongly the present weights are held on to; the first all but keeps them."""
LEAST = 0.01
"""No part is switched off: a rule that is off is not asked, and other rules may then see another history."""
_MOST = 10.0
"""No weight grows by more than this factor."""
_FOLDS = 5
_ENOUGH_STEPS = {"ftol": 1e-7, "gtol": 1e-4, "maxfun": 300}
"""More digits would be those of chance."""
_LEAST_SLOPE = 0.1
"""At slope 0, where weights that do not correlate lead, there would be no gradient towards better ones."""
_ENOUGH = 5
"""Labels for each weight, below which the present weights stay."""


class Fit(NamedTuple):
    """Fitted weights."""

    weights: Floats
    strength: float | None
    """How strongly the present weights were held on to, as cross-validation chose; None when nothing was fitted."""


def fit(parts: Floats, labels: Floats, present: Floats, groups: Indices) -> Fit:
    """Weights of `parts` (observations, parts) for `labels`; the strength is chosen by cross-validation over groups.

    The present weights stay where there are too few observations or groups, or nothing to choose between.
    """
    used = np.isfinite(labels) & np.isfinite(parts).any(axis=1)
    parts, labels, groups = parts[used], labels[used], groups[used]
    counted = np.flatnonzero((present > 0) & np.isfinite(parts).any(axis=0))
    too_few = len(labels) < _ENOUGH * len(counted) or len(np.unique(groups)) < 2
    if len(counted) < 2 or too_few or np.ptp(labels) == 0:
        return Fit(present, None)
    columns, base = parts[:, counted], present[counted]
    strength = _chosen_strength(columns, labels, base, groups)
    weights = present.copy()
    weights[counted] = _solve(columns, labels, base, strength)[0]
    return Fit(weights, strength)


def _chosen_strength(parts: Floats, labels: Floats, present: Floats, groups: Indices) -> float:
    """The strongest whose squared error on groups left out is within one standard error of the least.

    The standard error is that of the difference, over folds. Source of the rule: Breiman et al. 1984, section 3.4.
    """
    errors = np.array([_left_out(parts, labels, present, groups, strength) for strength in STRENGTHS])
    worse = errors - errors[np.argmin(errors.mean(axis=1))]
    spread = worse.std(axis=1, ddof=1) / np.sqrt(worse.shape[1])
    return STRENGTHS[int(np.argmax(worse.mean(axis=1) <= spread + 1e-12))]


def _left_out(parts: Floats, labels: Floats, present: Floats, groups: Indices, strength: float) -> list[float]:
    """Mean squared error on each fold, of what the other folds taught."""
    errors: list[float] = []
    for train, test in folds(groups):
        weights, offset, slope = _solve(parts[train], labels[train], present, strength)
        said = weighted_mean(parts[test], weights)
        errors.append(float(np.mean((labels[test] - offset - slope * said) ** 2)))
    return errors


def folds(groups: Indices, most: int = _FOLDS, seed: int = 0) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Masks (train, test) that never part a group; groups are spread by size, ties by `seed`."""
    names, sizes = np.unique(groups, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    held: list[list[int]] = [[] for _ in range(min(most, len(names)))]
    load = [0] * len(held)
    for place in order:
        lightest = load.index(min(load))
        held[lightest].append(int(names[place]))
        load[lightest] += int(sizes[place])
    for members in held:
        test = np.isin(groups, members)
        yield ~test, test


def least_weights(present: Floats) -> Floats:
    """The smallest weight that a part may get."""
    return np.minimum(LEAST, present)


def _solve(parts: Floats, labels: Floats, present: Floats, strength: float) -> tuple[Floats, float, float]:
    """Weights, and offset and slope of the affine map from their mean to the labels.

    Minimises mean((labels - offset - slope * mean)^2) / variance + strength * mean((weights / present - 1)^2) over
    weights in [least, 10 * present] and slope >= 0.1; offset and slope are those of the regression on the mean at hand.
    """
    there = np.isfinite(parts).astype(np.float64)
    filled = np.where(there > 0, parts, 0.0)
    unit = len(labels) * max(float(np.var(labels)), 1e-12)

    def means(factors: Floats) -> tuple[Floats, Floats]:
        total = _times(there, factors * present)
        return _times(filled, factors * present) / total, total

    def loss(factors: Floats) -> tuple[float, Floats]:
        said, total = means(factors)
        offset, slope = _line(said, labels, _LEAST_SLOPE)
        left = labels - offset - slope * said
        pull = -2 * slope * left / (unit * total)
        slopes = present * (_times(filled.T, pull) - _times(there.T, pull * said))
        slopes += 2 * strength * (factors - 1) / len(factors)
        return float((left**2).sum()) / unit + strength * float(np.mean((factors - 1) ** 2)), slopes

    minimise = need("scipy.optimize", "refitted weights").minimize
    bounds = [(float(least), _MOST) for least in least_weights(present) / present]
    factors: Floats = minimise(
        loss, np.ones(len(present)), jac=True, method="TNC", bounds=bounds, options=_ENOUGH_STEPS
    ).x
    return factors * present, *_line(means(factors)[0], labels)


def _line(said: Floats, labels: Floats, least: float = 0.0) -> tuple[float, float]:
    """Offset and slope of the regression of labels on scores, the slope not below `least`."""
    off, middle = said - said.mean(), float(labels.mean())
    slope = max(least, float((off * labels).sum()) / max(float((off**2).sum()), 1e-12))
    return middle - slope * float(said.mean()), slope


def _times(table: Floats, vector: Floats) -> Floats:
    """Matrix times vector without BLAS, whose threads cost more than so small a product on a busy machine."""
    return np.einsum("ij,j->i", table, vector)
