"""Models, from the simplest to boosted trees, and each as the plain data of a predictor's file."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Any, Protocol

import numpy as np

from ...extras import need
from ...rollouts.steering.facts import ACTIONS
from ...rollouts.steering.predictor import Constant, Linear, Tree, Trees
from .problem import Floats

__all__ = ["BASELINE", "Fitted", "models_for"]

BASELINE = "baseline"
_LEAST = 20


class Fitted(Protocol):
    """A model that has learnt."""

    def raw(self, x: Floats) -> Floats:
        """Log-odds, or log(1 + milliseconds), for rows of features."""
        ...

    def artefact(self) -> Constant | Linear | Trees | None:
        """As plain data; None for one that is only compared against."""
        ...


Fit = Callable[[Floats, Floats, float | None, int], Fitted]
"""From features, outcomes, the quantile wanted (None: a probability) and a seed."""


def models_for(calls: bool) -> dict[str, Fit]:
    """The models that are compared, by name; the first is the baseline."""
    simple: dict[str, Fit] = {BASELINE: _constant}
    if calls:
        simple["by kind of call"] = _by_action
    return {**simple, "linear": _linear, "trees": _trees}


@dataclass(frozen=True, slots=True)
class _Same:
    """The share of ones, or a quantile of the times, of everybody."""

    value: float

    def raw(self, x: Floats) -> Floats:
        return np.full(len(x), self.value)

    def artefact(self) -> Constant:
        return Constant(value=self.value)


def _constant(x: Floats, y: Floats, quantile: float | None, seed: int) -> _Same:
    return _Same(_level(y, quantile))


def _level(y: Floats, quantile: float | None) -> float:
    if quantile is not None:
        return float(np.quantile(y, quantile))
    share = (float(y.sum()) + 0.5) / (len(y) + 1)
    return log(share / (1 - share))


@dataclass(frozen=True, slots=True)
class _Levels:
    """The same by kind of call; a call's kind is among the first features."""

    values: Floats

    def raw(self, x: Floats) -> Floats:
        return self.values[x[:, : len(ACTIONS)].argmax(axis=1)]

    def artefact(self) -> None:
        return None


def _by_action(x: Floats, y: Floats, quantile: float | None, seed: int) -> _Levels:
    kinds = x[:, : len(ACTIONS)].argmax(axis=1)
    rows = [kinds == number for number in range(len(ACTIONS))]
    return _Levels(np.array([_level(y[row] if row.sum() >= _LEAST else y, quantile) for row in rows]))


@dataclass(frozen=True, slots=True)
class _Weights:
    """A linear model over standardised features."""

    fill: Floats
    mean: Floats
    scale: Floats
    weights: Floats
    intercept: float

    def raw(self, x: Floats) -> Floats:
        return (np.where(np.isnan(x), self.fill, x) - self.mean) / self.scale @ self.weights + self.intercept

    def artefact(self) -> Linear:
        fill, mean, scale, weights = (tuple(map(float, v)) for v in (self.fill, self.mean, self.scale, self.weights))
        return Linear(fill=fill, mean=mean, scale=scale, weights=weights, intercept=self.intercept)


def _linear(x: Floats, y: Floats, quantile: float | None, seed: int) -> _Weights:
    """Logistic regression; for times ridge regression moved by the residuals' quantile."""
    known = ~np.isnan(x)
    fill = np.array([np.median(x[known[:, i], i]) if known[:, i].any() else 0.0 for i in range(x.shape[1])])
    full = np.where(known, x, fill)
    mean, scale = full.mean(axis=0), full.std(axis=0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    z = (full - mean) / scale
    module, nothing = need("sklearn.linear_model", "predictions", "trace"), np.zeros(x.shape[1])
    if quantile is None:
        if y.min() == y.max():
            return _Weights(fill, mean, scale, nothing, _level(y, None))
        model = module.LogisticRegression(C=0.1, max_iter=2000, tol=1e-8).fit(z, y)
        return _Weights(fill, mean, scale, model.coef_[0], float(model.intercept_[0]))
    model: Any = module.Ridge(alpha=10.0).fit(z, y)
    rest = y - model.predict(z)
    return _Weights(fill, mean, scale, model.coef_, float(model.intercept_) + float(np.quantile(rest, quantile)))


@dataclass(frozen=True, slots=True)
class _Boosted:
    """Gradient-boosted trees over histograms."""

    model: Any

    def raw(self, x: Floats) -> Floats:
        # No public method gives a classifier's sum without its last bits lost in a probability and back.
        return self.model._raw_predict(x)[:, 0]

    def artefact(self) -> Trees:
        trees = [_tree(one[0].nodes) for one in self.model._predictors]
        return Trees(start=float(np.ravel(self.model._baseline_prediction)[0]), trees=tuple(trees))


def _tree(nodes: Any) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=tuple(-1 if end else int(index) for end, index in zip(leaf, nodes["feature_idx"], strict=True)),
        threshold=tuple(map(float, nodes["num_threshold"])),
        unknown_left=tuple(map(bool, nodes["missing_go_to_left"])),
        left=tuple(map(int, nodes["left"])),
        right=tuple(map(int, nodes["right"])),
        value=tuple(map(float, nodes["value"])),
    )


def _trees(x: Floats, y: Floats, quantile: float | None, seed: int) -> Fitted:
    module = need("sklearn.ensemble", "predictions", "trace")
    how: dict[str, Any] = {
        "learning_rate": 0.08,
        "max_iter": 80,
        "max_leaf_nodes": 15,
        "min_samples_leaf": _LEAST,
        "l2_regularization": 1.0,
        "early_stopping": False,
        "random_state": seed,
    }
    x = np.where(np.isnan(x).all(axis=0), 0.0, x)  # what nobody knows cannot be put into bins; no tree will ask for it
    if quantile is not None:
        return _Boosted(module.HistGradientBoostingRegressor(loss="quantile", quantile=quantile, **how).fit(x, y))
    if y.min() == y.max():
        return _constant(x, y, None, seed)
    return _Boosted(module.HistGradientBoostingClassifier(**how).fit(x, y.astype(int)))
