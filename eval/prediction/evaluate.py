"""Cross-fitting: every row is predicted by models that saw no row of its group, and scored with honest intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import expm1
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...extras import need
from .metrics import Resamples, binary_scores, estimate, pinball, ratio, time_scores
from .models import Fit, Fitted, models_for
from .problem import Floats, Problem
from .results import CalibrationBin, Importance, ModelScores, TaskResult

__all__ = ["QUANTILES", "CrossFit", "alone", "cross_fit", "evaluate", "fold_numbers"]

QUANTILES = (0.5, 0.9, 0.99)
_BINS = 10
_SHUFFLES = 3
_ROWS_SHUFFLED = 4_000
_HIGHER = ("auc", "average_precision")


@dataclass(frozen=True, slots=True)
class CrossFit:
    """One kind of model, fitted once for each fold without it."""

    raw: Mapping[float | None, Floats]
    """By quantile; None for a probability. Each row by the model that did not see its group."""
    fitted: Sequence[Mapping[float | None, Fitted]]
    """By fold."""


def fold_numbers(problem: Problem, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row: whole groups, and about as many ones in each. Raises UsageError without 2 groups."""
    count = min(folds, problem.group_count)
    if count < 2:
        raise UsageError("all episodes are of one group, so nothing can be held out; give runs over more tasks")
    select = need("sklearn.model_selection", "predictions", "trace")
    splitter = select.StratifiedGroupKFold if problem.binary else select.GroupKFold
    found = np.zeros(len(problem.y), dtype=np.int64)
    y = problem.y.astype(int) if problem.binary else problem.y
    for number, (_, held) in enumerate(
        splitter(count, shuffle=True, random_state=seed).split(problem.x, y, problem.groups)
    ):
        found[held] = number
    return found


def alone() -> Any:
    """Numeric libraries use one thread meanwhile: sums come out alike on every machine, and small fits are faster."""
    need("sklearn.ensemble", "predictions", "trace")  # only what is loaded by then can be limited
    return need("threadpoolctl", "predictions", "trace").threadpool_limits(limits=1)


def cross_fit(
    problem: Problem, folds: NDArray[np.int64], fit: Fit, quantiles: Sequence[float | None], seed: int
) -> CrossFit:
    """Fit one kind of model for every fold and quantile."""
    raw: dict[float | None, Floats] = {quantile: np.zeros(len(problem.y)) for quantile in quantiles}
    fitted = list[Mapping[float | None, Fitted]]()
    for fold in range(int(folds.max()) + 1):
        seen, held = folds != fold, folds == fold
        models = {quantile: fit(problem.x[seen], problem.y[seen], quantile, seed) for quantile in quantiles}
        for quantile, model in models.items():
            raw[quantile][held] = model.raw(problem.x[held])
        fitted.append(models)
    return CrossFit(raw, fitted)


def evaluate(
    problem: Problem,
    *,
    folds: int = 5,
    seed: int = 0,
    resamples: int = 500,
    quantiles: Sequence[float] = QUANTILES,
    each: Callable[[], None] = lambda: None,
) -> TaskResult:
    """Compare all models on one task."""
    split = fold_numbers(problem, folds, seed)
    wanted: tuple[float | None, ...] = (None,) if problem.binary else tuple(quantiles)
    samples = Resamples(problem.groups, resamples, seed)
    fits = dict[str, CrossFit]()
    for name, fit in models_for(problem.at is None).items():
        fits[name] = cross_fit(problem, split, fit, wanted, seed)
        each()
    scored = {name: _scores(problem, one, split, samples) for name, one in fits.items()}
    primary = "log_loss" if problem.binary else "pinball"
    learnt = ("linear", "trees")
    best = min(learnt, key=lambda name: scored[name][primary][0])
    simple = [name for name in scored if name not in learnt]
    leads = {name: estimate(scored[name][primary] - scored[best][primary]) for name in simple}
    strongest = min(simple, key=lambda name: scored[name][primary][0])
    base = scored[simple[0]]
    middle = float(problem.y.mean()) if problem.binary else expm1(float(np.median(problem.y)))
    return TaskResult(
        target=problem.target,
        at=problem.at,
        rows=len(problem.y),
        groups=problem.group_count,
        mean=middle,
        models=tuple(_compared(name, scores, base) for name, scores in scored.items()),
        best=best,
        baseline=strongest,
        lead=leads[strongest],
        better=all(lead.low > 0 for lead in leads.values()),
        calibration=_calibration(problem, fits[best], samples) if problem.binary else (),
        importances=_importances(problem, fits[best], split, seed),
    )


def _scores(problem: Problem, fits: CrossFit, split: NDArray[np.int64], samples: Resamples) -> dict[str, Floats]:
    if problem.binary:
        return binary_scores(problem.y, fits.raw[None], split, samples)
    return time_scores(problem.y, {q: raw for q, raw in fits.raw.items() if q is not None}, samples)


def _compared(name: str, scores: Mapping[str, Floats], base: Mapping[str, Floats]) -> ModelScores:
    gains = {
        key: estimate(values - base[key] if key in _HIGHER else base[key] - values)
        for key, values in scores.items()
        if not key.startswith("coverage")
    }
    return ModelScores(name=name, scores={key: estimate(values) for key, values in scores.items()}, gains=gains)


def _calibration(problem: Problem, fits: CrossFit, samples: Resamples) -> tuple[CalibrationBin, ...]:
    chance = 1 / (1 + np.exp(-fits.raw[None]))
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, _BINS + 1)))
    place = np.clip(np.searchsorted(edges, chance, side="right") - 1, 0, max(len(edges) - 2, 0))
    found = list[CalibrationBin]()
    for number in np.unique(place):
        inside = (place == number).astype(np.float64)
        observed = estimate(ratio(samples, inside * problem.y, inside))
        rows = int(inside.sum())
        found.append(CalibrationBin(predicted=float(chance @ inside / rows), observed=observed, rows=rows))
    return tuple(found)


def _importances(
    problem: Problem, fits: CrossFit, split: NDArray[np.int64], seed: int, most: int = 12
) -> tuple[Importance, ...]:
    """Permutation importance (Breiman 2001, Machine Learning 45, 5-32) on the rows that were held out."""
    random = np.random.default_rng(seed)
    rows = np.arange(len(problem.y))
    if len(rows) > _ROWS_SHUFFLED:
        rows = np.sort(random.choice(rows, _ROWS_SHUFFLED, replace=False))
    parts = [(fits.fitted[fold], rows[split[rows] == fold]) for fold in range(int(split.max()) + 1)]
    parts = [(models, held) for models, held in parts if len(held)]
    before = sum(_loss(models, problem.x[held], problem.y[held]) for models, held in parts)
    found = list[Importance]()
    for column, name in enumerate(problem.names):
        values = problem.x[rows, column]
        if np.unique(values[~np.isnan(values)]).size + bool(np.isnan(values).any()) < 2:
            continue
        grown = list[float]()
        for _ in range(_SHUFFLES):
            after = 0.0
            for models, held in parts:
                x = problem.x[held]
                x[:, column] = random.permutation(x[:, column])
                after += _loss(models, x, problem.y[held])
            grown.append((after - before) / len(rows))
        found.append(Importance(feature=name, loss=float(np.mean(grown)), spread=float(np.std(grown))))
    return tuple(sorted(found, key=lambda one: -one.loss)[:most])


def _loss(models: Mapping[float | None, Fitted], x: Floats, y: Floats) -> float:
    total = 0.0
    for quantile, model in models.items():
        raw = model.raw(x)
        if quantile is None:
            total += float(np.logaddexp(0, np.where(y > 0, -raw, raw)).sum())
        else:
            total += float(pinball(y, raw, quantile).sum()) / len(models)
    return total
