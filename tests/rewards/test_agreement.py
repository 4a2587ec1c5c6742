"""Measures of agreement give the published figures, and those of other people's libraries."""

from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from trajectory_hub.rewards.human.agreement import (
    Level,
    Weighting,
    agreement_with_others,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    mean_bias,
    mean_distance,
    raw_agreement,
)
from trajectory_hub.rewards.human.bootstrap import Floats, Statistic

NAN = np.nan
NLTK: Any = import_module("nltk.metrics")
STATSMODELS: Any = import_module("statsmodels.stats.inter_rater")


def value(statistic: Statistic, items: int) -> float:
    """The statistic of all items."""
    return float(statistic(np.ones((1, items)))[0])


def letters(*rows: str) -> Floats:
    """Observers as rows of letters, `.` where nothing was said."""
    return np.array([[NAN if letter == "." else float(ord(letter)) for letter in row] for row in rows]).T


# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability": the examples of sections A, B and C to E.
BINARY = letters("0100000010", "1110010000")
NOMINAL = letters("aabbdcccedda", "babbbccceddd")


def four_observers() -> Floats:
    rows = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
    return np.array(rows).T


@pytest.mark.parametrize(
    ("ratings", "level", "published"),
    [
        (BINARY, "nominal", 0.095),
        (NOMINAL, "nominal", 0.692),
        (four_observers(), "nominal", 0.743),
        (four_observers(), "ordinal", 0.815),
        (four_observers(), "interval", 0.849),
    ],
)
def test_krippendorff_alpha_as_published(ratings: Floats, level: Level, published: float) -> None:
    assert value(krippendorff_alpha(ratings, level), len(ratings)) == pytest.approx(published, abs=0.0006)


# Fleiss 1971, table 1: 30 patients, 6 psychiatrists, 5 diagnoses.
FLEISS = """00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031 00501 30012
51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"""


def test_fleiss_kappa_as_published() -> None:
    table = np.array([[int(digit) for digit in row] for row in FLEISS.split()])
    ratings = np.array([np.repeat(np.arange(5), row) for row in table], dtype=np.float64)
    kappa, items = fleiss_kappa(ratings)
    assert items == 30
    assert value(kappa, 30) == pytest.approx(0.430, abs=0.0005)
    assert value(kappa, 30) == pytest.approx(float(STATSMODELS.fleiss_kappa(table)))


def spread_out(table: list[list[int]]) -> tuple[Floats, Floats]:
    """Two columns of ratings whose confusion matrix is `table`."""
    cells = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    first, second = np.array(cells, dtype=np.float64).T
    return first, second


@pytest.mark.parametrize(
    ("table", "published"),
    [
        ([[106, 10, 4], [22, 28, 10], [2, 12, 6]], 0.429),  # Fleiss, Cohen and Everitt 1969
        ([[20, 5], [10, 15]], 0.400),
    ],
)
def test_cohen_kappa_as_published(table: list[list[int]], published: float) -> None:
    first, second = spread_out(table)
    assert value(cohen_kappa(first, second), len(first)) == pytest.approx(published, abs=0.0005)


@pytest.mark.parametrize("weighting", ["unweighted", "linear", "quadratic"])
@pytest.mark.parametrize("seed", range(5))
def test_cohen_kappa_is_that_of_statsmodels(weighting: Weighting, seed: int) -> None:
    table = np.random.default_rng(seed).integers(1, 20, (4, 4))
    first, second = spread_out(table.tolist())
    names = {"unweighted": None, "linear": "linear", "quadratic": "quadratic"}
    wanted = STATSMODELS.cohens_kappa(table, wt=names[weighting], return_results=False)
    assert value(cohen_kappa(first / 4, second / 4, weighting), len(first)) == pytest.approx(float(wanted))


def drawn(seed: int, items: int = 40, people: int = 4, missing: float = 0.3) -> Floats:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, (items, 1))
    ratings = np.clip(truth + rng.integers(-1, 2, (items, people)), 0, 4) / 4
    ratings[rng.random((items, people)) < missing] = NAN
    return ratings


def definition(ratings: Floats, level: Level) -> float:
    """Alpha from the matrix of coincidences, pair by pair, as Krippendorff 2011 writes it down."""
    values = np.unique(ratings[np.isfinite(ratings)]).tolist()
    seen = np.zeros((len(values), len(values)))
    for row in ratings:
        given = [each for each in row.tolist() if np.isfinite(each)]
        for i, one in enumerate(given):
            for j, other in enumerate(given):
                if i != j:
                    seen[values.index(one), values.index(other)] += 1 / (len(given) - 1)
    totals = seen.sum(axis=1)
    apart = np.zeros_like(seen)
    for c, one in enumerate(values):
        for k, other in enumerate(values):
            between = totals[min(c, k) : max(c, k) + 1].sum() - (totals[c] + totals[k]) / 2
            apart[c, k] = {"nominal": float(c != k), "interval": (one - other) ** 2, "ordinal": between**2}[level]
    expected = (np.outer(totals, totals) * apart).sum() / (totals.sum() - 1)
    return 1 - float((seen * apart).sum() / expected)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
@pytest.mark.parametrize("seed", range(5))
def test_krippendorff_alpha_is_its_definition(level: Level, seed: int) -> None:
    ratings = drawn(seed)
    assert value(krippendorff_alpha(ratings, level), len(ratings)) == pytest.approx(definition(ratings, level))


@pytest.mark.parametrize("level", ["nominal", "interval"])
@pytest.mark.parametrize("seed", range(5))
def test_krippendorff_alpha_is_that_of_nltk(level: Level, seed: int) -> None:
    ratings = drawn(seed)
    triples = [(f"c{c}", str(i), float(ratings[i, c])) for i, c in zip(*np.nonzero(np.isfinite(ratings)), strict=True)]
    distance = {"nominal": NLTK.binary_distance, "interval": NLTK.interval_distance}[level]
    wanted = NLTK.AnnotationTask(data=triples, distance=distance).alpha()
    assert value(krippendorff_alpha(ratings, level), len(ratings)) == pytest.approx(wanted)


def statistics(ratings: Floats) -> dict[str, Statistic]:
    first, second = ratings[:, 0], ratings[:, 1]
    return {
        "raw": raw_agreement(ratings),
        "fleiss": fleiss_kappa(ratings)[0],
        "cohen": cohen_kappa(first, second, "quadratic"),
        "nominal": krippendorff_alpha(ratings, "nominal"),
        "ordinal": krippendorff_alpha(ratings, "ordinal"),
        "interval": krippendorff_alpha(ratings, "interval"),
        "bias": mean_bias(first, ratings[:, 1:]),
        "with others": agreement_with_others(first, ratings[:, 1:]),
    }


@pytest.mark.parametrize(
    ("name", "missing"),
    [(name, missing) for name in statistics(drawn(0)) for missing in (0.0, 0.2) if name != "fleiss" or not missing],
)
def test_counting_an_item_twice_is_having_it_twice(name: str, missing: float) -> None:
    """What the bootstrap rests on: counts stand for rows. (Which items Fleiss' kappa uses depends on all of them.)"""
    ratings = drawn(3, missing=missing)
    chosen = np.random.default_rng(1).integers(0, len(ratings), len(ratings))
    counts = np.bincount(chosen, minlength=len(ratings)).astype(np.float64)
    found = statistics(ratings)[name](np.stack([counts, np.ones(len(ratings))]))
    assert found[0] == pytest.approx(value(statistics(ratings[chosen])[name], len(ratings)))
    assert found[1] == pytest.approx(value(statistics(ratings)[name], len(ratings)))


def test_perfect_agreement_is_one_and_systematic_disagreement_is_below_zero() -> None:
    same = np.repeat(np.array([[0.0], [0.5], [1.0]]), 3, axis=1)
    for name, statistic in statistics(same).items():
        assert value(statistic, 3) == pytest.approx(0.0 if name == "bias" else 1.0), name
    opposite = np.array([[0.0, 1.0], [1.0, 0.0]] * 5)
    assert value(krippendorff_alpha(opposite, "nominal"), 10) < -0.8
    assert value(cohen_kappa(opposite[:, 0], opposite[:, 1]), 10) == pytest.approx(-1)


@pytest.mark.parametrize("name", ["fleiss", "cohen", "nominal", "ordinal", "interval"])
def test_one_value_for_everything_leaves_chance_corrected_measures_undefined(name: str) -> None:
    assert np.isnan(value(statistics(np.ones((6, 3)))[name], 6))


def test_bias_and_distance_in_figures() -> None:
    ratings = np.array([[1.0, 0.5, 0.0], [1.0, NAN, 0.5], [NAN, 0.5, 0.5], [0.5, NAN, NAN]])
    assert value(mean_bias(ratings[:, 0], ratings[:, 1:]), 4) == pytest.approx((0.75 + 0.5) / 2)
    assert value(agreement_with_others(ratings[:, 1], ratings[:, [0, 2]]), 4) == pytest.approx(0.5)
    assert mean_distance(ratings).tolist() == pytest.approx([2 / 3, 0.5, 0.0, 0.0])


def test_more_noise_means_less_agreement() -> None:
    """A measure that did not fall with noise would measure nothing."""
    rng = np.random.default_rng(0)
    truth = rng.random((200, 1))
    noisy = [
        np.round(np.clip(truth + rng.normal(0, noise, (200, 3)), 0, 1) * 4) / 4 for noise in (0.05, 0.15, 0.3, 0.6)
    ]
    for level in ("nominal", "ordinal", "interval"):
        alphas = [value(krippendorff_alpha(ratings, level), 200) for ratings in noisy]
        assert all(more > less for more, less in pairwise(alphas))
