"""The gate's figures: against closed forms, scipy and statsmodels, and by simulation."""

from fractions import Fraction
from importlib import import_module
from itertools import product
from math import comb, sqrt
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from trajectory_hub.benchmarks.gate import Calibration, families, measure
from trajectory_hub.benchmarks.gate_outcomes import Setting
from trajectory_hub.eval.gate.clusters import Clustered, clustered_mean, degrees_of_freedom, shrunk_mean
from trajectory_hub.eval.gate.config import GateConfig
from trajectory_hub.eval.gate.outcomes import repository_of
from trajectory_hub.eval.gate.passes import depths, pass_all, pass_at, pass_rates
from trajectory_hub.eval.gate.permutation import holm, mcnemar, sign_flip
from trajectory_hub.eval.gate.power import components, needed_tasks, power_of, probability

# Their types are unknown to a checker.
stats: Any = import_module("scipy.stats")
reference_mcnemar: Any = import_module("statsmodels.stats.contingency_tables").mcnemar
multipletests: Any = import_module("statsmodels.stats.multitest").multipletests
t_test_power: Any = import_module("statsmodels.stats.power").TTestPower()
RANDOM = np.random.default_rng(5)


def test_one_value_a_cluster_is_the_one_sample_t_test() -> None:
    values = RANDOM.normal(0.1, 1, 40)
    found, known = clustered_mean(values), stats.ttest_1samp(values, 0)
    assert found.p_value() == pytest.approx(known.pvalue)
    assert found.interval(0.9) == pytest.approx(tuple(known.confidence_interval(0.9)))
    assert found.freedom == pytest.approx(39)


def test_clusters_of_one_size_are_the_t_test_of_their_means() -> None:
    values = RANDOM.normal(0.1, 1, 60)
    labels = [index % 12 for index in range(60)]
    means = [values[np.array(labels) == label].mean() for label in range(12)]
    found, known = clustered_mean(values, labels), stats.ttest_1samp(means, 0)
    assert (found.p_value(), found.freedom, found.clusters) == (pytest.approx(known.pvalue), pytest.approx(11), 12)


def test_unequal_clusters_have_the_variance_and_freedom_of_the_matrix_formulas() -> None:
    sizes = [1, 2, 5, 9, 3]
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    values, count = RANDOM.normal(size=20), 20
    hat = np.full((count, count), 1 / count)
    sandwich, columns = 0.0, list[NDArray[np.float64]]()
    for label in range(len(sizes)):
        own = np.array(labels) == label
        value, vectors = np.linalg.eigh(np.eye(own.sum()) - hat[np.ix_(own, own)])
        adjusted = vectors @ np.diag(value**-0.5) @ vectors.T
        sandwich += float((np.ones(own.sum()) @ adjusted @ (values - values.mean())[own]) ** 2)
        columns.append((np.eye(count) - hat)[:, own] @ adjusted @ np.ones(own.sum()))
    gram = np.array([[a @ b for b in columns] for a in columns])
    found = clustered_mean(values, labels)
    assert found.error == pytest.approx(sqrt(sandwich) / count)
    assert found.freedom == pytest.approx(np.trace(gram) ** 2 / (gram**2).sum())


def test_freedom_counts_the_clusters_that_matter() -> None:
    assert degrees_of_freedom(np.full(12, 20.0)) == pytest.approx(11)
    assert degrees_of_freedom(np.array([231.0, 75, 44, 34, 32, 22, 22, 19, 10, 8, 2, 1])) < 5


def test_pseudo_tasks_make_bonett_and_prices_interval() -> None:
    """Their Wald interval for paired proportions: one discordant pair of each kind is added."""
    gained, lost, count = 9, 3, 50
    values = np.array([1.0] * gained + [-1.0] * lost + [0.0] * (count - gained - lost))
    found = shrunk_mean(values, None, (1.0, -1.0))
    up, down, total = (gained + 1) / (count + 2), (lost + 1) / (count + 2), count + 2
    assert found.center == pytest.approx(up - down)
    assert found.error**2 * (total - 1) / total == pytest.approx((up + down - (up - down) ** 2) / total)


def test_nothing_changed_still_has_an_interval() -> None:
    low, high = shrunk_mean(np.zeros(100), None, (1.0, -1.0)).interval(0.95)
    assert low == -high and 0.01 < high < 0.06


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (5, 0), (3, 3), (12, 4), (113, 59), (59, 113)])
def test_the_sign_flip_test_of_single_pairs_is_mcnemars(gained: int, lost: int) -> None:
    known = reference_mcnemar([[50, lost], [gained, 50]], exact=True).pvalue
    scores = [Fraction(1)] * gained + [Fraction(-1)] * lost + [Fraction(0)] * 30
    assert mcnemar(gained, lost) == pytest.approx(known)
    assert sign_flip(scores).p_value == pytest.approx(known)


def test_the_sign_flip_test_counts_all_signs() -> None:
    scores = [Fraction(n, d) for n, d in ((3, 4), (-1, 2), (1, 3), (1, 1), (1, 4), (-1, 6), (2, 3))]
    sums = [sum(s * x for s, x in zip(signs, scores, strict=True)) for signs in product((1, -1), repeat=len(scores))]
    wanted = sum(abs(one) >= abs(sum(scores)) for one in sums) / len(sums)
    found = sign_flip(scores)
    assert (found.p_value, found.how) == (pytest.approx(wanted), "exact")


def test_random_flips_agree_with_the_exact_distribution() -> None:
    scores = [Fraction(int(value), 100_003) for value in RANDOM.integers(-30_000, 45_000, 40)]
    found = sign_flip(scores, flips=40_000, seed=1)
    assert found.how == "40000 random flips"
    rounded = sign_flip([Fraction(round(float(score) * 500), 500) for score in scores])
    assert rounded.how == "exact" and found.p_value == pytest.approx(rounded.p_value, abs=0.01)


def test_holm_agrees_with_statsmodels() -> None:
    p_values = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    known = multipletests(list(p_values.values()), method="holm")[1]
    assert [holm(p_values)[name][0] for name in p_values] == pytest.approx(list(known))
    assert {name: left for name, (_, left) in holm(p_values).items()} == {"d": 4, "a": 3, "c": 2, "b": 1}


def test_pass_at_k_and_pass_to_the_k_are_what_drawing_would_give() -> None:
    drawn = list(product([True] * 3 + [False] * 2, repeat=1))
    assert pass_at(3, 5, 1) == pass_all(3, 5, 1) == sum(one for (one,) in drawn) / 5
    assert pass_at(3, 5, 2) == pytest.approx(1 - 1 / comb(5, 2))
    assert pass_all(3, 5, 2) == pytest.approx(3 / comb(5, 2))
    assert (pass_at(3, 5, 3), pass_all(2, 5, 3)) == (1.0, 0.0)
    assert depths(6) == (1, 2, 4, 6)


def test_attempts_of_different_models_are_not_mixed() -> None:
    rates = {rate.k: rate for rate in pass_rates([[(2, 2), (0, 2)]], 2)}
    assert (rates[1].at, rates[2].at, rates[2].all) == (0.5, 0.5, 0.5)


def test_power_agrees_with_statsmodels() -> None:
    error, freedom = 0.5 / sqrt(80), 79
    known = t_test_power.power(effect_size=0.15 / 0.5, nobs=80, alpha=0.05, alternative="two-sided")
    assert probability(0.15, error, freedom, 0.05) == pytest.approx(known, abs=0.01)
    wanted = t_test_power.solve_power(effect_size=0.1, alpha=0.05, power=0.8)
    assert needed_tasks(0.03, 0.09, 0.05, 0.8) == pytest.approx(wanted, rel=0.01)


def test_detectable_gain_and_needed_tasks_fit_together() -> None:
    """As many tasks as are needed for a gain can detect it."""
    pairs = [np.array([value]) for value in RANDOM.choice([1.0, 0.0, -1.0], 3000, p=[0.1, 0.83, 0.07])]
    variance = float(np.var([pair[0] for pair in pairs]))
    tasks = needed_tasks(0.03, variance, 0.05, 0.8)
    found = power_of(Clustered(0.03, sqrt(variance / tasks), tasks - 1, tasks), pairs[:tasks], GateConfig())
    assert found.detectable == pytest.approx(0.03, rel=0.01)
    assert found.at_target == pytest.approx(0.8, abs=0.01)
    assert (found.between, found.within) == (None, None)


def test_variance_components_are_found_again() -> None:
    true = RANDOM.normal(0, 0.3, 4000)
    parts = components([center + RANDOM.normal(0, 0.5, 4) for center in true])
    assert parts is not None
    assert (sqrt(parts[0]), sqrt(parts[1])) == (pytest.approx(0.3, abs=0.02), pytest.approx(0.5, abs=0.02))
    assert components([np.array([1.0]), np.array([0.0])]) is None


def test_repositories_of_instance_ids() -> None:
    names = {
        "django__django-1234": "django/django",
        "scikit-learn__scikit-learn-25": "scikit-learn/scikit-learn",
        "instance_ansible__ansible-" + "3" * 40 + "-v" + "0" * 40: "ansible/ansible",
        "instance_NodeBB__NodeBB-" + "a" * 40 + "-vnan": "NodeBB/NodeBB",
        "plain": "plain",
    }
    assert {name: repository_of(name) for name in names} == names


@pytest.fixture(scope="module", params=[(20, 1), (40, 4)], ids=lambda size: f"{size[0]}x{size[1]}")
def calibration(request: pytest.FixtureRequest) -> Calibration:
    tasks, seeds = request.param
    return measure(Setting(name="", tasks=tasks, seeds=seeds), 2000, 11)


def test_false_go_stays_under_alpha_at_the_boundary(calibration: Calibration) -> None:
    """By both rules, with any gain accepted: 5% would be allowed, and one side of a 95% interval gives 2.5%."""
    assert calibration.false_go < 0.035
    assert calibration.floor <= calibration.false_go
    assert calibration.margin < 0.035


def test_coverage_is_nominal(calibration: Calibration) -> None:
    assert calibration.covered_null > 0.94
    assert calibration.covered_gain > 0.935


def test_predicted_power_is_what_happens(calibration: Calibration) -> None:
    """The sign-flip test, which also has to agree, takes some of it when tasks are few."""
    assert calibration.predicted - 0.1 < calibration.found < calibration.predicted + 0.05


def test_three_candidates_together_stay_under_alpha() -> None:
    assert families(700, 3) < 0.05


def test_repositories_that_vary_need_clusters_of_repositories() -> None:
    """With the tasks of a repository moving together, tasks as clusters would let through too much."""
    shared = Setting(name="", tasks=240, seeds=1, base=0.5, repositories=12)
    by_repository = measure(shared, 400, 2)
    by_task = measure(Setting(name="", tasks=240, seeds=1, base=0.5, repositories=12, cluster="task"), 400, 2)
    assert by_repository.cluster == "repository"
    assert by_repository.covered_null > 0.92
    assert by_task.covered_null < 0.8
