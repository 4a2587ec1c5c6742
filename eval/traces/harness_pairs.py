"""Two harnesses with one model on the same tasks, and what goes with their difference.

The decomposition regresses the outcome on the harness, with an effect for each task, for every subset of measures. How
far the harness's coefficient shrinks when a measure is added, averaged over all orders (Shapley 1953; for regressions
Lindeman, Merenda & Gold 1980), is what that measure accounts for: the parts and the rest add up to the whole
difference. It is bookkeeping of associations, not of causes: measures follow the harness and the outcome may drive
them; correlated measures share their parts by convention; what no measure catches is in the rest.
"""

from itertools import combinations
from math import factorial
from typing import Any

import numpy as np

from ..gate.clusters import clustered_mean, quantile
from .figures import Figures, Interval
from .section import Options
from .source import Source
from .statistics import Floats, holm

__all__ = ["MEASURES", "Measure", "Pair", "pair_of", "shapley"]

MEASURES = {
    "iterations": "coalesce(nullif(requests, 0), steps)",
    "first edit after this share of steps": "coalesce(first_edit_at, 1)",
    "edits": "edits",
    "test runs": "tests_run",
    "tests after the last edit": "coalesce(verifies, 0)",
    "share of calls that fail": "tool_failures / nullif(steps, 0)",
    "share of steps repeated": "repeated",
    "prompt tokens per round": "input_tokens / nullif(requests, 0)",
}
"""Of an episode; few, because every subset of them is fitted. An episode without an edit edits after all its steps."""
_KNOWN = 0.9
_LIMITS = "'step_limit', 'token_limit', 'cost_limit', 'time_limit'"


class Measure(Figures):
    """One measure of a pair."""

    name: str
    first: float
    """Mean over tasks."""
    second: float
    standardised: Interval
    """(second - first) / standard deviation over episodes."""
    p_holm: float
    explains: Interval
    """Its part of the difference in outcome."""


class Pair(Figures):
    """Two harnesses with one model."""

    model: str | None
    first: str
    second: str
    tasks: int
    """Done by both."""
    episodes: tuple[int, int]
    resolved: tuple[float, float]
    """Mean over tasks."""
    difference: Interval
    """second - first."""
    adjusted_total: Interval
    """The regression's whole difference: as `difference`, but tasks weigh by their episodes."""
    measures: tuple[Measure, ...]
    left_out: tuple[str, ...]
    """Measures not known of 90% of either side's episodes, or without variance."""
    rest: Interval
    """Of the difference, what no measure accounts for."""
    at_limit: tuple[float, float]
    """Share of episodes that a limit of steps, tokens, cost or time ended."""
    cost: tuple[float | None, float | None]
    """Median USD of an episode."""


def shapley(matrices: Floats, measures: int) -> Floats:
    """How far the harness's coefficient shrinks by each measure, averaged over all orders; and the rest, last.

    `matrices` are cross products (resamples, m, m) of outcome, harness and measures, in that order, after each task's
    means were taken out. The parts add up to the coefficient without any measure.
    """
    effect = {
        subset: _effect(matrices, subset)
        for size in range(measures + 1)
        for subset in combinations(range(measures), size)
    }
    parts = np.zeros((len(matrices), measures + 1))
    for each in range(measures):
        for subset in effect:
            if each not in subset:
                weight = factorial(len(subset)) * factorial(measures - len(subset) - 1) / factorial(measures)
                larger = tuple(sorted((*subset, each)))
                parts[:, each] += weight * (effect[subset] - effect[larger])
    parts[:, measures] = effect[tuple(range(measures))]
    return parts


def _effect(matrices: Floats, subset: tuple[int, ...]) -> Floats:
    places = [1, *(2 + each for each in subset)]
    square = matrices[:, places][:, :, places]
    ridge = 1e-9 * np.trace(square, axis1=1, axis2=2)[:, None, None] * np.eye(len(places))
    with np.errstate(all="ignore"):
        solve: Any = np.linalg.solve
        solved = solve(square + ridge + 1e-300 * np.eye(len(places)), matrices[:, places, 0][:, :, None])
    return solved[:, 0, 0]


def pair_of(source: Source, name: str, row: dict[str, Any], options: Options) -> Pair:
    """The comparison of `first` and `second` of a row with one `model`; `name` is SQL for whose they are."""
    model, first, second = row["model"], row["first"], row["second"]
    found = _episodes(source, name, model, first, second)
    side, task, y = found["side"].astype(int), found["task"].astype(int), found["resolved"].astype(np.float64)
    kept, left_out = _usable(found, side)
    complete = np.all([~np.isnan(found[one]) for one in kept], axis=0) if kept else np.ones(len(y), dtype=bool)
    scaled = {one: found[one] / found[one][complete].std() for one in kept}
    parts = _decomposed(y, side, task, [scaled[one] for one in kept], complete, options)
    difference = _paired(y, side, task)
    differences = [_paired(scaled[one], side, task) for one in kept]
    p = holm([_p(one) for one in differences]) if kept else []
    return Pair(
        model=model,
        first=first,
        second=second,
        tasks=row["tasks"],
        episodes=(int((side == 0).sum()), int((side == 1).sum())),
        resolved=(_level(y, side, task, 0), _level(y, side, task, 1)),
        difference=_interval(difference),
        adjusted_total=_percentiles(parts.sum(axis=1), int(complete.sum()), row["tasks"]),
        measures=tuple(
            Measure(name=one, first=_level(found[one], side, task, 0), second=_level(found[one], side, task, 1),
                    standardised=_interval(differences[place]), p_holm=p[place],
                    explains=_percentiles(parts[:, place], int(complete.sum()), row["tasks"]))
            for place, one in enumerate(kept)
        ),
        left_out=left_out,
        rest=_percentiles(parts[:, -1], int(complete.sum()), row["tasks"]),
        at_limit=tuple(float(np.nan_to_num(found["at_limit"][side == one]).mean()) for one in (0, 1)),  # type: ignore[arg-type]
        cost=tuple(_median(found["cost"][side == one]) for one in (0, 1)),  # type: ignore[arg-type]
    )  # fmt: skip


def _episodes(source: Source, name: str, model: object, first: str, second: str) -> dict[str, Any]:
    """Episodes of both sides on the tasks that both did, one array a column."""
    listed = ", ".join(f'CAST({sql} AS DOUBLE) AS "{label}"' for label, sql in MEASURES.items())
    quoted = [str(one).replace("'", "''") for one in (first, second)]
    same = "model IS NULL" if model is None else "model = '" + str(model).replace("'", "''") + "'"
    return source.columns(
        f"""
        WITH sided AS (
            SELECT *, ({name} = '{quoted[1]}')::INT AS side FROM o JOIN habits USING (key)
            WHERE {same} AND {name} IN ('{quoted[0]}', '{quoted[1]}')
        ), shared AS (SELECT cluster FROM sided GROUP BY 1 HAVING count(DISTINCT side) = 2)
        SELECT side, dense_rank() OVER (ORDER BY cluster) - 1 AS task, resolved::INT AS resolved, {listed},
            (stop_reason IN ({_LIMITS}))::INT::DOUBLE AS at_limit, CAST(cost_usd AS DOUBLE) AS cost
        FROM sided WHERE cluster IN (FROM shared) ORDER BY key
        """
    )


def _usable(found: dict[str, Any], side: Any) -> tuple[list[str], tuple[str, ...]]:
    kept, left = list[str](), list[str]()
    for name in MEASURES:
        known = ~np.isnan(found[name])
        enough = all(known[side == one].mean() >= _KNOWN for one in (0, 1) if (side == one).any())
        (kept if enough and found[name][known].std() > 0 else left).append(name)
    return kept, tuple(left)


def _level(values: Floats, side: Any, task: Any, which: int) -> float:
    """Mean over tasks of one side's means."""
    mine = (side == which) & ~np.isnan(values)
    counts = np.bincount(task[mine])
    sums = np.bincount(task[mine], values[mine])
    return float((sums[counts > 0] / counts[counts > 0]).mean())


def _paired(values: Floats, side: Any, task: Any) -> Floats:
    """Second less first, of each task where both are known."""
    known = ~np.isnan(values)
    size = int(task.max()) + 1
    counts = [np.bincount(task[known & (side == one)], minlength=size) for one in (0, 1)]
    sums = [np.bincount(task[known & (side == one)], values[known & (side == one)], minlength=size) for one in (0, 1)]
    both = (counts[0] > 0) & (counts[1] > 0)
    return sums[1][both] / counts[1][both] - sums[0][both] / counts[0][both]


def _interval(differences: Floats) -> Interval:
    found = clustered_mean(differences)
    if found.error == float("inf") or len(differences) < 2:
        return Interval(value=found.center, n=len(differences), clusters=len(differences))
    half = found.error * quantile(0.975, found.freedom)
    return Interval(
        value=found.center,
        low=found.center - half,
        high=found.center + half,
        n=len(differences),
        clusters=len(differences),
    )


def _p(differences: Floats) -> float:
    return clustered_mean(differences).p_value() if len(differences) > 1 else 1.0


def _decomposed(y: Floats, side: Any, task: Any, measures: list[Floats], complete: Any, options: Options) -> Floats:
    """Parts of the difference: of the data first, then of resampled tasks."""
    columns = np.column_stack([y, side.astype(np.float64), *measures])[complete]
    place = np.unique(task[complete], return_inverse=True)[1]
    sizes = np.bincount(place)
    for column in range(columns.shape[1]):
        columns[:, column] -= (np.bincount(place, columns[:, column]) / sizes)[place]
    products = np.zeros((len(sizes), columns.shape[1], columns.shape[1]))
    np.add.at(products, place, columns[:, :, None] * columns[:, None, :])
    random = np.random.default_rng(options.seed)
    drawn = random.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=min(options.resamples, 500))
    weights = np.vstack([np.ones(len(sizes)), drawn])
    return shapley(np.tensordot(weights, products, axes=1), len(measures))


def _percentiles(values: Floats, n: int, clusters: int) -> Interval:
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(drawn, (0.025, 0.975)) if len(drawn) > 1 else (np.nan, np.nan)
    return Interval(value=float(values[0]), low=float(low), high=float(high), n=n, clusters=clusters)


def _median(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else None
