"""How well a score detects a label: AUC, average precision and F1, with intervals that resample whole trajectories.

AUC is the probability that a positive scores above a negative, ties counted half (Mann-Whitney); average precision
is the mean of the precision at each positive in order of score, ties taken together; F1 is 2TP / (2TP + FP + FN).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Detection", "Floats", "Interval", "Masks", "area", "best_threshold", "detect", "fit", "folds", "score_with"]

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]
Interval = tuple[float, float]
_RESAMPLES = 500
_CONFIDENCE = 0.95
_RIDGE = 5.0
_STEPS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """How well one score detects one label; None where there is no positive or no negative."""

    auc: float | None
    auc_interval: Interval | None
    precision: float | None
    """Average precision."""
    precision_interval: Interval | None
    f1: float | None
    f1_interval: Interval | None


def detect(score: Floats, label: Masks, decided: Masks, cluster: NDArray[np.int64]) -> Detection:
    """Measure a score, and decisions made by it, against a label. Intervals: percentiles over resampled clusters."""
    weights = _resampled(cluster)
    point = np.ones((1, len(label)))
    found: list[tuple[float | None, Interval | None]] = []
    for measure in (_areas(score, label, point), _precisions(score, label, point), _f1(decided, label, point)):
        found.append((_value(measure), None))
    spread = (_areas(score, label, weights), _precisions(score, label, weights), _f1(decided, label, weights))
    (auc, _), (precision, _), (f1, _) = found
    intervals = [_interval(values) for values in spread]
    return Detection(
        auc=auc, auc_interval=intervals[0], precision=precision, precision_interval=intervals[1], f1=f1,
        f1_interval=intervals[2],
    )  # fmt: skip


def area(score: Floats, label: Masks) -> float | None:
    """The AUC alone."""
    return _value(_areas(score, label, np.ones((1, len(label)))))


def _value(values: Floats) -> float | None:
    return None if np.isnan(values[0]) else float(values[0])


def _interval(values: Floats) -> Interval | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    rest = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(known, [rest, 1 - rest])
    return float(low), float(high)


def _resampled(cluster: NDArray[np.int64]) -> Floats:
    """How often each item is drawn in each resample: clusters are drawn with replacement, with a fixed seed."""
    names, place = np.unique(cluster, return_inverse=True)
    draws = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=_RESAMPLES)
    return draws[:, place].astype(np.float64)


def _tied(score: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Items in order of falling score, and where each run of equal scores begins."""
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return order.astype(np.int64), starts.astype(np.int64)


def _areas(score: Floats, label: Masks, weights: Floats) -> Floats:
    order, starts = _tied(score)
    drawn = weights[:, order]
    right = np.add.reduceat(drawn * label[order], starts, axis=1)
    wrong = np.add.reduceat(drawn * ~label[order], starts, axis=1)
    above = np.cumsum(right, axis=1) - right / 2
    with np.errstate(invalid="ignore"):
        return (above * wrong).sum(axis=1) / (right.sum(axis=1) * wrong.sum(axis=1))


def _precisions(score: Floats, label: Masks, weights: Floats) -> Floats:
    order, starts = _tied(score)
    drawn = weights[:, order]
    right = np.add.reduceat(drawn * label[order], starts, axis=1)
    every = np.cumsum(np.add.reduceat(drawn, starts, axis=1), axis=1)
    with np.errstate(invalid="ignore"):
        return (right * np.cumsum(right, axis=1) / np.maximum(every, 1)).sum(axis=1) / right.sum(axis=1)


def _f1(decided: Masks, label: Masks, weights: Floats) -> Floats:
    hits = weights @ (decided & label).astype(np.float64)
    both = weights @ (decided.astype(np.float64) + label.astype(np.float64))
    with np.errstate(invalid="ignore"):
        return np.where(weights @ label.astype(np.float64) > 0, 2 * hits / both, np.nan)


def best_threshold(score: Floats, label: Masks) -> float:
    """The score from which on a label is best assumed: that of the highest F1; infinite without a positive."""
    if not label.any():
        return float("inf")
    order, starts = _tied(score)
    ends = np.append(starts[1:], len(score))
    hits = np.cumsum(label[order])[ends - 1]
    return float(score[order][starts[int(np.argmax(2 * hits / (ends + label.sum())))]])


def folds(groups: Sequence[str]) -> list[tuple[Masks, Masks]]:
    """Each group in turn left out: which items are fitted on, and which are tested."""
    names = np.array(groups)
    return [(names != name, names == name) for name in sorted(set(groups))]


def fit(features: Floats, label: Masks) -> Floats:
    """Weights (the last is the offset) of a logistic regression whose weights are never below 0.

    Both classes weigh the same, weights are held towards 0 by a ridge; projected gradient with Nesterov's momentum.
    """
    count, width = features.shape
    share = np.where(label, 0.5 / max(1, int(label.sum())), 0.5 / max(1, int((~label).sum()))) * count
    rows = np.hstack([features, np.ones((count, 1))])
    ridge = np.append(np.full(width, _RIDGE), 0.0)
    slope = 0.25 * float(np.linalg.eigvalsh((rows * share[:, None]).T @ rows)[-1]) + _RIDGE
    weights = ahead = np.zeros(width + 1)
    momentum = 1.0
    for _ in range(_STEPS):
        error = share * (1 / (1 + np.exp(-(rows @ ahead))) - label)
        moved = ahead - (rows.T @ error + ridge * ahead) / slope
        moved[:width] = np.maximum(moved[:width], 0.0)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = moved + (momentum - 1) / following * (moved - weights)
        weights, momentum = moved, following
    return weights


def score_with(weights: Floats, features: Floats) -> Floats:
    """The log-odds that fitted weights give."""
    return features @ weights[:-1] + weights[-1]
