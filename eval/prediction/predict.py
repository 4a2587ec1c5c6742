"""Everything `trajhub trace predict` does: read, compare, learn, write."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ...errors import UsageError
from ...rollouts.files import write_texts
from ...rollouts.steering.predictor import Predictor, Recipe, Target
from .data import Trace, read_traces
from .evaluate import QUANTILES, alone, evaluate
from .make import MOST_CALLS, make_predictor, outcomes_of, problems_of, versions
from .problem import choose_at, set_budget
from .report import page_of
from .results import PredictionReport, Strategies
from .strategies import Method, find_strategies

__all__ = ["PREDICTOR", "PredictSettings", "predict", "study"]

PREDICTOR = "predictor.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictSettings:
    """What is asked for."""

    target: Target = "success"
    at: tuple[int, ...] = ()
    """Steps after which episodes are looked at; empty: chosen from the data."""
    split: Literal["task", "repository"] = "task"
    folds: int = 5
    seed: int = 0
    resamples: int = 500
    quantiles: tuple[float, ...] = QUANTILES
    budget: float | None = None
    limit: int | None = None
    """Only the first so many episodes."""
    most_calls: int = MOST_CALLS
    clusters: Method | None = "kmeans"
    each: Callable[[], None] = field(default=lambda: None, compare=False)


def predict(runs: Sequence[Path], folder: Path, settings: PredictSettings) -> tuple[PredictionReport, Predictor]:
    """Write `prediction.{json,md,html}`, `figures/` and `predictor.json`. Raises UsageError without enough episodes."""
    traces = read_traces(runs)[: settings.limit]
    with alone():
        report, predictor = study(traces, [str(run) for run in runs], settings)
    texts = page_of(report).texts("prediction")
    texts |= {"prediction.json": report.model_dump_json(indent=2) + "\n", PREDICTOR: predictor.model_dump_json() + "\n"}
    write_texts(folder, texts)
    return report, predictor


def study(
    traces: Sequence[Trace], runs: Sequence[str], settings: PredictSettings
) -> tuple[PredictionReport, Predictor]:
    """Compare models on `traces`, and learn the best one from all of them."""
    recipe, groups = _recipe(traces, settings), _groups(traces, settings.split)
    problems = problems_of(traces, settings.target, recipe, groups, settings.most_calls)
    results = tuple(
        evaluate(
            problem,
            folds=settings.folds,
            seed=settings.seed,
            resamples=settings.resamples,
            quantiles=recipe.quantiles,
            each=settings.each,
        )
        for problem in problems
    )
    best = [one.best for one in results]
    model = max(("linear", "trees"), key=best.count)
    chosen = recipe.model_copy(update={"model": model})
    report = PredictionReport(
        target=settings.target,
        runs=tuple(runs),
        split=settings.split,
        folds=settings.folds,
        seed=settings.seed,
        resamples=settings.resamples,
        episodes=len(traces),
        tasks=len({trace.task for trace in traces}),
        resolved=sum(bool(trace.resolved) for trace in traces),
        graded=sum(trace.resolved is not None for trace in traces),
        budget=recipe.budget,
        budget_unit=recipe.budget_unit,
        results=results,
        strategies=_strategies(traces, settings),
        versions=versions(),
    )
    return report, make_predictor(traces, settings.target, chosen, settings.most_calls)


def _recipe(traces: Sequence[Trace], settings: PredictSettings) -> Recipe:
    budget = set_budget(traces, settings.budget) if settings.target == "cost_overrun" else None
    at: tuple[int, ...] = ()
    if settings.target in ("success", "cost_overrun"):
        at = settings.at or choose_at(traces, outcomes_of(traces, settings.target, budget))
    return Recipe(
        model="linear",
        seed=settings.seed,
        at=at,
        quantiles=settings.quantiles if settings.target == "tool_latency" else (),
        budget=None if budget is None else budget.limit,
        budget_unit=None if budget is None else budget.unit,
    )


def _groups(traces: Sequence[Trace], split: str) -> list[str]:
    if split == "task":
        return [trace.task for trace in traces]
    unknown = sum(trace.repo is None for trace in traces)
    if unknown:
        raise UsageError(f"{unknown} episodes do not say which repository they are of; split by task")
    return [trace.repo or "" for trace in traces]


def _strategies(traces: Sequence[Trace], settings: PredictSettings) -> Strategies | None:
    if settings.clusters is None:
        return None
    try:
        return find_strategies(traces, method=settings.clusters, seed=settings.seed, resamples=settings.resamples)
    except UsageError:
        return None
