"""A refit finds the weights that made the labels, never goes below zero, and does not see what it is tested on."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from trajectory_hub.rewards.config import LayersConfig, load_config
from trajectory_hub.rewards.human.bootstrap import Floats
from trajectory_hub.rewards.human.calibrate import calibrate
from trajectory_hub.rewards.human.labels import StepLabel
from trajectory_hub.rewards.human.observations import Observations, ScoredStep, StepKey, observe, weighted_mean
from trajectory_hub.rewards.human.refit import fit, folds
from trajectory_hub.rewards.human.results import OVERALL, Calibration
from trajectory_hub.rewards.human.reweigh import learn, out_of_fold, present_weights, scored
from trajectory_hub.rewards.human.rubric_file import refitted_rubric, rubric_text
from trajectory_hub.rewards.scores import CRITERIA

from . import calibrating as made


def parts(rng: np.random.Generator, steps: int, count: int, missing: float = 0.3) -> Floats:
    table = rng.random((steps, count))
    table[rng.random((steps, count)) < missing] = np.nan
    return table


def test_known_weights_are_recovered_up_to_scale() -> None:
    rng = np.random.default_rng(0)
    true = np.array([3.0, 1.0, 0.0, 2.0, 0.5])
    table = parts(rng, 800, 5)
    labels = 0.1 + 0.7 * weighted_mean(table, true + 1e-9) + rng.normal(0, 0.03, 800)
    found = fit(table, labels, np.full(5, 2.0), rng.integers(0, 20, 800)).weights
    assert found / found.sum() == pytest.approx(true / true.sum(), abs=0.03)


def test_a_part_that_misleads_gets_the_least_weight_and_none_a_negative_one() -> None:
    rng = np.random.default_rng(1)
    table = parts(rng, 600, 3, missing=0.0)
    labels = 0.5 * table[:, 0] + 0.3 * table[:, 1] + 0.2 * (1 - table[:, 2])
    found = fit(table, labels, np.array([1.0, 1.0, 1.0]), rng.integers(0, 20, 600))
    assert found.weights[2] == pytest.approx(0.01, abs=0.01)
    assert (found.weights > 0).all()
    assert found.weights[0] > found.weights[1] > 10 * found.weights[2]


def test_weights_that_mislead_at_present_are_left_behind() -> None:
    rng = np.random.default_rng(9)
    table = parts(rng, 400, 2, missing=0.0)
    labels = table[:, 1] - 2 * table[:, 0]
    found = fit(table, labels, np.array([3.0, 1.0]), rng.integers(0, 20, 400)).weights
    assert found[1] > 20 * found[0]


def test_labels_that_no_part_explains_leave_the_weights_nearly_alone() -> None:
    rng = np.random.default_rng(2)
    present = np.array([3.0, 1.0, 2.0])
    moved = list[float]()
    for seed in range(6):
        table, labels = parts(np.random.default_rng(seed), 150, 3), np.random.default_rng(100 + seed).random(150)
        found = fit(table, labels, present, rng.integers(0, 15, 150)).weights
        moved.append(float(np.abs(found / found.sum() - present / present.sum()).max()))
    assert float(np.median(moved)) < 0.05


@pytest.mark.parametrize(
    ("steps", "tasks", "count"), [(10, 5, 3), (200, 1, 3), (200, 20, 1)], ids=["few labels", "one task", "one part"]
)
def test_weights_stay_where_nothing_can_be_learnt(steps: int, tasks: int, count: int) -> None:
    rng = np.random.default_rng(3)
    table = parts(rng, steps, count, missing=0.0)
    present = np.arange(1.0, count + 1)
    found = fit(table, table[:, 0], present, np.arange(steps) % tasks)
    assert (found.weights == present).all()
    assert found.strength is None


def test_a_part_without_weight_stays_off() -> None:
    rng = np.random.default_rng(4)
    table = parts(rng, 300, 3, missing=0.0)
    assert fit(table, table[:, 1], np.array([1.0, 0.0, 1.0]), np.arange(300) % 10).weights[1] == 0


def test_folds_never_part_a_group_and_cover_each_once() -> None:
    groups = np.random.default_rng(0).integers(0, 23, 500)
    covered = np.zeros(500)
    for train, test in folds(groups):
        assert not set(groups[train].tolist()) & set(groups[test].tolist())
        assert (train ^ test).all()
        assert 60 <= test.sum() <= 140
        covered += test
    assert (covered == 1).all()
    assert [test.sum() for _, test in folds(np.array([7, 7, 9]))] == [2, 1]


def observed(
    rng: np.random.Generator, weights: Sequence[float], *, tasks: int = 20, noise: float = 0.05
) -> Observations:
    """Steps whose goal progress three rules judge, and people by other weights than the rubric; by none, at random."""
    steps, labels = list[ScoredStep](), list[StepLabel]()
    for task, key in made.keys(tasks, 2, 6):
        says = named(("changes_source", "localises", "verifies"), rng.random(3))
        value = sum(w * s for w, s in zip(weights, says.values(), strict=True)) / sum(weights) if sum(weights) else 0.5
        steps.append(rule_step(task, key, says))
        labels.append(made.step_label(key, task, value + rng.normal(0, noise)))
    return observe(steps, labels)


def named(names: Sequence[str], values: Floats) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def rule_step(task: str, key: StepKey, says: dict[str, float], *, void: bool = False) -> ScoredStep:
    """A step that rules judge, all alike; `void`: a decisive rule found it void."""
    score = 0.0 if void else sum(says.values()) / len(says)
    settled = ("goal_progress",) if void else ()
    return made.scored(key, task, {"rules@1": {"goal_progress": score}}, {"goal_progress": says}, settled)


def r(scores: Floats, seen: Observations) -> float:
    return float(np.corrcoef(scores, seen.labels[:, 0])[0, 1])


def test_a_refit_of_the_whole_rubric_pays_on_tasks_it_has_not_seen() -> None:
    seen = observed(np.random.default_rng(0), (5, 1, 0))
    start = present_weights(seen, load_config())
    before, after = scored(seen, start), out_of_fold(seen, start, seed=0)
    assert r(before.overall, seen) < 0.85
    assert r(after.overall, seen) > 0.95
    assert np.isfinite(after.overall).all()


def test_pure_noise_is_worth_nothing_out_of_fold() -> None:
    """Twelve studies of rules that know nothing: the mean correlation is 0 within chance (0.1 / sqrt(12))."""
    outside = list[float]()
    for seed in range(12):
        seen = observed(np.random.default_rng(seed), (0, 0, 0), tasks=8, noise=0.2)
        outside.append(r(out_of_fold(seen, present_weights(seen, load_config()), seed=seed).overall, seen))
    assert abs(float(np.mean(outside))) < 0.075
    assert max(map(abs, outside)) < 0.45


def test_what_is_peculiar_to_a_task_does_not_leak() -> None:
    """A rule for each task, and one for all: their weights could name each task's labels, were they seen before."""
    honest, leaky = list[float](), list[float]()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        tasks = np.repeat(np.arange(6), 20)
        own = np.where(np.eye(6)[tasks] > 0, rng.uniform(0.9, 1, (120, 6)), np.nan)
        table = np.column_stack([own, np.zeros(120)])
        labels = rng.uniform(0.2, 0.8, 6)[tasks] + rng.normal(0, 0.03, 120)
        for groups, into in ((tasks, honest), (np.arange(120), leaky)):
            said = np.full(120, np.nan)
            for train, test in folds(groups):
                weights = fit(table[train], labels[train], np.ones(7), groups[train]).weights
                said[test] = weighted_mean(table[test], weights)
            into.append(float(np.corrcoef(said, labels)[0, 1]) if np.ptp(said) else 0.0)
    assert min(leaky) > 0.9
    assert float(np.mean(honest)) < 0.2


def test_what_a_decisive_rule_settled_is_not_fitted_and_not_changed() -> None:
    rng = np.random.default_rng(5)
    steps, labels = list[ScoredStep](), list[StepLabel]()
    for task, key in made.keys(10, 2, 6):
        says = {"changes_source": float(rng.random()), "localises": float(rng.random())}
        void = key[2] == 0
        steps.append(rule_step(task, key, says, void=void))
        labels.append(made.step_label(key, task, says["localises"] if void else says["changes_source"]))
    seen = observe(steps, labels)
    learned = learn(seen, present_weights(seen, load_config())).weights
    assert learned.rules["goal_progress"][0] > 20 * learned.rules["goal_progress"][1]
    void = np.array([key[2] == 0 for key in seen.keys])
    assert (scored(seen, learned).criteria[void, 0] == 0).all()


@cache
def with_judge(layers: str = "{}") -> Calibration:
    """Rules that are noise, a judge that is right, all five criteria."""
    rng = np.random.default_rng(6)
    steps, labels = list[ScoredStep](), list[StepLabel]()
    for task, key in made.keys(12, 2, 5):
        truth = rng.random(5)
        rules, judge = named(CRITERIA, rng.random(5)), named(CRITERIA, np.clip(truth + rng.normal(0, 0.1, 5), 0, 1))
        steps.append(made.scored(key, task, {"rules@1": rules, "judge@1:m": judge}))
        labels += [
            made.step_label(key, task, float(t), criterion=name) for name, t in zip(CRITERIA, truth, strict=True)
        ]
    config = load_config().model_copy(update={"layers": LayersConfig.model_validate_json(layers)})
    return calibrate(steps, labels, config, resamples=300)


def test_layers_are_weighed_by_what_they_are_worth() -> None:
    found = with_judge()
    assert found.refit is not None
    assert found.refit.layers == ("judge@1:m", "rules@1")
    for name in CRITERIA:
        judge, rules = found.refit.learned.weights.layers[name]
        assert judge > 5 * rules
    change = found.refit.changes[-1]
    assert (change.criterion, found.refit.better) == (OVERALL, True)
    assert change.after.value is not None
    assert change.before.value is not None
    assert change.after.value > change.before.value + 0.1
    assert found.comparison("combination").coefficients["pearson"] == change.before


def test_the_refitted_rubric_is_one_that_load_config_reads(tmp_path: Path) -> None:
    given = load_config()
    found = with_judge()
    assert found.refit is not None
    path = tmp_path / "rubric.yaml"
    path.write_text(rubric_text(refitted_rubric(given, found.refit), "from here\nand there"))
    read = load_config(path)
    assert path.read_text().startswith("# from here\n# and there\n")
    assert read == refitted_rubric(given, found.refit)
    assert sum(read.weights.values()) == pytest.approx(sum(given.weights.values()), abs=0.01)
    layers = read.layers.criteria["tool_choice"]
    assert layers.judge > 5 * layers.rules
    assert layers.judge + layers.rules == pytest.approx(2, abs=0.01)
    assert read.criteria["tool_choice"].rules == given.criteria["tool_choice"].rules


def test_fitted_rules_keep_their_sum_and_none_is_switched_off() -> None:
    seen_rules = {"changes_source": 2.0, "localises": 2.0, "verifies": 2.0}
    rng = np.random.default_rng(0)
    steps, labels = list[ScoredStep](), list[StepLabel]()
    for task, key in made.keys(12, 2, 6):
        says = named(tuple(seen_rules), rng.random(3))
        steps.append(rule_step(task, key, says))
        labels.append(made.step_label(key, task, says["localises"]))
    found = calibrate(steps, labels, load_config(), resamples=300)
    assert found.refit is not None
    rubric = refitted_rubric(load_config(), found.refit)
    rules, before = rubric.criteria["goal_progress"].rules, load_config().criteria["goal_progress"].rules
    assert sum(rules[name] for name in seen_rules) == pytest.approx(sum(before[name] for name in seen_rules), abs=0.01)
    assert rules["localises"] > 5.5
    assert all(rules[name] > 0 for name in before)
    assert {name: rules[name] for name in before if name not in seen_rules} == {
        name: weight for name, weight in before.items() if name not in seen_rules
    }


def test_the_rubric_s_own_weights_of_layers_are_where_a_refit_begins() -> None:
    found = with_judge('{"weights": {"rules": 0, "judge": 1}, "criteria": {"tool_choice": {"rules": 1}}}')
    assert found.refit is not None
    assert found.refit.before.layers["goal_progress"].tolist() == [1, 0]
    assert found.refit.before.layers["tool_choice"].tolist() == [1, 1]
    assert found.comparison("combination", "goal_progress").coefficients == {
        **found.comparison("judge@1:m", "goal_progress").coefficients
    }
