"""Intervals, tests, corrections and tails, against other implementations and against data whose law is known."""

from importlib import import_module
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from trajectory_hub.eval.gate.clusters import clustered_mean
from trajectory_hub.eval.traces.drift import trend
from trajectory_hub.eval.traces.harness_pairs import shapley
from trajectory_hub.eval.traces.statistics import (
    benjamini_hochberg,
    bootstrap,
    clustered,
    exact_at_the_ends,
    holm,
    mann_whitney,
    stratified,
)
from trajectory_hub.eval.traces.tails import TailFit, fit_tail, log_normal_tail

RANDOM = np.random.default_rng(7)
lstsq: Any = import_module("numpy.linalg").lstsq
stats: Any = import_module("scipy.stats")
OLS: Any = import_module("statsmodels.regression.linear_model").OLS
StratifiedTable: Any = import_module("statsmodels.stats.contingency_tables").StratifiedTable
multipletests: Any = import_module("statsmodels.stats.multitest").multipletests


@pytest.mark.parametrize("tasks", [1, 2, 5, 40])
def test_tasks_that_all_agree_leave_the_uncertainty_of_their_number(tasks: int) -> None:
    for good in (0, tasks):
        found = exact_at_the_ends(clustered(np.ones(tasks), np.full(tasks, float(good == tasks))))
        wanted = stats.binomtest(good, tasks).proportion_ci(0.95, "exact")
        assert (found.low, found.high) == (pytest.approx(wanted.low), pytest.approx(wanted.high))
    mixed = clustered(np.ones(3), np.array([0.0, 1.0, 1.0]))
    assert exact_at_the_ends(mixed) == mixed


def test_a_clustered_mean_from_sums_is_that_of_the_values() -> None:
    labels = RANDOM.integers(0, 9, 200)
    values = labels + RANDOM.normal(size=200)
    whole = clustered_mean(values, labels.tolist())
    found = clustered(np.bincount(labels).astype(np.float64), np.bincount(labels, values).astype(np.float64))
    assert found.value == pytest.approx(values.mean()) and found.n == 200 and found.clusters == 9
    half = whole.error * stats.t.ppf(0.975, whole.freedom)
    assert (found.low, found.high) == pytest.approx((whole.center - half, whole.center + half))


@pytest.mark.parametrize(("sizes", "sums"), [([], []), ([0.0], [0.0]), ([np.nan], [np.nan])])
def test_nothing_has_no_mean(sizes: list[float], sums: list[float]) -> None:
    assert clustered(np.array(sizes), np.array(sums)).value is None


def test_one_cluster_has_no_interval() -> None:
    found = clustered(np.array([4.0, 0.0]), np.array([8.0, 0.0]))
    assert (found.value, found.low, found.clusters) == (2.0, None, 1)


@pytest.mark.parametrize(("ours", "theirs"), [(benjamini_hochberg, "fdr_bh"), (holm, "holm")])
def test_corrections_equal_statsmodels(ours: object, theirs: str) -> None:
    p = RANDOM.uniform(size=40) ** 3
    assert callable(ours) and ours(p.tolist()) == pytest.approx(multipletests(p, method=theirs)[1])


def test_the_stratified_test_equals_statsmodels() -> None:
    tables = [RANDOM.integers(0, 6, (2, 2)) + np.eye(2, dtype=int) for _ in range(12)]
    both, marked, good, size = (
        np.array([float(one) for one in column])
        for column in zip(*((t[0, 0], t[0].sum(), t[:, 0].sum(), t.sum()) for t in tables), strict=True)
    )
    wanted = StratifiedTable(tables).test_null_odds(correction=True).pvalue
    assert stratified(both, marked, good, size) == pytest.approx(wanted)


def test_strata_without_contrast_say_nothing() -> None:
    assert stratified(np.ones(3), np.ones(3), np.ones(3), np.ones(3)) is None


def test_cliffs_delta_counts_pairs() -> None:
    one, two = RANDOM.integers(0, 6, 15).astype(float), RANDOM.integers(2, 9, 11).astype(float)
    wanted = np.mean([np.sign(a - b) for a in one for b in two])
    delta, p = mann_whitney(one, two)
    assert delta == pytest.approx(wanted)
    assert p == pytest.approx(stats.mannwhitneyu(one, two).pvalue)
    assert mann_whitney(one, two[:0]) == (None, None)


def test_a_bootstrap_interval_covers_the_mean() -> None:
    values = RANDOM.normal(3, 1, 60)
    low, high = bootstrap(lambda drawn: float(values[drawn].mean()), 60, seed=1, resamples=400)
    assert low < values.mean() < high and high - low == pytest.approx(4 * values.std() / 60**0.5, rel=0.25)


def test_a_trend_is_the_regression_with_an_effect_per_task() -> None:
    task = np.repeat(np.arange(12.0), 5)
    x = RANDOM.uniform(0, 3, 60)
    y = 0.7 * x + task + RANDOM.normal(size=60)
    dummies = (task[:, None] == np.arange(12)).astype(float)
    fitted = OLS(y, np.column_stack([x, dummies])).fit(cov_type="cluster", cov_kwds={"groups": task.astype(int)})
    found = trend(x, y, task)
    assert found.value == pytest.approx(fitted.params[0])
    assert found.low is not None and found.high is not None and found.low < 0.7 < found.high
    plain = OLS(y, np.column_stack([x, dummies])).fit(
        cov_type="cluster", cov_kwds={"groups": task.astype(int), "use_correction": False}
    )
    half = plain.bse[0] * (12 / 11) ** 0.5 * stats.t.ppf(0.975, 11)
    assert found.value is not None and found.high - found.value == pytest.approx(half)


def test_a_trend_needs_spread_within_tasks() -> None:
    assert trend(np.array([1.0, 1.0, 2.0]), np.zeros(3), np.array([0.0, 0.0, 1.0])).value is None


# Tails ---------------------------------------------------------------------------------------------------------------


def better(fit: TailFit) -> dict[str, str | None]:
    """Which law is better than which."""
    return {one.against: one.better for one in fit.comparisons}


@pytest.mark.parametrize("alpha", [1.6, 2.3, 3.2])
def test_a_paretos_exponent_and_threshold_are_recovered(alpha: float) -> None:
    tail = 4.0 * (1 - RANDOM.uniform(size=6000)) ** (-1 / (alpha - 1))
    fit = fit_tail(np.concatenate([RANDOM.uniform(0, 4, 9000), tail]))
    assert fit is not None and abs(fit.alpha - alpha) < 4 * fit.alpha_error + 0.02
    assert 3 < fit.x_min < 12 and fit.distance < 0.03
    assert better(fit)["exponential"] == "Pareto" and better(fit)["log-normal"] != "log-normal"


def test_a_log_normal_is_told_from_a_pareto() -> None:
    values = np.exp(RANDOM.normal(2, 0.6, 20_000))
    fit = fit_tail(values)
    assert fit is not None and (fit.body_mu, fit.body_sigma) == pytest.approx((2, 0.6), abs=0.02)
    assert fit.body_distance < 0.01 and better(fit)["log-normal"] != "Pareto"


def test_an_exponential_tail_is_no_pareto() -> None:
    fit = fit_tail(RANDOM.exponential(3, 20_000))
    assert fit is not None and better(fit)["exponential"] != "Pareto"


def test_a_truncated_log_normals_parameters_are_recovered() -> None:
    values = np.exp(RANDOM.normal(1, 0.9, 60_000))
    mu, sigma = log_normal_tail(values[values > 4], 4.0)
    assert (mu, sigma) == pytest.approx((1, 0.9), abs=0.12)


def test_the_threshold_is_the_nearest_tail() -> None:
    """Every candidate tried one by one, with scipy's Kolmogorov-Smirnov distance."""
    values = np.sort(np.concatenate([RANDOM.uniform(0, 2, 80), 2 * (1 - RANDOM.uniform(size=90)) ** -0.9]))
    fit = fit_tail(values)
    assert fit is not None

    def distance(threshold: float) -> float:
        tail = values[values >= threshold]
        alpha = 1 + len(tail) / np.log(tail / threshold).sum()
        return float(stats.kstest(tail / threshold, stats.pareto(alpha - 1).cdf).statistic)

    tried = {float(one): distance(one) for one in values[: len(values) - 49]}
    assert fit.x_min == pytest.approx(min(tried, key=lambda one: tried[one]))
    assert fit.distance == pytest.approx(min(tried.values()))


@pytest.mark.parametrize("values", [np.ones(10), np.ones(500), np.zeros(500), np.full(500, np.nan)])
def test_no_tail_is_fitted_to_what_has_none(values: np.ndarray) -> None:
    assert fit_tail(values) is None


# Shapley -------------------------------------------------------------------------------------------------------------


def products(columns: np.ndarray) -> np.ndarray:
    """Cross products of outcome, harness and measures."""
    return (columns.T @ columns)[None]


def test_parts_are_the_average_over_all_orders_and_add_up() -> None:
    harness = RANDOM.integers(0, 2, 300) - 0.5
    measures = harness[:, None] * [0.8, 0.2, 0.0] + RANDOM.normal(size=(300, 3))
    outcome = 0.3 * harness + measures @ [0.5, -0.4, 0.6] + RANDOM.normal(size=300)
    data = np.column_stack([outcome, harness, measures])
    data -= data.mean(axis=0)

    def effect(subset: tuple[int, ...]) -> float:
        columns = [1, *(2 + one for one in sorted(subset))]
        return float(lstsq(data[:, columns], data[:, 0], rcond=None)[0][0])

    parts = shapley(products(data), 3)[0]
    naive = np.zeros(3)
    for order in permutations(range(3)):
        for place, one in enumerate(order):
            naive[one] += (effect(order[:place]) - effect(order[: place + 1])) / 6
    assert parts[:3] == pytest.approx(naive, abs=1e-6)
    assert parts.sum() == pytest.approx(effect(()), abs=1e-6) and parts[3] == pytest.approx(effect((0, 1, 2)), abs=1e-6)


def test_a_measure_that_carries_everything_gets_everything() -> None:
    harness = np.tile([-0.5, 0.5], 200)
    carrier = harness + RANDOM.normal(0, 0.3, 400)
    data = np.column_stack([2 * carrier, harness, carrier, RANDOM.normal(size=400)])
    parts = shapley(products(data - data.mean(axis=0)), 2)[0]
    assert parts[0] == pytest.approx(2, abs=0.15) and abs(parts[1]) < 0.05 and abs(parts[2]) < 0.05


def test_exact_p_of_a_four_gram_equals_scipy() -> None:
    from trajectory_hub.eval.traces import sequences

    fisher = vars(sequences)["_fisher"]
    for _ in range(30):
        a, b, c, d = RANDOM.integers(0, 15, 4)
        wanted = stats.fisher_exact([[a, b], [c, d]]).pvalue
        assert fisher(int(a), int(b), int(a + c), int(b + d)) == pytest.approx(wanted)
