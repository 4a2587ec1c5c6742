"""What calibration compares: for each labelled step, what people said and what each layer said, as matrices.

Rows are steps, columns the criteria in the order of `CRITERIA`; NaN where nobody said anything.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..scores import CRITERIA, DIGITS
from .bootstrap import Floats
from .correlation import Indices, clusters_of
from .labels import StepLabel

__all__ = [
    "Observations",
    "RuleScores",
    "ScoredStep",
    "StepKey",
    "observe",
    "overall",
    "weighted_mean",
]

StepKey = tuple[str, str, int]
"""Run, episode and step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredStep:
    """What the layers said of one step."""

    key: StepKey
    task_id: str
    layers: Mapping[str, Mapping[str, float | None]]
    """By layer, the score of each criterion."""
    rules: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    """By criterion, the score of each rule that applied, where `rule_layer` says so."""
    rule_layer: str | None = None
    """The layer that `rules` explains."""
    settled: frozenset[str] = frozenset()
    """Criteria that a decisive rule settled, or set aside, whatever the weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleScores:
    """The rules of one criterion over the steps."""

    names: tuple[str, ...]
    scores: Floats
    """(steps, rules)"""
    settled: NDArray[np.bool_]
    """Steps where the weights of the rules decide nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Labelled steps that have been scored."""

    keys: tuple[StepKey, ...]
    labels: Floats
    """(steps, criteria): the mean over annotators."""
    layers: Mapping[str, Floats]
    """(steps, criteria) of each layer that judges by itself."""
    compounds: Mapping[str, Floats]
    """(steps, criteria) of each combination of layers, as it was recorded."""
    rules: Mapping[str, RuleScores]
    """By criterion."""
    rule_layers: tuple[str | None, ...]
    """Which layer the rules of each step belong to."""
    tasks: Indices
    """The number of each step's task."""
    trajectories: Indices
    """The number of each step's trajectory."""

    def take(self, rows: NDArray[np.bool_]) -> "Observations":
        """Only these steps."""
        return Observations(
            keys=tuple(key for key, taken in zip(self.keys, rows, strict=True) if taken),
            labels=self.labels[rows],
            layers={name: scores[rows] for name, scores in self.layers.items()},
            compounds={name: scores[rows] for name, scores in self.compounds.items()},
            rules={
                name: RuleScores(names=r.names, scores=r.scores[rows], settled=r.settled[rows])
                for name, r in self.rules.items()
            },
            rule_layers=tuple(layer for layer, taken in zip(self.rule_layers, rows, strict=True) if taken),
            tasks=self.tasks[rows],
            trajectories=self.trajectories[rows],
        )

    @property
    def task_count(self) -> int:
        """How many tasks there are."""
        return len(np.unique(self.tasks))

    @property
    def trajectory_count(self) -> int:
        """How many trajectories there are."""
        return len(np.unique(self.trajectories))


def observe(steps: Iterable[ScoredStep], labels: Iterable[StepLabel]) -> Observations:
    """The steps that have both labels and scores, in the order of their keys. Several annotators are averaged."""
    said: dict[StepKey, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for label in labels:
        said[label.run_id, label.episode_id, label.step][label.criterion].append(label.value)
    rows = sorted((step for step in steps if step.key in said and step.layers), key=lambda step: step.key)
    means = [{name: sum(values) / len(values) for name, values in said[row.key].items()} for row in rows]
    names = sorted({name for row in rows for name in row.layers})
    tables = {name: _matrix([row.layers.get(name, {}) for row in rows], CRITERIA) for name in names}
    return Observations(
        keys=tuple(row.key for row in rows),
        labels=_matrix(means, CRITERIA),
        layers={name: table for name, table in tables.items() if not _is_compound(name)},
        compounds={name: table for name, table in tables.items() if _is_compound(name)},
        rules={name: _rules(rows, name) for name in CRITERIA if any(row.rules.get(name) for row in rows)},
        rule_layers=tuple(row.rule_layer for row in rows),
        tasks=clusters_of([row.task_id for row in rows]),
        trajectories=clusters_of([row.key[:2] for row in rows]),
    )


def _is_compound(layer: str) -> bool:
    """Whether a layer is named as `layers.combined_name` names combinations: `weighted(rules@1,judge@1:m)`."""
    return layer.endswith(")")


def _rules(rows: Sequence[ScoredStep], criterion: str) -> RuleScores:
    names = tuple(sorted({rule for row in rows for rule in row.rules.get(criterion, {})}))
    scores = _matrix([row.rules.get(criterion, {}) for row in rows], names)
    return RuleScores(names=names, scores=scores, settled=np.array([criterion in row.settled for row in rows]))


def _matrix(rows: Sequence[Mapping[str, float | None]], columns: Sequence[str]) -> Floats:
    """Rounded as scores are stored, so that equal figures are ties."""
    cells = [[np.nan if (value := row.get(name)) is None else value for name in columns] for row in rows]
    return np.round(np.array(cells, dtype=np.float64).reshape(len(rows), len(columns)), DIGITS)


def weighted_mean(parts: Floats, weights: Floats) -> Floats:
    """The weighted mean of each row over the parts that are there; NaN where none is, or none counts."""
    there = np.isfinite(parts)
    total = there @ weights
    summed = np.where(there, parts, 0.0) @ weights
    mean: Floats = np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan)
    return mean.round(DIGITS)


def overall(scores: Floats, labels: Floats, weights: Floats) -> Floats:
    """What each step is worth by `scores`, over the criteria that were labelled: all answer the same questions."""
    return weighted_mean(np.where(np.isfinite(labels), scores, np.nan), weights)
