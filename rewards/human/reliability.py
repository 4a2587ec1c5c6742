"""Whether a score of 0.8 means what people mean by 0.8: the calibration curve and the expected calibration error."""

from typing import Any, NamedTuple

import numpy as np

from .bootstrap import Floats

__all__ = ["Bin", "Reliability", "reliability"]

_BINS = 10


class Bin(NamedTuple):
    """The steps whose score lies between two bounds."""

    low: float
    high: float
    steps: int
    score: float
    """Mean score."""
    label: float
    """Mean label."""


class Reliability(NamedTuple):
    """A calibration curve."""

    bins: tuple[Bin, ...]
    """Those that hold a step."""
    error: float
    """Mean distance of label and score over the bins, weighted by steps; 0 is perfect."""
    bias: float
    """Mean score minus mean label: above 0, the layer is kinder than people."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "expected_calibration_error": self.error,
            "bias": self.bias,
            "bins": [bin._asdict() for bin in self.bins],
        }


def reliability(scores: Floats, labels: Floats) -> Reliability | None:
    """The curve over ten bins of equal width; None without any step.

    Source of the error: Naeini, Cooper and Hauskrecht 2015, with the mean label in the place of the share of positives.
    """
    if not len(scores):
        return None
    place = np.minimum((scores * _BINS).astype(np.intp), _BINS - 1)
    bins = tuple(_bin(int(number), scores[place == number], labels[place == number]) for number in np.unique(place))
    error = sum(bin.steps * abs(bin.score - bin.label) for bin in bins) / len(scores)
    return Reliability(bins, error, float(np.mean(scores - labels)))


def _bin(number: int, scores: Floats, labels: Floats) -> Bin:
    return Bin(number / _BINS, (number + 1) / _BINS, len(scores), float(scores.mean()), float(labels.mean()))
