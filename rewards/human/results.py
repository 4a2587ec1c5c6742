"""What calibration found: figures with their intervals, and what they do not say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..scores import CRITERIA
from .bootstrap import Estimate, Floats
from .preferences import PairAccuracy
from .reliability import Reliability
from .reweigh import Learned, Weights

__all__ = [
    "COMBINATION",
    "FEW_TRAJECTORIES",
    "OVERALL",
    "REFITTED",
    "Calibration",
    "Change",
    "Comparison",
    "Gate",
    "Refit",
]

OVERALL = "overall"
COMBINATION = "combination"
REFITTED = "refitted"
FEW_TRAJECTORIES = 10
"""Below this many, intervals are said to be rough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One layer against the labels, by one criterion or overall."""

    layer: str
    criterion: str
    steps: int
    """Steps with a label and a score."""
    labelled: int
    """Steps with a label."""
    coefficients: Mapping[str, Estimate]
    """Pearson, Spearman, Kendall."""
    reliability: Reliability | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "layer": self.layer,
            "criterion": self.criterion,
            "steps": self.steps,
            "labelled": self.labelled,
            "coefficients": {name: found.as_dict() for name, found in self.coefficients.items()},
            "reliability": self.reliability.as_dict() if self.reliability is not None else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Pearson's r before and after the refit, on the same steps."""

    criterion: str
    steps: int
    before: Estimate
    after: Estimate
    """Out of fold: each step is scored by weights fitted without its task."""
    in_sample: Estimate
    """On the very labels that were fitted; it flatters."""
    gain: Estimate
    """`after` minus `before`."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        figures = {"before": self.before, "out_of_fold": self.after, "in_sample": self.in_sample, "gain": self.gain}
        return {"criterion": self.criterion, "steps": self.steps} | {k: v.as_dict() for k, v in figures.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """Refitted weights, and what they are worth on tasks they have not seen."""

    before: Weights
    learned: Learned
    changes: tuple[Change, ...]
    """By criterion, then overall."""
    rule_names: Mapping[str, tuple[str, ...]]
    layers: tuple[str, ...]

    @property
    def better(self) -> bool:
        """Whether the gain overall is above 0 beyond its interval."""
        low = self.changes[-1].gain.low
        return low is not None and low > 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "changes": [change.as_dict() for change in self.changes],
            "better": self.better,
            "strengths": dict(self.learned.strengths),
            "weights_before": self._named(self.before),
            "weights_after": self._named(self.learned.weights),
        }

    def _named(self, weights: Weights) -> dict[str, Any]:
        return {
            "criteria": _by_name(CRITERIA, weights.criteria),
            "layers": {name: _by_name(self.layers, weights.layers[name]) for name in CRITERIA},
            "rules": {name: _by_name(self.rule_names[name], values) for name, values in weights.rules.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whether a layer may be trusted: Pearson's r overall against a threshold."""

    layer: str
    least: float
    pearson: Estimate

    @property
    def go(self) -> bool:
        """Whether the estimate reaches the threshold."""
        return self.pearson.value is not None and self.pearson.value >= self.least

    @property
    def sentence(self) -> str:
        """The decision, and how sure it is."""
        if self.pearson.value is None:
            return (
                f"NO-GO: Pearson's r of {self.layer} cannot be said ({self.pearson.note}), {self.least:g} is required."
            )
        decision = "GO" if self.go else "NO-GO"
        said = f"{decision}: Pearson's r of {self.layer} is {self.pearson}, {self.least:g} is required."
        if self.pearson.low is None or self.pearson.high is None:
            return f"{said} How sure that is cannot be said."
        if self.go and self.pearson.low < self.least:
            return f"{said} The interval reaches below it: more labels are needed to be sure."
        if not self.go and self.pearson.high >= self.least:
            return f"{said} The interval reaches above it: more labels may change the decision."
        return said

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        figures = {"layer": self.layer, "min_pearson": self.least, "pearson": self.pearson.as_dict()}
        return {"decision": "GO" if self.go else "NO-GO", "sentence": self.sentence} | figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Everything that was measured."""

    steps: int
    trajectories: int
    tasks: int
    labels: int
    annotators: tuple[str, ...]
    unmatched: int
    """Labels of steps that the runs do not hold, or that nobody scored."""
    alphas: Mapping[str, Estimate]
    """Krippendorff's alpha (interval) among annotators, by criterion: scores are trusted no further than labels."""
    comparisons: tuple[Comparison, ...]
    refit: Refit | None
    not_refitted: str | None
    """Why there is no refit."""
    preferences: Mapping[str, PairAccuracy]
    gate: Gate
    seed: int
    resamples: int

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers compared, the combination included."""
        return tuple(dict.fromkeys(each.layer for each in self.comparisons))

    def comparison(self, layer: str, criterion: str = OVERALL) -> Comparison:
        """One of the comparisons."""
        return next(each for each in self.comparisons if (each.layer, each.criterion) == (layer, criterion))

    @property
    def cautions(self) -> tuple[str, ...]:
        """What the figures do not say."""
        found = list[str]()
        if self.trajectories == 1:
            found.append(
                "All labels come from one trajectory: nothing is known about others, so there are no intervals."
            )
        elif self.trajectories < FEW_TRAJECTORIES:
            found.append(f"The labels come from only {self.trajectories} trajectories: intervals are rough.")
        if len(self.annotators) == 1:
            found.append("One person labelled: nothing is known about whether others would agree.")
        if self.unmatched:
            found.append(f"{self.unmatched} labels belong to steps that are not in these runs or have no score.")
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "gate": self.gate.as_dict(),
            "steps": self.steps,
            "trajectories": self.trajectories,
            "tasks": self.tasks,
            "labels": self.labels,
            "annotators": list(self.annotators),
            "unmatched_labels": self.unmatched,
            "cautions": list(self.cautions),
            "krippendorff_alpha": {name: found.as_dict() for name, found in self.alphas.items()},
            "comparisons": [each.as_dict() for each in self.comparisons],
            "refit": self.refit.as_dict() if self.refit is not None else None,
            "not_refitted": self.not_refitted,
            "preferences": {name: each.as_dict() for name, each in self.preferences.items()},
            "seed": self.seed,
            "resamples": self.resamples,
        }


def _by_name(names: Iterable[str], weights: Floats) -> dict[str, float]:
    return {name: float(weight) for name, weight in zip(names, weights, strict=True)}
