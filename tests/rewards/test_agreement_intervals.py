"""Intervals of agreement cover what they should; the study of a set of labels says who, on what, and how surely."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from trajectory_hub.rewards.human.agreement import cohen_kappa, krippendorff_alpha, raw_agreement
from trajectory_hub.rewards.human.bootstrap import Estimate, Floats, Statistic, estimate
from trajectory_hub.rewards.human.labels import PairItem, PairLabel, StepItem, StepLabel
from trajectory_hub.rewards.human.study import CriterionAgreement, study_agreement
from trajectory_hub.rewards.scores import CRITERIA

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def interval(statistic: Statistic, items: int, seed: int) -> Estimate:
    return estimate(statistic, items, scale="correlation", seed=seed, undefined="no", resamples=300)


def two_raters(rng: np.random.Generator, items: int, right: float = 0.85) -> Floats:
    """Each gives the true one of three values with probability `right`, else any of the three."""
    truth = rng.integers(0, 3, (items, 1))
    return np.where(rng.random((items, 2)) < right, truth, rng.integers(0, 3, (items, 2))).astype(np.float64)


@pytest.mark.parametrize("items", [15, 60])
def test_intervals_cover_the_true_kappa_and_alpha(items: int) -> None:
    """Both are 0.85^2 in the population: marginals are even, and two raters are right together or agree by chance."""
    rng = np.random.default_rng(items)
    hits = {"kappa": 0, "alpha": 0}
    for seed in range(300):
        ratings = two_raters(rng, items)
        found = {
            "kappa": interval(cohen_kappa(ratings[:, 0], ratings[:, 1]), items, seed),
            "alpha": interval(krippendorff_alpha(ratings, "nominal"), items, seed),
        }
        for name, each in found.items():
            hits[name] += each.low is not None and each.high is not None and each.low <= 0.85**2 <= each.high
    assert all(0.90 * 300 <= count <= 0.99 * 300 for count in hits.values()), hits


def test_an_interval_is_the_same_for_the_same_seed_and_narrows_with_items() -> None:
    rng = np.random.default_rng(0)
    small, large = two_raters(rng, 30), two_raters(rng, 480)
    one = interval(krippendorff_alpha(small, "nominal"), 30, 7)
    assert one == interval(krippendorff_alpha(small, "nominal"), 30, 7)
    assert one != interval(krippendorff_alpha(small, "nominal"), 30, 8)
    other = interval(krippendorff_alpha(large, "nominal"), 480, 7)
    widths = [each.high - each.low for each in (one, other) if each.high is not None and each.low is not None]
    assert widths[0] > 2.5 * widths[1]


def test_what_cannot_be_said_is_said_in_words() -> None:
    same = np.ones((8, 2))
    assert str(interval(krippendorff_alpha(same, "nominal"), 8, 0)) == "cannot be said: no"
    assert interval(raw_agreement(same), 8, 0) == Estimate(1.0, note="every resample gives the same figure")
    assert interval(raw_agreement(same[:1]), 1, 0).note == "a single unit says nothing about variation"
    assert interval(raw_agreement(same[:0]), 0, 0).value is None


def label(step: int, annotator: str, value: float, criterion: str = "goal_progress") -> StepLabel:
    item = StepItem.of(run_id="run", episode_id="episode", task_id="task", step=step)
    body = item.model_dump(exclude={"kind"})
    return StepLabel(criterion=criterion, value=value, annotator=annotator, created=NOW, **body)


def choice(number: int, annotator: str, chosen: str) -> PairLabel:
    item = PairItem.of("task", ("run", f"episode-{number}"), ("run", "episode-x"))
    body = item.model_dump(exclude={"kind"})
    return PairLabel.model_validate({"chosen": chosen, "annotator": annotator, "created": NOW, **body})


def labels() -> list[StepLabel]:
    """Ann and Bob nearly agree; Cal is kinder by half a point on every step, and labelled fewer of them."""
    rng = np.random.default_rng(0)
    found: list[StepLabel] = []
    for step, truth in enumerate(rng.choice([0.0, 0.25, 0.5], 40).tolist()):
        found += [label(step, "ann", truth), label(step, "bob", 0.25 if step == 7 else truth)]
        if step % 2 == 0:
            found.append(label(step, "cal", truth + 0.5))
    return found


def only(labels: Iterable[StepLabel]) -> CriterionAgreement:
    (found,) = study_agreement(labels, resamples=300).criteria
    return found


def test_a_study_tells_annotators_apart() -> None:
    found = only(labels())
    assert (found.items, found.shared) == (40, 40)
    people = {each.name: each for each in found.annotators}
    assert people["cal"].items == 20
    assert people["cal"].raw.value == 0
    assert people["cal"].bias.value == pytest.approx(0.5)
    alpha = found.alpha["interval"].value
    without = {name: each.alpha_without.value for name, each in people.items()}
    assert alpha is not None
    assert without["cal"] is not None
    assert without["cal"] > 0.9 > alpha
    assert without["ann"] is not None
    assert without["ann"] < without["cal"]


def test_pairs_of_annotators_rest_on_what_both_labelled() -> None:
    found = {(pair.first, pair.second): pair for pair in only(labels()).pairs}
    assert {names: pair.items for names, pair in found.items()} == {
        ("ann", "bob"): 40,
        ("ann", "cal"): 20,
        ("bob", "cal"): 20,
    }
    assert set(found["ann", "bob"].kappa) == {"unweighted", "linear", "quadratic"}
    kappa = found["ann", "bob"].kappa["unweighted"]
    assert kappa.value is not None
    assert kappa.value > 0.9


def test_the_most_disagreed_on_come_first() -> None:
    both = [each for each in labels() if each.annotator != "cal"]
    both += [label(50, "ann", 1.0), label(50, "bob", 0.0), label(51, "ann", 1.0), label(51, "bob", 0.75)]
    found = only(both).disagreements
    assert found[0].item == "run/episode step 50"
    assert found[0].said == {"ann": 1.0, "bob": 0.0}
    assert found[0].spread == 1.0
    assert all(more.spread >= less.spread for more, less in pairwise(found))
    assert all(each.spread > 0 for each in found)


def test_every_criterion_and_the_preferences_have_a_study_of_their_own() -> None:
    steps = [
        label(step, name, 0.5, criterion) for step in range(3) for name in ("ann", "bob") for criterion in CRITERIA
    ]
    pairs = [choice(number, name, "a" if number else "tie") for number in range(4) for name in ("ann", "bob")]
    study = study_agreement(steps, pairs, resamples=300)
    assert [each.criterion for each in study.criteria] == [*CRITERIA, "preference"]
    assert study.annotators == {"ann": 19, "bob": 19}
    assert study.criteria[-1].raw.value == 1.0
    assert study.criteria[0].alpha["nominal"].value is None
    assert "one and the same value" in str(study.criteria[0].alpha["nominal"].note)


def test_one_annotator_agrees_with_nobody() -> None:
    found = only([label(step, "ann", step / 10) for step in range(10)])
    assert (found.items, found.shared) == (10, 0)
    assert found.raw == found.alpha["ordinal"] == Estimate(None, note="no item was rated by two people")
    assert study_agreement([]).criteria == ()


def test_the_order_of_labels_makes_no_difference() -> None:
    assert study_agreement(labels(), resamples=300) == study_agreement(reversed(labels()), resamples=300)


def test_no_figure_is_nan() -> None:
    for given in (labels(), labels()[:3], [label(0, "ann", 1.0)], []):
        json.dumps(study_agreement(given, resamples=300).as_dict(), allow_nan=False)
