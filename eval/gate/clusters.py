"""The mean of values that vary in clusters, and how sure it is.

The standard error is CR2, the "bias-reduced" sandwich of Bell & McCaffrey (2002, Survey Methodology 28, 169-181), and
the degrees of freedom are Satterthwaite's for it (Imbens & Kolesar 2016, Review of Economics and Statistics 98,
701-712), both for a regression on a constant, where they have closed forms. With one value a cluster this is the
one-sample t statistic; with clusters of equal size it is that of the clusters' means.

Two pseudo-tasks, one gained and one lost, are added first, as Bonett & Price (2012, Journal of Educational and
Behavioral Statistics 37, 479-488) do for paired proportions: without them the interval has length 0 when nothing
changed, and covers far too seldom when little did. Each weighs 1/sqrt(k) with k episodes a task and side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from ...extras import need

__all__ = ["Clustered", "Floats", "below", "clustered_mean", "degrees_of_freedom", "quantile", "shrunk_mean"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clustered:
    """A mean with its standard error and degrees of freedom."""

    center: float
    error: float
    freedom: float
    clusters: int

    def interval(self, level: float) -> tuple[float, float]:
        """Student's interval, cut to [-1, 1]."""
        half = self.error * quantile((1 + level) / 2, self.freedom)
        return max(-1.0, self.center - half), min(1.0, self.center + half)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided: one less the level at which the interval would just reach `null`."""
        if self.error == 0:
            return 1.0 if self.center == null else 0.0
        return 2 * below(-abs(self.center - null) / self.error, self.freedom)


def quantile(probability: float, freedom: float) -> float:
    """Of Student's t."""
    return float(need("scipy.special", "intervals").stdtrit(freedom, probability))


def below(value: float, freedom: float) -> float:
    """The probability that Student's t is at most `value`."""
    return float(need("scipy.special", "intervals").stdtr(freedom, value))


def clustered_mean(values: Floats, labels: Sequence[object] | None = None) -> Clustered:
    """The mean of `values`, each of the cluster that its label names; without labels each is one of its own.

    Needs two clusters; with one the error is infinite.
    """
    count = len(values)
    sizes, sums = _by_cluster(values - values.mean(), labels)
    if len(sizes) < 2:
        return Clustered(float(values.mean()), float("inf"), 1.0, len(sizes))
    adjusted = 1 / (1 - sizes / count)
    error = sqrt(float((adjusted * sums**2).sum())) / count
    return Clustered(float(values.mean()), error, degrees_of_freedom(sizes), len(sizes))


def shrunk_mean(values: Floats, labels: Sequence[object] | None, pseudo: tuple[float, float]) -> Clustered:
    """`clustered_mean` with two pseudo-values added, each a cluster of its own (`clusters` counts real ones)."""
    own = list[object](range(len(values))) if labels is None else list(labels)
    found = clustered_mean(np.append(values, pseudo), [*(("", label) for label in own), "gained", "lost"])
    return Clustered(found.center, found.error, found.freedom, len(set(own)))


def degrees_of_freedom(sizes: Floats) -> float:
    """Satterthwaite's, for the CR2 variance of a mean over clusters of these sizes.

    (tr B)^2 / tr(B^2) with B_gh = a_g a_h (n_g [g = h] - n_g n_h / n) and a_g^2 = 1 / (1 - n_g / n).
    """
    count = float(sizes.sum())
    weight = 1 / (1 - sizes / count)
    diagonal = weight * (sizes - sizes**2 / count)
    squares = float((weight * sizes**2).sum() / count) ** 2
    squares += float((diagonal**2 - (weight * sizes**2 / count) ** 2).sum())
    return float(diagonal.sum()) ** 2 / squares


def _by_cluster(residuals: Floats, labels: Sequence[object] | None) -> tuple[Floats, Floats]:
    """Size of each cluster, and sum of its residuals."""
    if labels is None:
        return np.ones(len(residuals)), residuals
    number = {label: index for index, label in enumerate(dict.fromkeys(labels))}
    place = np.array([number[label] for label in labels])
    return np.bincount(place).astype(np.float64), np.bincount(place, residuals).astype(np.float64)
