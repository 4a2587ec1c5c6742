"""Correlations are SciPy's; their intervals, which resample clusters, cover what they should."""

from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats
from trajectory_hub.rewards.human.bootstrap import Estimate, estimate
from trajectory_hub.rewards.human.correlation import COEFFICIENTS, clusters_of, correlate, gain, pearson
from trajectory_hub.rewards.human.labels import PairLabel
from trajectory_hub.rewards.human.preferences import pair_accuracy
from trajectory_hub.rewards.human.reliability import reliability

from .calibrating import clustered, pair_label

STATS: Any = scipy_stats
SCIPY = {"pearson": STATS.pearsonr, "spearman": STATS.spearmanr, "kendall": STATS.kendalltau}


@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize("name", list(COEFFICIENTS))
def test_coefficients_are_those_of_scipy_ties_included(name: str, decimals: int) -> None:
    x, y, clusters = clustered(np.random.default_rng(decimals), clusters=12, size=9, rho=0.6, within=0.3)
    x, y = np.round(x, decimals), np.round(y, decimals)
    statistic = COEFFICIENTS[name](x, y, clusters)
    assert float(statistic(np.ones((1, 12)))[0]) == pytest.approx(float(SCIPY[name](x, y)[0]))


@pytest.mark.parametrize("name", list(COEFFICIENTS))
def test_drawing_a_cluster_twice_is_having_its_rows_twice(name: str) -> None:
    rng = np.random.default_rng(4)
    x, y, clusters = clustered(rng, clusters=12, size=9, rho=0.6, within=0.3)
    order = rng.permutation(len(x))  # the rows of a cluster need not be together
    x, y, clusters = np.round(x[order], 1), np.round(y[order], 1), clusters[order]
    drawn = rng.integers(0, 12, (5, 12))
    counts = np.array([np.bincount(row, minlength=12) for row in drawn], dtype=np.float64)
    found = COEFFICIENTS[name](x, y, clusters)(counts)
    for row, value in zip(drawn, found, strict=True):
        rows = np.concatenate([np.flatnonzero(clusters == cluster) for cluster in row])
        assert value == pytest.approx(float(SCIPY[name](x[rows], y[rows])[0]))


RHO = 0.6
TRUE = {"pearson": RHO, "spearman": 6 / np.pi * np.arcsin(RHO / 2), "kendall": 2 / np.pi * np.arcsin(RHO)}


@pytest.mark.parametrize("clusters", [8, 25])
def test_intervals_cover_the_true_correlation_of_clustered_data(clusters: int) -> None:
    """300 simulations: a share of 0.95 +- 0.025 is what chance allows; a little more is given for few clusters."""
    rng = np.random.default_rng(clusters)
    hits = dict.fromkeys(COEFFICIENTS, 0)
    for seed in range(300):
        x, y, groups = clustered(rng, clusters=clusters, size=8, rho=RHO, within=0.5)
        for name, found in correlate(x, y, groups, seed=seed, resamples=300).items():
            assert found.low is not None
            assert found.high is not None
            hits[name] += found.low <= TRUE[name] <= found.high
    assert all(0.91 * 300 <= count <= 0.985 * 300 for count in hits.values()), hits


def test_intervals_that_took_steps_for_independent_would_not() -> None:
    """The reason for resampling trajectories, shown on the same data."""
    rng = np.random.default_rng(1)
    hits = {"clusters": 0, "steps": 0}
    for seed in range(200):
        x, y, groups = clustered(rng, clusters=25, size=8, rho=RHO, within=0.9)
        for name, units in (("clusters", groups), ("steps", np.arange(len(x)))):
            statistic = pearson(x, y, units)
            found = estimate(statistic, units.max() + 1, scale="correlation", seed=seed, undefined="", resamples=200)
            assert found.low is not None
            assert found.high is not None
            hits[name] += found.low <= RHO <= found.high
    assert hits["clusters"] >= 0.9 * 200
    assert hits["steps"] < 0.7 * 200


def test_the_same_seed_gives_the_same_interval() -> None:
    data = clustered(np.random.default_rng(0), clusters=10, size=5, rho=0.5, within=0.3)
    assert correlate(*data, seed=3) == correlate(*data, seed=3)
    assert correlate(*data, seed=3) != correlate(*data, seed=4)


@pytest.mark.parametrize(
    ("scores", "labels", "note"),
    [
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1], "all 4 scores are 0.50"),
        ([0, 1, 0, 1], [1, 1, 1, 1], "all 4 labels are 1.00"),
        ([0, 1], [1, 0], "only 2 labelled steps have a score; a correlation needs three or more"),
        ([], [], "only 0 labelled steps have a score; a correlation needs three or more"),
    ],
)
def test_what_no_correlation_can_be_said_of(scores: list[float], labels: list[float], note: str) -> None:
    clusters = clusters_of(range(len(scores)))
    for found in correlate(np.array(scores, float), np.array(labels, float), clusters, seed=0).values():
        assert found == Estimate(None, note=note)


def test_one_trajectory_gives_no_interval_and_says_so() -> None:
    x, y, _ = clustered(np.random.default_rng(0), clusters=10, size=5, rho=0.5, within=0.3)
    for found in correlate(x, y, np.zeros(len(x), dtype=np.intp), seed=0).values():
        assert found.value is not None
        assert (found.low, found.high) == (None, None)
        assert "no interval: all labels come from one trajectory" in str(found)


def test_a_gain_is_judged_on_the_same_steps() -> None:
    rng = np.random.default_rng(2)
    x, y, groups = clustered(rng, clusters=30, size=6, rho=0.8, within=0.3)
    worse = x + rng.normal(0, 1.5, len(x))
    found = gain(worse, x, y, groups, seed=0)
    assert found.value == pytest.approx(float(STATS.pearsonr(x, y)[0] - STATS.pearsonr(worse, y)[0]))
    assert found.low is not None
    assert found.low > 0
    nothing = gain(x, x, y, groups, seed=0)
    assert (nothing.value, nothing.low) == (0.0, None)


@pytest.mark.parametrize("name", list(COEFFICIENTS))
def test_a_resample_without_variation_defines_nothing(name: str) -> None:
    x, y = np.array([0.1, 0.1, 0.1, 0.7, 0.9]), np.array([0.2, 0.3, 0.4, 0.3, 0.9])
    counts = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    found = COEFFICIENTS[name](x, y, np.array([0, 0, 0, 1, 1]))(counts)
    assert np.isnan(found).tolist() == [True, False, False]


def test_reliability_in_figures() -> None:
    scores = np.array([0.05, 0.15, 0.19, 1.0, 0.95])
    labels = np.array([0.0, 0.5, 0.25, 1.0, 0.5])
    found = reliability(scores, labels)
    assert found is not None
    assert [(each.low, each.steps) for each in found.bins] == [(0.0, 1), (0.1, 2), (0.9, 2)]
    assert found.bins[1].score == pytest.approx(0.17)
    assert found.bins[2].label == pytest.approx(0.75)
    assert found.error == pytest.approx((0.05 + 2 * (0.375 - 0.17) + 2 * (0.975 - 0.75)) / 5)
    assert found.bias == pytest.approx(float(np.mean(scores - labels)))
    assert reliability(np.array([]), np.array([])) is None


def test_scores_that_are_what_people_say_have_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    chances = rng.random(20_000)
    honest = reliability(chances, (rng.random(20_000) < chances).astype(float))
    shy = reliability(0.5 + (chances - 0.5) / 3, (rng.random(20_000) < chances).astype(float))
    assert honest is not None
    assert shy is not None
    assert honest.error < 0.015 < 0.1 < shy.error


def test_accuracy_on_pairs_in_figures() -> None:
    scores = {("run", name): value for name, value in {"a": 0.9, "b": 0.1, "c": 0.5, "d": 0.5}.items()}
    labels = [
        pair_label("t1", "a", "b", "first"),
        pair_label("t1", "a", "b", "first", "bob"),
        pair_label("t2", "b", "a", "first"),
        pair_label("t3", "c", "d", "second"),
        pair_label("t4", "a", "c", "tie"),
        pair_label("t5", "a", "d", "first"),
        pair_label("t5", "a", "d", "second", "bob"),
        pair_label("t6", "a", "nobody", "first"),
    ]
    found = pair_accuracy(labels, scores, seed=0)
    assert (found.pairs, found.equal, found.undecided, found.unscored) == (3, 1, 2, 1)
    assert found.accuracy.value == pytest.approx((1 + 0 + 0.5) / 3)
    assert pair_accuracy([], scores, seed=0).accuracy == Estimate(None, note="there is nothing to compare")
    alone = pair_accuracy(labels[:1], scores, seed=0).accuracy
    assert (alone.value, alone.low, alone.note) == (1.0, None, "all pairs belong to one task")


def test_the_interval_of_an_accuracy_covers_it() -> None:
    rng, hits = np.random.default_rng(0), 0
    for seed in range(200):
        labels, scores = list[PairLabel](), dict[tuple[str, str], float]()
        for task in range(20):
            for pair in range(3):
                names = f"{task}-{pair}-x", f"{task}-{pair}-y"
                scores |= {("run", names[0]): 1.0, ("run", names[1]): 0.0}
                labels.append(pair_label(f"t{task}", *names, "first" if rng.random() < 0.75 else "second"))
        found = pair_accuracy(labels, scores, seed=seed, resamples=200).accuracy
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.75 <= found.high
    assert 0.90 * 200 <= hits <= 0.99 * 200, hits
