"""Weights that follow people's labels: non-negative, held near the present ones unless the data say otherwise.

What a rubric can express is a weighted mean over the parts that apply (rules in a criterion, layers in a criterion,
criteria in a step), so exactly that is fitted, by least squares up to an affine map: the order and the spacing of
scores are what counts, not their level.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .bootstrap import Floats
from .correlation import Indices
from .extras import need
from .observations import weighted_mean

__all__ = ["STRENGTHS", "Fit", "fit", "folds", "least_weights"]

STRENGTHS = (10.0, 1.0, 0.1, 0.01, 0.001)
"""How strongly the present weights are held on to; the first all but keeps them."""
LEAST = 0.01
"""No part is switched off: a rule that is off is not asked, and other rules may then see another history."""
_MOST = 10.0
"""No weight grows by more than this factor."""
_FOLDS = 5
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
    """The strength with the least squared error on groups left out; of equal ones the strongest."""
    errors: list[float] = []
    for strength in STRENGTHS:
        squares = 0.0
        for train, test in folds(groups):
            weights, offset, slope = _solve(parts[train], labels[train], present, strength)
            said = weighted_mean(parts[test], weights)
            known = np.isfinite(said)
            squares += float(np.sum((labels[test][known] - offset - slope * said[known]) ** 2))
        errors.append(squares)
    return STRENGTHS[int(np.argmin(np.round(errors, 9)))]


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
    weights in [least, 10 * present] and slope >= 0. Solver: SciPy's trust region for bounded least squares.
    """
    there = np.isfinite(parts)
    filled = np.where(there, parts, 0.0)
    scale = 1 / np.sqrt(len(labels) * max(float(np.var(labels)), 1e-12))
    hold = np.sqrt(strength / len(present))

    def means(factors: Floats) -> tuple[Floats, Floats]:
        total = there @ (factors * present)
        return (filled @ (factors * present)) / np.maximum(total, 1e-12), total

    def residuals(x: Floats) -> Floats:
        said, _ = means(x[2:])
        return np.concatenate([scale * (x[0] + x[1] * said - labels), hold * (x[2:] - 1)])

    def slopes(x: Floats) -> Floats:
        said, total = means(x[2:])
        inner = x[1] * present * there * (filled - said[:, None]) / np.maximum(total, 1e-12)[:, None]
        top = scale * np.column_stack([np.ones_like(said), said, inner])
        return np.vstack([top, np.hstack([np.zeros((len(present), 2)), hold * np.eye(len(present))])])

    lower = np.concatenate([[-np.inf, 0.0], least_weights(present) / present])
    upper = np.concatenate([[np.inf, np.inf], np.full(len(present), _MOST)])
    start = np.concatenate([[0.0, 1.0], np.ones(len(present))])
    solve = need("scipy.optimize", "refitted weights").least_squares
    found: Floats = solve(residuals, start, slopes, bounds=(lower, upper), ftol=1e-6, xtol=1e-6).x
    return found[2:] * present, float(found[0]), float(found[1])
