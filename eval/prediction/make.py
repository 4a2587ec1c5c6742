"""A predictor from episodes: a head for each step or quantile, each learnt from all of them."""

from collections.abc import Sequence

from ...errors import UsageError
from ...extras import need
from ...rollouts.steering.features import CALL_NAMES, NAMES
from ...rollouts.steering.predictor import Head, Predictor, Recipe, Target
from .data import Trace
from .models import models_for
from .problem import Budget, Problem, call_problem, episode_problem

__all__ = ["MOST_CALLS", "make_predictor", "outcomes_of", "problems_of", "versions"]

MOST_CALLS = 40_000
"""Calls that are learnt from, drawn where there are more."""


def outcomes_of(traces: Sequence[Trace], target: Target, budget: Budget | None) -> list[bool | None]:
    """What came of each episode, as far as the target goes; None where it is not known."""
    if target == "success":
        return [trace.resolved for trace in traces]
    assert budget is not None
    costs = [budget.cost(trace) for trace in traces]
    return [None if cost is None else cost > budget.limit for cost in costs]


def problems_of(
    traces: Sequence[Trace], target: Target, recipe: Recipe, groups: Sequence[str], most: int = MOST_CALLS
) -> list[Problem]:
    """The problems of a target: one for each step asked for, or one over all calls."""
    if target in ("next_tool_failure", "tool_latency"):
        return [call_problem(traces, target, groups, most=most, seed=recipe.seed)]
    budget = Budget(recipe.budget, recipe.budget_unit) if recipe.budget is not None and recipe.budget_unit else None
    outcomes = outcomes_of(traces, target, budget)
    found = [episode_problem(traces, outcomes, target, at, groups) for at in recipe.at]
    empty = [problem.at for problem in found if not len(problem.y)]
    if empty:
        raise UsageError(f"no episode with a known outcome goes on after step {empty[0]}")
    return found


def make_predictor(traces: Sequence[Trace], target: Target, recipe: Recipe, most: int = MOST_CALLS) -> Predictor:
    """Learn from all `traces`."""
    tasks = [trace.task for trace in traces]
    heads = list[Head]()
    for problem in problems_of(traces, target, recipe, tasks, most):
        fit = models_for(problem.at is None)[recipe.model]
        for quantile in recipe.quantiles if target == "tool_latency" else (None,):
            model = fit(problem.x, problem.y, quantile, recipe.seed).artefact()
            assert model is not None
            link = "log1p" if target == "tool_latency" else "logistic"
            heads.append(Head(at=problem.at, quantile=quantile, link=link, model=model))
    return Predictor(
        target=target,
        features=CALL_NAMES if target in ("next_tool_failure", "tool_latency") else NAMES,
        recipe=recipe,
        heads=tuple(heads),
        episodes=len(traces),
        tasks=tuple(sorted(set(tasks))),
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """Of the libraries that learnt."""
    return {name: str(need(name, "predictions", "trace").__version__) for name in ("sklearn", "numpy")}
