"""How good predictions are, and how sure that is: intervals from a bootstrap over groups.

Whole groups (tasks, or repositories) are drawn with replacement, since their episodes are alike; intervals are
percentiles (Field & Welsh 2007, Journal of the Royal Statistical Society B 69, 369-390). The areas under the curves
compare rows of the same fold only: models of different folds do not score on one scale.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from .problem import Floats

__all__ = ["Estimate", "Resamples", "binary_scores", "estimate", "pinball", "ratio", "time_scores"]

_SMALL = 1e-12


class Estimate(BaseModel):
    """A figure with its 95% interval."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null", use_attribute_docstrings=True)

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Resamples:
    """Weights of groups in bootstrap samples: how often each was drawn. The first sample is the data itself."""

    def __init__(self, groups: NDArray[np.int64], count: int, seed: int) -> None:
        _, self.place = np.unique(groups, return_inverse=True)
        size = int(self.place.max()) + 1
        drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=count)
        self.weights: Floats = np.vstack([np.ones(size), drawn]).astype(np.float64)

    def sums(self, values: Floats) -> Floats:
        """The sum of `values` (one a row) in each sample."""
        return self.weights @ np.bincount(self.place, values, minlength=self.weights.shape[1])


def estimate(samples: Floats) -> Estimate:
    """From the figure of the data and those of the samples, in this order."""
    known = samples[1:][~np.isnan(samples[1:])]
    low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (np.nan, np.nan)
    return Estimate(value=float(samples[0]), low=float(low), high=float(high))


def ratio(resamples: Resamples, above: Floats, below: Floats | None = None) -> Floats:
    """Sum over sum in each sample; without `below` the mean."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return resamples.sums(above) / resamples.sums(np.ones(len(above)) if below is None else below)


def pinball(y: Floats, predicted: Floats, quantile: float) -> Floats:
    """The quantile loss of each row (Koenker & Bassett 1978, Econometrica 46, 33-50)."""
    rest = y - predicted
    return np.maximum(quantile * rest, (quantile - 1) * rest)


def binary_scores(y: Floats, raw: Floats, folds: NDArray[np.int64], resamples: Resamples) -> dict[str, Floats]:
    """AUC, average precision, Brier score and log loss of log-odds `raw`, in each sample."""
    chance = 1 / (1 + np.exp(-raw))
    kept = np.clip(chance, _SMALL, 1 - _SMALL)
    ranks = [_Ranks(np.flatnonzero(folds == fold), y, raw) for fold in np.unique(folds)]
    areas = np.array([_areas(ranks, weights[resamples.place]) for weights in resamples.weights])
    return {
        "auc": areas[:, 0],
        "average_precision": areas[:, 1],
        "brier": ratio(resamples, (chance - y) ** 2),
        "log_loss": ratio(resamples, -(y * np.log(kept) + (1 - y) * np.log(1 - kept))),
    }


class _Ranks:
    """Rows of one fold in the order of their scores, ties together."""

    def __init__(self, rows: NDArray[np.int64], y: Floats, raw: Floats) -> None:
        self.rows = rows[np.argsort(-raw[rows], kind="stable")]
        scores = raw[self.rows]
        self.starts = np.flatnonzero(np.append(True, scores[1:] != scores[:-1])) if len(rows) else np.array([], int)
        self.y = y[self.rows]

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """Weight of ones and of zeros at each score, highest first."""
        mine = weights[self.rows]
        return np.add.reduceat(mine * self.y, self.starts), np.add.reduceat(mine * (1 - self.y), self.starts)


def _areas(ranks: Sequence[_Ranks], weights: Floats) -> tuple[float, float]:
    """Area under the ROC curve, and average precision; NaN without both outcomes."""
    right = pairs = precision = ones = 0.0
    for one in ranks:
        good, bad = one.counts(weights)
        total, seen, wrong = good.sum(), np.cumsum(good), np.cumsum(bad)
        if total == 0:
            continue
        right += float((good * (wrong[-1] - wrong + bad / 2)).sum())
        pairs += float(total * wrong[-1])
        shown = np.maximum(seen + wrong, _SMALL)
        precision += float((good * seen / shown).sum())
        ones += float(total)
    return (right / pairs if pairs else np.nan), (precision / ones if ones else np.nan)


def time_scores(y: Floats, raw: Mapping[float, Floats], resamples: Resamples) -> dict[str, Floats]:
    """Errors of predicted quantiles of log(1 + milliseconds), in each sample: one median, and every quantile given."""
    middle = min(raw, key=lambda quantile: abs(quantile - 0.5))
    scores = {"mae_log": ratio(resamples, np.abs(y - raw[middle])), "pinball": np.zeros(len(resamples.weights))}
    for quantile, predicted in raw.items():
        name = f"{quantile:g}"
        scores[f"pinball_{name}"] = ratio(resamples, pinball(y, predicted, quantile))
        scores["pinball"] += scores[f"pinball_{name}"] / len(raw)
        scores[f"coverage_{name}"] = ratio(resamples, (y <= predicted).astype(np.float64))
    return scores
