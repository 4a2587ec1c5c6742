"""Confidence intervals by the bootstrap over independent units: items, or clusters such as trajectories.

A statistic is a function of *counts*: an array (resamples, units) that says how often each unit was drawn. The
statistics of agreement and correlation are made of sums over units, so that all resamples are computed at once.

An interval is the figure plus and minus the bootstrap's standard error times Student's t with units - 1 degrees of
freedom, on a scale where the figure is near normal (Fisher's z for correlations, log odds for shares). With few
units this covers better than quantiles of the resamples: in simulations with 5, 8, 15 and 30 clusters it covers a
correlation of 0.6 in 92 to 96 of 100 cases, plain quantiles in 86 to 91, accelerated ones (BCa) in 83 to 91.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...extras import need

__all__ = ["CONFIDENCE", "RESAMPLES", "Estimate", "Floats", "Scale", "Statistic", "estimate"]

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""From counts (resamples, units) to values (resamples,); NaN where a resample does not define the statistic."""
Scale = Literal["correlation", "share", "difference"]
"""What a figure is: in [-1, 1], in [0, 1], or unbounded."""

CONFIDENCE = 0.95
RESAMPLES = 2000
_CELLS = 2_000_000
"""Counts held at once."""
_DEFINED = 0.9
"""Share of resamples that must define the statistic, or the interval would describe only the kind ones."""
_EDGE = 1e-4
"""Resamples are kept this far from the ends of a scale, where the transformed figure would be infinite."""


class Estimate(NamedTuple):
    """A figure with its 95% confidence interval; None where it cannot be said, and why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str | None = None
    """Why there is no figure or no interval."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"value": self.value, "low": self.low, "high": self.high, "note": self.note}

    @property
    def brief(self) -> str:
        """As a cell of a table: without the reason why something cannot be said."""
        if self.value is None:
            return "-"
        return f"{self.value:.2f} (no interval)" if self.low is None else str(self)

    def __str__(self) -> str:
        """`0.71 [0.60, 0.80]`, or in words what cannot be said."""
        if self.value is None:
            return f"cannot be said: {self.note}"
        if self.low is None or self.high is None:
            return f"{self.value:.2f} (no interval: {self.note})"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def estimate(
    statistic: Statistic, units: int, *, scale: Scale, seed: int, undefined: str, resamples: int = RESAMPLES
) -> Estimate:
    """The statistic of all units with its interval; `undefined` says in words why it may have no value.

    Sources: Davison and Hinkley 1997, section 3.8 (resampling clusters); Cameron, Gelbach, Miller 2008 (few clusters).
    """
    if not units:
        return Estimate(None, note="there is nothing to compare")
    value = float(statistic(np.ones((1, units)))[0])
    if not np.isfinite(value):
        return Estimate(None, note=undefined)
    if units == 1:
        return Estimate(value, note="a single unit says nothing about variation")
    drawn = _resampled(statistic, units, resamples, np.random.default_rng(seed))
    kept = drawn[np.isfinite(drawn)]
    if len(kept) < _DEFINED * resamples:
        return Estimate(
            value, note=f"too little varies ({resamples - len(kept)} of {resamples} resamples are undefined)"
        )
    if np.ptp(kept) < 1e-9:
        return Estimate(value, note="every resample gives the same figure")
    return _interval(value, kept, units, scale)


def _resampled(statistic: Statistic, units: int, resamples: int, rng: np.random.Generator) -> Floats:
    batch = max(1, _CELLS // units)
    sizes = [min(batch, resamples - start) for start in range(0, resamples, batch)]
    return np.concatenate([statistic(_counts(rng, units, size)) for size in sizes])


def _counts(rng: np.random.Generator, units: int, size: int) -> Floats:
    """How often each unit is drawn in each of `size` resamples."""
    drawn = rng.integers(0, units, (size, units)) + units * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)


def _interval(value: float, drawn: Floats, units: int, scale: Scale) -> Estimate:
    there, back = _SCALES[scale]
    quantile = float(need("scipy.stats", "intervals").t.ppf((1 + CONFIDENCE) / 2, units - 1))
    reach = quantile * float(np.std(there(drawn), ddof=1))
    middle = there(np.array([value]))
    low, high = float(back(middle - reach)[0]), float(back(middle + reach)[0])
    return Estimate(value, min(low, value), max(high, value))


def _odds(share: Floats) -> Floats:
    inside = np.clip(share, _EDGE, 1 - _EDGE)
    return np.log(inside / (1 - inside))


_SCALES: Mapping[Scale, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = MappingProxyType(
    {
        "correlation": (lambda r: np.arctanh(np.clip(r, _EDGE - 1, 1 - _EDGE)), np.tanh),
        "share": (_odds, lambda odds: 1 / (1 + np.exp(-odds))),
        "difference": (lambda value: value, lambda value: value),
    }
)
