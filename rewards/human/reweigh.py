"""A rubric's weights, all of them, refitted to labels: of rules in criteria, layers in criteria, criteria in steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np

from ..config import LayerWeights, RubricConfig
from ..scores import CRITERIA
from .bootstrap import Floats
from .observations import Observations, overall, weighted_mean
from .refit import fit, folds

__all__ = ["FEWEST_TASKS", "Learned", "Predicted", "Weights", "learn", "out_of_fold", "present_weights", "scored"]

FEWEST_TASKS = 3
"""One to test on, and two to choose the strength between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What a rubric weighs."""

    criteria: Floats
    """In the order of `CRITERIA`."""
    layers: Mapping[str, Floats]
    """By criterion, in the order of the observations' layers."""
    rules: Mapping[str, Floats]
    """By criterion, in the order of its `RuleScores.names`."""


class Learned(NamedTuple):
    """Refitted weights."""

    weights: Weights
    strengths: Mapping[str, float | None]
    """By part (`goal_progress rules`, `criteria` …): how strongly the present weights were held on to; None: kept."""


class Predicted(NamedTuple):
    """What weights make of the steps."""

    criteria: Floats
    """(steps, criteria)"""
    overall: Floats
    """(steps,)"""


def present_weights(observations: Observations, rubric: RubricConfig) -> Weights:
    """The weights of a rubric. Layers that are neither rules nor a judge count 1."""
    given, layers = rubric.criteria, rubric.layers
    by_criterion = cast("Mapping[str, LayerWeights]", layers.criteria)
    return Weights(
        criteria=np.array([given[name].weight if name in given else 0.0 for name in CRITERIA]),
        layers={
            name: np.array(
                [_layer_weight(layer, by_criterion.get(name, layers.weights)) for layer in observations.layers]
            )
            for name in CRITERIA
        },
        rules={
            name: np.array([given[name].rules.get(rule, 0.0) if name in given else 0.0 for rule in rules.names])
            for name, rules in observations.rules.items()
        },
    )


def _layer_weight(layer: str, weights: LayerWeights) -> float:
    return {"rules": weights.rules, "judge": weights.judge}.get(layer.partition("@")[0], 1.0)


def scored(observations: Observations, weights: Weights) -> Predicted:
    """The steps scored by these weights; what a decisive rule settled stays as it is."""
    columns = [_criterion(observations, name, weights) for name in CRITERIA]
    table = np.column_stack(columns)
    return Predicted(table, overall(table, observations.labels, weights.criteria))


def _criterion(observations: Observations, name: str, weights: Weights) -> Floats:
    return weighted_mean(_layer_parts(observations, name, weights.rules.get(name)), weights.layers[name])


def _layer_parts(observations: Observations, name: str, rules: Floats | None) -> Floats:
    """What each layer says by one criterion (steps, layers), with the rules weighed by `rules`."""
    place = CRITERIA.index(name)
    parts = np.column_stack([scores[:, place] for scores in observations.layers.values()])
    if rules is None:
        return parts
    known = observations.rules[name]
    again = weighted_mean(known.scores, rules)
    for column, layer in enumerate(observations.layers):
        own = np.array([each == layer for each in observations.rule_layers]) & ~known.settled & np.isfinite(again)
        parts[own, column] = again[own]
    return parts


def learn(observations: Observations, start: Weights) -> Learned:
    """Weights refitted to the labels of these observations, from the inside out. `start` is what is held on to."""
    rules, layers, strengths = dict(start.rules), dict(start.layers), dict[str, float | None]()
    for place, name in enumerate(CRITERIA):
        labels = observations.labels[:, place]
        if name in rules:
            known = observations.rules[name]
            open_to_weights = np.where(known.settled, np.nan, labels)
            rules[name], strengths[f"{name} rules"] = fit(
                known.scores, open_to_weights, rules[name], observations.tasks
            )
        if len(observations.layers) > 1:
            parts = _layer_parts(observations, name, rules.get(name))
            layers[name], strengths[f"{name} layers"] = fit(parts, labels, layers[name], observations.tasks)
    inner = scored(observations, Weights(criteria=start.criteria, layers=layers, rules=rules))
    asked = np.where(np.isfinite(observations.labels), inner.criteria, np.nan)
    target = weighted_mean(observations.labels, start.criteria)
    criteria, strengths["criteria"] = fit(asked, target, start.criteria, observations.tasks)
    return Learned(Weights(criteria=criteria, layers=layers, rules=rules), strengths)


def out_of_fold(observations: Observations, start: Weights, *, seed: int) -> Predicted:
    """Every step scored by weights that were fitted, and whose strengths were chosen, without any step of its task."""
    table = np.full(observations.labels.shape, np.nan)
    whole = np.full(len(observations.labels), np.nan)
    for train, test in folds(observations.tasks, seed=seed):
        weights = learn(observations.take(train), start).weights
        table[test], whole[test] = scored(observations.take(test), weights)
    return Predicted(table, whole)
