"""Who agrees with whom on what: every measure of agreement over a set of labels, and the items people differ on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from .agreement import (
    Level,
    Weighting,
    agreement_with_others,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    mean_bias,
    mean_distance,
    raw_agreement,
)
from .bootstrap import RESAMPLES, Estimate, Floats, Scale, Statistic, estimate
from .labels import PairLabel, StepLabel
from .ratings import Ratings, ratings_of

__all__ = [
    "AnnotatorAgreement",
    "CriterionAgreement",
    "Disagreement",
    "PairAgreement",
    "Study",
    "interval_alpha",
    "study_agreement",
]

_LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")
_TWO_OTHERS = "it takes two other annotators"
_WEIGHTINGS: tuple[Weighting, ...] = ("unweighted", "linear", "quadratic")


class PairAgreement(NamedTuple):
    """Two annotators."""

    first: str
    second: str
    items: int
    """Rated by both."""
    raw: Estimate
    kappa: Mapping[str, Estimate]
    """Cohen's, by weighting."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        kappa = {name: found.as_dict() for name, found in self.kappa.items()}
        return self._asdict() | {"raw": self.raw.as_dict(), "kappa": kappa}


class AnnotatorAgreement(NamedTuple):
    """One annotator among the others."""

    name: str
    items: int
    """Rated by this and at least one other annotator."""
    raw: Estimate
    """Share of the others' ratings that are the same."""
    bias: Estimate
    """Mean of this annotator's value minus the others' mean: above 0, kinder than they are."""
    alpha_without: Estimate
    """Krippendorff's alpha (interval) of the others; well above that of all, this one reads the scale otherwise."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        figures = {"raw": self.raw, "bias": self.bias, "alpha_without": self.alpha_without}
        return {"name": self.name, "items": self.items} | {key: found.as_dict() for key, found in figures.items()}


class Disagreement(NamedTuple):
    """An item that people differ on."""

    item: str
    spread: float
    """Mean distance between two of its ratings."""
    said: Mapping[str, float]
    """By annotator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionAgreement:
    """Agreement by one criterion."""

    criterion: str
    items: int
    shared: int
    """Items that at least two people rated; everything below rests on these."""
    raw: Estimate
    alpha: Mapping[str, Estimate]
    """Krippendorff's, by level of measurement."""
    fleiss: Estimate
    fleiss_items: int
    """Items with the most common number of ratings, which Fleiss' kappa rests on."""
    pairs: tuple[PairAgreement, ...]
    annotators: tuple[AnnotatorAgreement, ...]
    disagreements: tuple[Disagreement, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "criterion": self.criterion,
            "items": self.items,
            "shared": self.shared,
            "raw": self.raw.as_dict(),
            "krippendorff_alpha": {name: found.as_dict() for name, found in self.alpha.items()},
            "fleiss_kappa": self.fleiss.as_dict() | {"items": self.fleiss_items},
            "cohen_kappa": [pair.as_dict() for pair in self.pairs],
            "annotators": [each.as_dict() for each in self.annotators],
            "disagreements": [each._asdict() for each in self.disagreements],
        }


class Study(NamedTuple):
    """Agreement by every criterion that was labelled."""

    criteria: tuple[CriterionAgreement, ...]
    annotators: Mapping[str, int]
    """Labels by annotator."""
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        criteria = [each.as_dict() for each in self.criteria]
        return {"annotators": dict(self.annotators), "criteria": criteria, "seed": self.seed}


def study_agreement(
    steps: Iterable[StepLabel],
    pairs: Iterable[PairLabel] = (),
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    worst: int = 10,
) -> Study:
    """Measure agreement by every criterion; intervals resample items. `worst` disagreements are listed for each."""
    tables = ratings_of(steps, pairs)
    counted: dict[str, int] = {}
    for table in tables:
        for name, column in zip(table.annotators, table.values.T, strict=True):
            counted[name] = counted.get(name, 0) + int(np.isfinite(column).sum())
    measure = _Measure(seed, resamples)
    return Study(tuple(measure.criterion(table, worst) for table in tables), dict(sorted(counted.items())), seed)


def interval_alpha(table: Ratings, *, seed: int, resamples: int = RESAMPLES) -> Estimate:
    """Krippendorff's alpha (interval) of one table."""
    return _Measure(seed, resamples).alpha(table.shared().values, "interval")


class _Measure:
    """Estimates with one seed."""

    def __init__(self, seed: int, resamples: int) -> None:
        self._seed = seed
        self._resamples = resamples

    def criterion(self, table: Ratings, worst: int) -> CriterionAgreement:
        """Everything about one table."""
        shared = table.shared()
        kappa, kappa_items = fleiss_kappa(shared.values)
        return CriterionAgreement(
            criterion=table.criterion,
            items=len(table.items),
            shared=len(shared.items),
            raw=self._figure(raw_agreement(shared.values), len(shared.items), "share"),
            alpha={level: self.alpha(shared.values, level) for level in _LEVELS},
            fleiss=self._figure(kappa, len(shared.items), "correlation"),
            fleiss_items=kappa_items,
            pairs=tuple(self._pair(shared, *both) for both in combinations(range(len(shared.annotators)), 2)),
            annotators=tuple(self._annotator(shared, place) for place in range(len(shared.annotators))),
            disagreements=_disagreements(shared, worst),
        )

    def alpha(self, values: Floats, level: Level) -> Estimate:
        """Krippendorff's alpha of items that at least two people rated."""
        return self._figure(krippendorff_alpha(values, level), len(values), "correlation")

    def _pair(self, table: Ratings, left: int, right: int) -> PairAgreement:
        both = table.values[:, [left, right]]
        both = both[np.isfinite(both).all(axis=1)]
        first, second = both.T
        return PairAgreement(
            first=table.annotators[left],
            second=table.annotators[right],
            items=len(both),
            raw=self._figure(raw_agreement(both), len(both), "share"),
            kappa={
                weighting: self._figure(cohen_kappa(first, second, weighting), len(both), "correlation")
                for weighting in _WEIGHTINGS
            },
        )

    def _annotator(self, table: Ratings, place: int) -> AnnotatorAgreement:
        values = table.values[np.isfinite(table.values[:, place])]
        own, others = values[:, place], np.delete(values, place, axis=1)
        without = np.delete(table.values, place, axis=1)
        without = without[np.isfinite(without).sum(axis=1) >= 2]
        return AnnotatorAgreement(
            name=table.annotators[place],
            items=len(values),
            raw=self._figure(agreement_with_others(own, others), len(values), "share"),
            bias=self._figure(mean_bias(own, others), len(values), "difference"),
            alpha_without=self.alpha(without, "interval") if others.shape[1] > 1 else Estimate(None, note=_TWO_OTHERS),
        )

    def _figure(self, statistic: Statistic, items: int, scale: Scale) -> Estimate:
        if not items:
            return Estimate(None, note="no item was rated by two people")
        undefined = "everything was given one and the same value, so that chance alone makes people agree"
        found = estimate(statistic, items, scale=scale, seed=self._seed, undefined=undefined, resamples=self._resamples)
        return (
            found._replace(note="one item says nothing about others")
            if items == 1 and found.value is not None
            else found
        )


def _disagreements(table: Ratings, worst: int) -> tuple[Disagreement, ...]:
    distances = mean_distance(table.values)
    order = [i for i in np.argsort(-distances, kind="stable")[:worst] if distances[i] > 0]
    return tuple(
        Disagreement(
            item=table.items[i],
            spread=float(distances[i]),
            said={
                name: float(value)
                for name, value in zip(table.annotators, table.values[i], strict=True)
                if np.isfinite(value)
            },
        )
        for i in order
    )
