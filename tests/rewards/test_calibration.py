"""What a calibration says of simulated layers: the gate, the cautions, what it refuses, and its report."""

import json
import re
import sys
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.rewards.config import load_config
from trajectory_hub.rewards.human.calibrate import calibrate
from trajectory_hub.rewards.human.labels import PairLabel, StepLabel
from trajectory_hub.rewards.human.observations import ScoredStep
from trajectory_hub.rewards.human.report import calibration_report
from trajectory_hub.rewards.human.results import Calibration
from trajectory_hub.rewards.scores import CRITERIA

from . import calibrating as made

EVIL = '<script>alert(1)</script>|`"$x_{1}$'
LAYERS = {"rules@1": 0.25, f"judge@1:{EVIL}": 0.05}
"""By layer, how noisy it is."""


def simulated(
    *, tasks: int = 12, episodes: int = 2, steps: int = 4, layers: dict[str, float] = LAYERS, seed: int = 0
) -> tuple[list[ScoredStep], list[StepLabel]]:
    """Steps that all layers scored by all criteria, with labels of two people."""
    rng = np.random.default_rng(seed)
    rows, labels = list[ScoredStep](), list[StepLabel]()
    for task, key in made.keys(tasks, episodes, steps):
        truth = rng.random(5)
        said = {
            name: {c: float(np.clip(t + rng.normal(0, noise), 0, 1)) for c, t in zip(CRITERIA, truth, strict=True)}
            for name, noise in layers.items()
        }
        rows.append(made.scored(key, task, said))
        for person in ("ann", EVIL):
            for name, value in zip(CRITERIA, truth, strict=True):
                labels.append(made.step_label(key, task, value + rng.normal(0, 0.1), annotator=person, criterion=name))
    return rows, labels


@cache
def measured() -> Calibration:
    rows, labels = simulated()
    pairs: list[PairLabel] = []
    whole: dict[tuple[str, str], float] = {}
    for task in range(12):
        names = f"task-{task:02}--s0--a1", f"task-{task:02}--s1--a1"
        pairs.append(made.pair_label(f"task-{task:02}", *names, "first" if task < 9 else "second"))
        whole |= {("run", names[0]): 0.8, ("run", names[1]): 0.3}
    return calibrate(rows, labels, load_config(), pairs=pairs, episodes={"process score": whole}, resamples=300)


def test_each_layer_and_their_combination_are_compared_by_every_criterion() -> None:
    found = measured()
    assert found.layers == (f"judge@1:{EVIL}", "rules@1", "combination")
    assert {each.criterion for each in found.comparisons} == {*CRITERIA, "overall"}
    r = {
        each.layer: each.coefficients["pearson"].value or 0 for each in found.comparisons if each.criterion == "overall"
    }
    assert r[f"judge@1:{EVIL}"] > 0.9 > r["rules@1"] > 0.5
    assert (found.steps, found.trajectories, found.tasks, found.labels) == (96, 24, 12, 960)
    assert found.preferences["process score"].accuracy.value == 0.75


def test_the_gate_says_go_or_no_go_and_how_surely() -> None:
    rows, labels = simulated()
    found = {
        least: calibrate(rows, labels, load_config(), layer="rules@1", min_pearson=least, resamples=300).gate
        for least in (0.2, 0.99)
    }
    assert (found[0.2].go, found[0.99].go) == (True, False)
    assert found[0.2].sentence.startswith("GO: Pearson's r of rules@1 is 0.")
    assert found[0.99].sentence.startswith("NO-GO: Pearson's r of rules@1 is 0.")
    estimate = found[0.2].pearson
    assert estimate.value is not None
    assert estimate.low is not None
    between = (estimate.value + estimate.low) / 2
    near = calibrate(rows, labels, load_config(), layer="rules@1", min_pearson=between, resamples=300).gate
    assert near.go
    assert "more labels are needed to be sure" in near.sentence


def test_the_gate_looks_at_the_combination_unless_told_otherwise() -> None:
    assert measured().gate.layer == "combination"
    rows, labels = simulated(layers={"rules@1": 0.1})
    assert calibrate(rows, labels, load_config(), resamples=300).gate.layer == "rules@1"
    refitted = calibrate(rows, labels, load_config(), layer="refitted", resamples=300)
    assert refitted.refit is not None
    assert refitted.gate.pearson == refitted.refit.changes[-1].after


def test_a_layer_that_is_not_there_is_refused_with_those_that_are() -> None:
    rows, labels = simulated(tasks=4, layers={"rules@1": 0.1})
    with pytest.raises(UsageError, match=r"no layer is called 'judge@1'; there are rules@1, refitted"):
        calibrate(rows, labels, load_config(), layer="judge@1", resamples=300)
    rows, labels = simulated(tasks=2, layers={"rules@1": 0.1})
    with pytest.raises(UsageError, match=r"'refitted' \(the weights were not refitted: the labels cover 2 tasks"):
        calibrate(rows, labels, load_config(), layer="refitted", resamples=300)


def test_too_few_labels_are_refused_with_what_is_needed() -> None:
    rows, labels = simulated(tasks=2, episodes=1, steps=4)
    with pytest.raises(UsageError, match="8 steps of these runs have both a label and a score, at least 10 are needed"):
        calibrate(rows, labels, load_config())
    with pytest.raises(UsageError, match="0 steps"):
        calibrate([], labels, load_config())
    rows, labels = simulated(tasks=4)
    with pytest.raises(UsageError, match="0 steps"):
        calibrate([made.scored(row.key, row.task_id, {}) for row in rows], labels, load_config())


def test_one_trajectory_and_one_annotator_are_said_to_be_little() -> None:
    rows, labels = simulated(tasks=1, episodes=1, steps=30, layers={"rules@1": 0.1})
    found = calibrate(rows, [each for each in labels if each.annotator == "ann"], load_config(), resamples=300)
    assert any("one trajectory" in caution for caution in found.cautions)
    assert any("One person labelled" in caution for caution in found.cautions)
    assert found.not_refitted == "the labels cover 1 tasks, at least 3 are needed to test on other tasks"
    assert found.gate.go
    assert found.gate.sentence.endswith("How sure that is cannot be said.")
    assert "no interval: all labels come from one trajectory" in found.gate.sentence
    assert str(found.alphas["tool_choice"]) == "cannot be said: no item was rated by two people"


def test_a_layer_that_never_varies_does_not_pass() -> None:
    rows, labels = simulated(tasks=3)
    flat = [made.scored(row.key, row.task_id, {"rules@1": dict.fromkeys(CRITERIA, 0.7)}) for row in rows]
    gate = calibrate(flat, labels, load_config(), resamples=300).gate
    assert not gate.go
    assert gate.sentence.startswith("NO-GO: Pearson's r of rules@1 cannot be said (all 24 scores are 0.70)")


def test_labels_without_a_scored_step_are_counted() -> None:
    rows, labels = simulated(tasks=4, layers={"rules@1": 0.1})
    found = calibrate(rows[:20], labels, load_config(), resamples=300)
    assert found.unmatched == len(labels) - 20 * 10
    assert any(f"{found.unmatched} labels belong to steps" in caution for caution in found.cautions)


def test_steps_are_compared_on_the_criteria_that_were_labelled() -> None:
    """A layer that is right on what was asked is not blamed for what was not."""
    rng = np.random.default_rng(0)
    rows, labels = list[ScoredStep](), list[StepLabel]()
    for task, key in made.keys(6, 2, 4):
        truth = float(rng.random())
        said = {"goal_progress": truth, "tool_choice": float(rng.random()), "non_redundancy": None}
        rows.append(made.scored(key, task, {"rules@1": said}))
        labels.append(made.step_label(key, task, truth))
        labels.append(made.step_label(key, task, truth, criterion="non_redundancy"))
    found = calibrate(rows, labels, load_config(), resamples=300)
    assert found.comparison("rules@1").coefficients["pearson"].value == pytest.approx(1)
    assert {each.criterion: (each.steps, each.labelled) for each in found.comparisons} == {
        "goal_progress": (48, 48),
        "non_redundancy": (0, 48),
        "overall": (48, 48),
    }


def test_a_recorded_combination_is_a_layer_but_not_mixed_in_again() -> None:
    rows, labels = simulated(tasks=4)
    name = "veto-weighted(rules@1,judge@1:m)"
    more = [made.scored(row.key, row.task_id, {**row.layers, name: row.layers["rules@1"]}) for row in rows]
    plain = calibrate(rows, labels, load_config(), resamples=300)
    found = calibrate(more, labels, load_config(), resamples=300)
    assert name in found.layers
    assert found.comparison("combination") == plain.comparison("combination")


def test_the_same_input_and_seed_give_the_same_document() -> None:
    rows, labels = simulated(tasks=4)
    one = calibrate(rows, labels, load_config(), resamples=300, seed=5)
    other = calibrate(list(reversed(rows)), list(reversed(labels)), load_config(), resamples=300, seed=5)
    assert calibration_report(one, "x", "y") == calibration_report(other, "x", "y")
    assert one.as_dict() == other.as_dict()


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_one_file_that_says_everything_and_runs_nothing() -> None:
    text = calibration_report(measured(), f"runs/{EVIL}", f"trajhub calibrate 'runs/{EVIL}'").html()
    page = Page(text)
    assert page.open == []
    assert {"script", "link", "iframe"} & set(page.tags) == set()
    sources = [value or "" for name, value in page.attributes if name == "src"]
    assert len(sources) == 3
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    alts = [value or "" for name, value in page.attributes if name == "alt"]
    assert all(re.search(r"0\.\d\d \[", alt) or "calibration error 0." in alt for alt in alts)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "<h1>" in text
    assert '<html lang="en">' in text
    assert "GO: Pearson&#x27;s r of combination" in text
    assert EVIL not in text


def test_the_markdown_shows_strange_names_as_text() -> None:
    report = calibration_report(measured(), f"runs/{EVIL}", "trajhub calibrate")
    text = report.markdown()
    assert "<script>" not in text
    assert r"\<script\>" in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) in (3, 5, 6, 7, 10) for line in table), table
    assert {each.name for each in report.drawings} == set(re.findall(r"\(figures/(\w+)\.svg\)", text))


def test_drawings_are_the_same_bytes_each_time_and_hold_no_raw_names() -> None:
    one, other = (calibration_report(measured(), "x", "y").drawings for _ in range(2))
    assert one == other
    assert [figure.name for figure in one] == ["correlation", "reliability", "refit"]
    for figure in one:
        assert "<svg" in figure.svg
        assert "<script>" not in figure.svg
        assert "nan" not in figure.svg.lower()


def test_without_matplotlib_the_report_has_no_drawings_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    report = calibration_report(measured(), "x", "y")
    assert report.drawings == ()
    assert "There are no drawings: plots need matplotlib" in report.markdown()


@pytest.mark.parametrize("tasks", [1, 3])
def test_nan_is_never_written(tasks: int) -> None:
    rows, labels = simulated(tasks=tasks, episodes=1, steps=12)
    flat = [made.scored(row.key, row.task_id, {"rules@1": dict.fromkeys(CRITERIA, 0.5)}) for row in rows]
    for given in (rows, flat):
        found = calibrate(given, labels, load_config(), resamples=300)
        report = calibration_report(found, "x", "y")
        json.dumps(found.as_dict(), allow_nan=False)
        for text in (report.markdown(), report.html()):
            assert not re.search(r"\bnan\b|\binf\b", text, re.IGNORECASE)
