"""What is planted is found, what is not there is not, and errors are those that the literature means."""

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.eval.prediction.data import Trace
from trajectory_hub.eval.prediction.evaluate import alone, evaluate, fold_numbers
from trajectory_hub.eval.prediction.make import make_predictor
from trajectory_hub.eval.prediction.metrics import Resamples, binary_scores, time_scores
from trajectory_hub.eval.prediction.models import models_for
from trajectory_hub.eval.prediction.predict import PredictSettings, study
from trajectory_hub.eval.prediction.problem import Problem, call_problem, choose_at, episode_problem, set_budget
from trajectory_hub.eval.prediction.report import page_of, verdict
from trajectory_hub.eval.prediction.strategies import find_strategies
from trajectory_hub.rollouts.steering.features import CALL_NAMES, NAMES
from trajectory_hub.rollouts.steering.predictor import Predictor, Recipe, Trees

from .made import episode, episodes, step

REFERENCE: Any = import_module("sklearn.metrics")


def success(traces: list[Trace], at: int = 3) -> Problem:
    outcomes, tasks = [trace.resolved for trace in traces], [trace.task for trace in traces]
    return episode_problem(traces, outcomes, "success", at, tasks)


def test_scores_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    y = (random.random(300) < 0.4).astype(float)
    raw = np.round(random.normal(size=300) + y, 1)  # ties
    chance = 1 / (1 + np.exp(-raw))
    groups = np.arange(300) % 40
    found = binary_scores(y, raw, np.zeros(300, dtype=int), Resamples(groups, 3, 0))
    assert found["auc"][0] == pytest.approx(REFERENCE.roc_auc_score(y, raw))
    assert found["average_precision"][0] == pytest.approx(REFERENCE.average_precision_score(y, raw))
    assert found["brier"][0] == pytest.approx(REFERENCE.brier_score_loss(y, chance))
    assert found["log_loss"][0] == pytest.approx(REFERENCE.log_loss(y, chance))
    samples = Resamples(groups, 3, 0)
    again = REFERENCE.roc_auc_score(y, raw, sample_weight=samples.weights[2][samples.place])
    assert found["auc"][2] == pytest.approx(again), "resamples weigh whole groups"
    times = random.lognormal(size=300)
    timed = time_scores(times, {0.5: raw, 0.9: raw + 1}, samples)
    assert timed["pinball_0.9"][0] == pytest.approx(REFERENCE.mean_pinball_loss(times, raw + 1, alpha=0.9))
    assert timed["mae_log"][0] == pytest.approx(np.abs(times - raw).mean())
    assert timed["coverage_0.5"][0] == pytest.approx((times <= raw).mean())


def test_areas_compare_within_folds() -> None:
    """Scores that only tell folds apart are worth nothing, although the folds' shares differ."""
    y = np.array([1.0, 1.0, 1.0, 0.0] * 10 + [0.0, 0.0, 0.0, 1.0] * 10)
    folds = np.array([0] * 40 + [1] * 40)
    found = binary_scores(y, folds.astype(float), folds, Resamples(np.arange(80), 2, 0))
    assert found["auc"][0] == 0.5


def test_no_group_is_on_both_sides_of_a_split() -> None:
    problem = success(episodes(120))
    split = fold_numbers(problem, 5, 0)
    assert set(split) == set(range(5))
    assert all(len(set(split[problem.groups == group])) == 1 for group in np.unique(problem.groups))
    with pytest.raises(UsageError, match="one group"):
        fold_numbers(replace(problem, groups=np.zeros_like(problem.groups)), 5, 0)


def test_intervals_are_wider_when_episodes_of_a_task_are_alike() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=20), 10)
    clustered, independent = np.repeat(np.arange(20), 10), np.arange(200)
    widths = [np.std(Resamples(groups, 400, 0).sums(values)) for groups in (clustered, independent)]
    assert widths[0] > 2.5 * widths[1], "the square root of ten"


def test_what_is_planted_is_found() -> None:
    with alone():
        result = evaluate(success(episodes(300)), resamples=100)
    best = next(one for one in result.models if one.name == result.best)
    assert result.better and best.scores["auc"].low > 0.75
    assert "is better than the baseline" in verdict(result)
    assert {one.feature for one in result.importances[:3]} & {"share_failed", "failed_in_a_row"}
    assert sum(one.rows for one in result.calibration) == result.rows
    assert all(one.observed.low - 0.25 <= one.predicted <= one.observed.high + 0.25 for one in result.calibration)


def test_where_nothing_is_to_be_found_nothing_is() -> None:
    with alone():
        result = evaluate(success(episodes(200, telling=False, seed=3)), resamples=100)
    assert not result.better and "is not shown to be better than the baseline" in verdict(result)
    base = result.models[0].scores["auc"]
    assert (base.value, base.low, base.high) == (0.5, 0.5, 0.5)


def test_names_of_tasks_and_outcomes_are_no_features() -> None:
    traces = episodes(60)
    renamed = [episode(f"x{i}", t.steps, resolved=not t.resolved) for i, t in enumerate(traces)]
    assert np.array_equal(success(traces).x, success(renamed).x, equal_nan=True)
    assert not [name for name in (*NAMES, *CALL_NAMES) if "task" in name or "repo" in name or "seed" in name]


def test_a_predictor_without_scikit_learn_says_the_same() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(400, len(NAMES)))
    x[random.random(x.shape) < 0.2] = np.nan
    x[:, 5] = np.nan  # known of nobody
    y = (np.nan_to_num(x[:, 0]) + random.normal(size=400) > 0).astype(float)
    asked = random.normal(size=(100, len(NAMES)))
    asked[random.random(asked.shape) < 0.3] = np.nan
    with alone():
        for name, quantile in (("linear", None), ("trees", None), ("linear", 0.9), ("trees", 0.9)):
            fitted = models_for(False)[name](x, y if quantile is None else np.nan_to_num(x[:, 1]) + y, quantile, 0)
            plain = fitted.artefact()
            assert plain is not None
            kept = type(plain).model_validate_json(plain.model_dump_json())
            theirs, ours = fitted.raw(asked), [kept.raw(list(row)) for row in asked]
            assert np.abs(theirs - np.array(ours)).max() < 1e-9, name


def test_the_same_seed_gives_the_same_bytes() -> None:
    settings = PredictSettings(at=(3,), resamples=30, folds=2, clusters=None)
    with alone():
        one, other = (study(episodes(100), ["made"], settings) for _ in range(2))
    assert one[0].model_dump_json() == other[0].model_dump_json()
    assert one[1].model_dump_json() == other[1].model_dump_json()
    assert page_of(one[0]).html() == page_of(other[0]).html()


def test_times_are_predicted_with_their_quantiles() -> None:
    traces = episodes(150)
    with alone():
        problem = call_problem(traces, "tool_latency", [t.task for t in traces])
        result = evaluate(problem, resamples=50, folds=3, quantiles=(0.5, 0.9))
        predictor = make_predictor(traces, "tool_latency", Recipe(model="trees", quantiles=(0.5, 0.9)))
    assert not result.better, "tests take longer than the rest: that is all there is, and a baseline knows it"
    assert all(one.gains["pinball"].low > 0 for one in result.models[1:])
    best = next(one for one in result.models if one.name == result.best)
    assert best.scores["coverage_0.9"].value == pytest.approx(0.9, abs=0.05)
    assert best.scores["mae_log"].high < result.models[0].scores["mae_log"].low
    assert isinstance(predictor.heads[0].model, Trees) and predictor.head_for(0.8).quantile == 0.9
    [(history, test)] = list(episode("t", [step("test", program="pytest", action_chars=40)]).histories())
    typical = predictor.head_for(0.5).predict(history.call_vector(test.call))
    assert 150 < typical < 1000, "about exp(6) ms"
    assert Predictor.model_validate_json(predictor.model_dump_json()) == predictor


def test_a_call_that_timed_out_says_nothing_of_how_long_those_take_that_end() -> None:
    hung = step("test", tool_ms=60_000.0, error="timeout", failed=True)
    traces = [episode("a", [step("test", tool_ms=100.0, failed=False), hung])]
    assert call_problem(traces, "tool_latency", ["a"]).rows == ((0, 0),)
    assert call_problem(traces, "next_tool_failure", ["a"]).rows == ((0, 0), (0, 1))


def test_failures_of_calls_are_compared_with_their_kind() -> None:
    traces = episodes(60)
    problem = call_problem(traces, "next_tool_failure", [t.task for t in traces], most=200)
    assert len(problem.y) == 200 and problem.binary
    with alone():
        names = [one.name for one in evaluate(problem, resamples=20, folds=3).models]
    assert names == ["baseline", "by kind of call", "linear", "trees"]


def test_a_budget_is_what_most_episodes_take() -> None:
    costs = [episode("t", [step()], cost=float(i)) for i in range(1, 11)]
    budget = set_budget(costs, None)
    assert (budget.limit, budget.unit) == (pytest.approx(8.2), "usd")
    assert set_budget(costs, 3.0).limit == 3.0
    assert set_budget([episode("t", [step()] * n, cost=0.0) for n in (1, 2)], None).unit == "tokens"


def test_too_little_is_said_to_be_too_little() -> None:
    few = episodes(20)
    with pytest.raises(UsageError, match="too little to learn from"):
        choose_at(few, [t.resolved for t in few])
    assert set(choose_at(episodes(200), [t.resolved for t in episodes(200)])) <= {1, 2, 3, 5, 8}


@pytest.mark.parametrize("method", ["kmeans", "agglomerative"])
def test_strategies_are_found_and_described(method: str) -> None:
    def sizes(count: int) -> list[int]:
        return [int(size) for size in random.lognormal(6, 0.3, count)]

    random = np.random.default_rng(0)
    readers = [
        episode(
            f"t{i}", [step("read", observation_chars=n) for n in sizes(int(random.integers(7, 12)))], resolved=False
        )
        for i in range(40)
    ]
    testers = [
        episode(f"t{i}", [step("test", failed=True, observation_chars=n) for n in sizes(int(random.integers(4, 6)))])
        for i in range(20)
    ]
    with alone():
        found = find_strategies([*readers, *testers], method=method, resamples=30)  # type: ignore[arg-type]
    assert [one.episodes for one in found.clusters] == [40, 20]
    one, other = found.clusters
    assert one.resolved is not None and other.resolved is not None
    assert (one.resolved.value, other.resolved.value) == (0.0, 1.0)
    assert other.marks.keys() & {"share_test", "share_failed", "tests_run", "share_read", "failed_in_a_row"}
    assert found.stabilities[2] > 0.9
