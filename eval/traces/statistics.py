"""Intervals, tests and corrections that several sections use."""

from collections.abc import Callable, Sequence
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from ...extras import need
from ..gate.clusters import degrees_of_freedom, quantile
from .figures import Interval

__all__ = [
    "Floats",
    "benjamini_hochberg",
    "bootstrap",
    "clustered",
    "exact_at_the_ends",
    "holm",
    "mann_whitney",
    "stratified",
]

Floats = NDArray[np.float64]


def clustered(sizes: Floats, sums: Floats, level: float = 0.95) -> Interval:
    """The mean of values that come in clusters, given each cluster's number of values and their sum.

    CR2 standard error and Satterthwaite's degrees of freedom (Bell & McCaffrey 2002; see eval/gate/clusters.py). With
    one cluster there is no interval.
    """
    sizes, sums = np.nan_to_num(sizes.astype(np.float64)), np.nan_to_num(sums.astype(np.float64))
    sizes, sums = sizes[sizes > 0], sums[sizes > 0]
    count = float(sizes.sum())
    if not count:
        return Interval(value=None, n=0)
    mean = float(sums.sum()) / count
    if len(sizes) < 2:
        return Interval(value=mean, n=int(count), clusters=len(sizes))
    residuals = sums - sizes * mean
    error = sqrt(float((residuals**2 / (1 - sizes / count)).sum())) / count
    half = error * quantile((1 + level) / 2, degrees_of_freedom(sizes))
    return Interval(value=mean, low=mean - half, high=mean + half, n=int(count), clusters=len(sizes))


def exact_at_the_ends(share: Interval) -> Interval:
    """A share with the 95% interval of Clopper & Pearson (1934), clusters being trials, where it is 0 or 1 in each.

    Where nothing varies, an interval made from the variance says that nothing is uncertain.
    """
    if not share.clusters or share.value not in (0.0, 1.0):
        return share
    far = 0.025 ** (1 / share.clusters)
    low, high = (far, 1.0) if share.value else (0.0, 1 - far)
    return share.model_copy(update={"low": low, "high": high})


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The least false-discovery rate at which each would be found (Benjamini & Hochberg 1995)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    found = np.empty(len(p))
    found[order] = np.minimum(1, np.minimum.accumulate(scaled[::-1])[::-1])
    return [float(each) for each in found]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for the chance of any false finding at all (Holm 1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    scaled = p[order] * (len(p) - np.arange(len(p)))
    found = np.empty(len(p))
    found[order] = np.minimum(1, np.maximum.accumulate(scaled))
    return [float(each) for each in found]


def stratified(both: Floats, marked: Floats, good: Floats, size: Floats) -> float | None:
    """Two-sided p of the Cochran-Mantel-Haenszel test, continuity-corrected; null where no stratum can tell.

    Of each stratum: units, how many are `good`, how many `marked`, how many both. Mantel & Haenszel 1959.
    """
    several = size > 1
    both, marked, good, size = both[several], marked[several], good[several], size[several]
    expected = good * marked / size
    variance = float((good * (size - good) * marked * (size - marked) / (size**2 * (size - 1))).sum())
    if variance <= 0:
        return None
    distance = max(0.0, abs(float((both - expected).sum())) - 0.5)
    return erfc(sqrt(distance**2 / variance / 2))


def mann_whitney(first: Floats, second: Floats) -> tuple[float | None, float | None]:
    """Cliff's delta P(first > second) - P(first < second), and the two-sided p of the Mann-Whitney test."""
    if not len(first) or not len(second):
        return None, None
    tested = need("scipy.stats", "tests").mannwhitneyu(first, second, alternative="two-sided")
    return float(2 * tested.statistic / (len(first) * len(second)) - 1), float(tested.pvalue)


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], float], units: int, *, seed: int, resamples: int = 1000
) -> tuple[float, float]:
    """95% percentile interval of a statistic of units drawn with replacement; NaN resamples are left out."""
    random = np.random.default_rng(seed)
    drawn = [statistic(random.integers(units, size=units)) for _ in range(resamples)]
    kept = np.asarray([each for each in drawn if not np.isnan(each)])
    if len(kept) < resamples / 2:
        return float("nan"), float("nan")
    low, high = np.quantile(kept, (0.025, 0.975))
    return float(low), float(high)
