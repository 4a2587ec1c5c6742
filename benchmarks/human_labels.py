"""How far the rules say what people say: the labels of a study of agents' trajectories against our scores.

    python -m trajectory_hub.benchmarks.human_labels DATA_DIR [--json FILE]

DATA_DIR is a folder of the study of arXiv 2506.18824 (see `human_study.py`). Every trajectory is scored by the default
rubric, and each label is held against three scores of the step it judges:

- `rules`: the mean of what the rules made for this label say, as they stand. Nothing is fitted.
- `criterion`: the rubric's score of the criterion (or the mean of two), as every user gets it.
- `learnt`: a logistic regression with weights of at least 0 over all rules of these criteria.

Fitting, and the threshold of F1, are done on the other agents (`agents`), and once more on the other tasks (`tasks`).
Beside them stands what people themselves reach: a label told by what they said of other situations equal to the letter.
Intervals (95%) resample trajectories. The output is the same on every run.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TrajHubError
from ..rewards.rubric import Rubric
from ..rewards.rules import all_rules
from ..rewards.scores import StepScore
from .detection import Floats, Masks, area, best_threshold, detect, fit, folds, score_with
from .human_report import show
from .human_study import Misfit, StudyTrajectory, read_study

__all__ = ["ENOUGH", "LABELS", "Label", "main", "measure"]

ENOUGH = 20
"""Positives from which on a figure says something of a label."""


@dataclass(frozen=True, slots=True)
class Label:
    """What people called a step, and which of our scores should tell."""

    relation: str
    name: str
    criteria: tuple[str, ...]
    rules: tuple[str, ...]
    good: bool = False
    """Whether high scores speak for the label, rather than low ones."""


_NEW, _USE, _FIT = ("non_redundancy",), ("use_of_information",), ("tool_choice", "argument_correctness")
_INFORMED = ("takes_up_the_result", "builds_on_the_result", "reads_the_state_rightly")
LABELS = (
    Label("action_action", "Repetition", _NEW, ("differs_from_the_last",)),
    Label("thought_thought", "Redundancy", _NEW, ("thinks_something_new",)),
    Label(
        "result_action",
        "No Influence",
        _USE,
        ("takes_up_the_result", "builds_on_the_result", "reads_the_state_rightly"),
    ),
    Label("result_action", "Informative", _USE, ("builds_on_the_result",), good=True),
    Label("result_action", "Triggering", _USE, ("builds_on_the_result",)),
    Label("result_thought", "No Influence", _USE, ("takes_up_the_result", "builds_on_the_result")),
    Label("result_thought", "Misinterpretation", _USE, ("reads_the_state_rightly",)),
    Label("thought_action", "Misalignment", _FIT, ("says_what_it_does",)),
    Label("action_action", "Follow-up", _NEW, ("differs_from_the_last",), good=True),
    Label("action_action", "Refinement", _NEW, ("differs_from_the_last",)),
    Label("action_action", "Divergence", _NEW, ("differs_from_the_last",), good=True),
    Label("thought_thought", "Follow-up", _NEW, ("thinks_something_new",), good=True),
    Label("thought_thought", "Refinement", _NEW, ("thinks_something_new",)),
    Label("thought_thought", "Divergence", _NEW, ("thinks_something_new",), good=True),
    Label("thought_thought", "Contradiction", _NEW, ("thinks_something_new",), good=True),
    Label("result_thought", "Follow-up", _USE, ("takes_up_the_result",), good=True),
    Label("result_thought", "Refinement", _USE, ("takes_up_the_result",), good=True),
    Label("thought_action", "Alignment", _FIT, ("says_what_it_does",), good=True),
)
"""The labels; the first eight are those that the criteria are to tell, the others are shown beside them."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A labelled step."""

    trajectory: int
    agent: str
    task: str
    label: str
    score: StepScore
    texts: tuple[str | None, ...]
    """What the label relates: two items with equal texts are the same to people."""


def measure(folder: Path) -> dict[str, Any]:
    """Read the study, score it, and hold each label against the scores."""
    rubric = Rubric()
    items: dict[str, list[_Item]] = defaultdict(list)
    misfits: list[Misfit] = []
    agents, steps, count = Counter[str](), 0, 0
    for count, trajectory in enumerate(read_study(folder), 1):
        agents[trajectory.agent] += 1
        steps += len(trajectory.steps)
        misfits += trajectory.misfits
        _collect(rubric, count, trajectory, items)
    return {
        "rules_version": rubric.version,
        "trajectories": count,
        "agents": dict(agents),
        "steps": steps,
        "misfits": [asdict(misfit) for misfit in misfits],
        "relations": {relation: _agreement(found) for relation, found in items.items()},
        "labels": [_measured(label, items[label.relation]) for label in LABELS if items[label.relation]],
    }


def _collect(rubric: Rubric, number: int, trajectory: StudyTrajectory, items: dict[str, list[_Item]]) -> None:
    scores = rubric.score(trajectory.task, trajectory.steps)
    for relation, labels in trajectory.labels.items():
        for at, label in labels.items():
            item = _Item(
                trajectory=number,
                agent=trajectory.agent,
                task=trajectory.task.instance_id,
                label=label,
                score=scores[at],
                texts=_texts(relation, trajectory, at),
            )
            items[relation].append(item)


def _texts(relation: str, trajectory: StudyTrajectory, at: int) -> tuple[str | None, ...]:
    """The texts a label relates; a result is seen with the action that brought it."""
    step, before = trajectory.steps[at], trajectory.steps[max(0, at - 1)]
    return {
        "action_action": (before.action, step.action),
        "thought_thought": (before.thought, step.thought),
        "result_action": (before.action, before.observation, step.action),
        "result_thought": (before.action, before.observation, step.thought),
        "thought_action": (step.thought, step.action),
    }[relation]


def _agreement(items: list[_Item]) -> dict[str, Any]:
    """How people labelled situations that are equal to the letter."""
    alike: dict[tuple[str | None, ...], list[str]] = defaultdict(list)
    for item in items:
        alike[item.texts].append(item.label)
    pairs = [one == other for labels in alike.values() for one, other in combinations(labels, 2)]
    again = [label for labels in alike.values() if len(labels) > 1 for label in labels]
    return {
        "labels": dict(Counter(item.label for item in items).most_common()),
        "in_equal_situations": len(again),
        "equal_pairs": len(pairs),
        "labelled_alike": sum(pairs) / len(pairs) if pairs else None,
        "alike_by_chance": sum((n / len(again)) ** 2 for n in Counter(again).values()) if again else None,
    }


def _measured(label: Label, items: list[_Item]) -> dict[str, Any]:
    truth = np.array([item.label == label.name for item in items])
    positives = Counter(item.agent for item in items if item.label == label.name)
    named = {name: _evidence(label, items, name) for name in _rules(label)}
    own = np.mean([named[name] for name in label.rules], axis=0)
    return {
        "relation": label.relation,
        "label": label.name,
        "n": len(items),
        "positives": int(truth.sum()),
        "positives_by_agent": dict(sorted(positives.items())),
        "enough": bool(truth.sum() >= ENOUGH),
        "people": _people(items, truth),
        "scores": {
            "rules": _tested(items, truth, lambda train: own),
            "criterion": _tested(items, truth, _criterion(label, items)),
            "learnt": _tested(items, truth, _learnt(np.stack(list(named.values()), axis=1), truth)),
        },
    }


def _people(items: list[_Item], truth: Masks) -> dict[str, Any]:
    """How well a label is told by what people said of other situations equal to the letter: more nobody can expect."""
    alike: dict[tuple[str | None, ...], list[int]] = defaultdict(list)
    for at, item in enumerate(items):
        alike[item.texts].append(at)
    shared = {at: [other for other in found if other != at] for found in alike.values() for at in found}
    known = [at for at, others in shared.items() if others]
    score = np.array([truth[shared[at]].mean() for at in known])
    return {"n": len(known), "positives": int(truth[known].sum()), "auc": area(score, truth[known]) if known else None}


def _rules(label: Label) -> list[str]:
    return [rule.name for criterion in label.criteria for rule in all_rules()[criterion]]


def _evidence(label: Label, items: list[_Item], name: str) -> Floats:
    """What one rule says for the label; nothing where it does not apply."""
    found: list[float] = []
    for item in items:
        said = next((r.score for c in item.score.criteria.values() for r in c.rules if r.rule == name), None)
        found.append(0.0 if said is None else said if label.good else 1 - said)
    return np.array(found)


def _criterion(label: Label, items: list[_Item]) -> Callable[[Masks], Floats]:
    """The criterion as it is. A step without a score counts as the mean of those fitted on: it tells nothing."""
    known: list[float] = []
    for item in items:
        told = [score for name in label.criteria if (score := item.score.criteria[name].score) is not None]
        known.append(sum(told) / len(told) if told else np.nan)
    scores = np.array(known) if label.good else -np.array(known)

    def filled(train: Masks) -> Floats:
        inside = scores[train & ~np.isnan(scores)]
        return np.where(np.isnan(scores), inside.mean() if len(inside) else 0.0, scores)

    return filled


def _learnt(features: Floats, truth: Masks) -> Callable[[Masks], Floats]:
    def fitted(train: Masks) -> Floats:
        if truth[train].all() or not truth[train].any():
            return np.zeros(len(truth))
        return score_with(fit(features[train], truth[train]), features)

    return fitted


def _tested(items: list[_Item], truth: Masks, scored: Callable[[Masks], Floats]) -> dict[str, Any]:
    """A score, fitted and given its threshold on all agents but one, then on all tasks but one."""
    cluster = np.array([item.trajectory for item in items])
    agents = [item.agent for item in items]
    found: dict[str, Any] = {}
    for way, groups in (("agents", agents), ("tasks", [item.task for item in items])):
        score, decided = np.zeros(len(truth)), np.zeros(len(truth), dtype=bool)
        for train, test in folds(groups):
            given = scored(train)
            score[test] = given[test]
            decided[test] = given[test] >= best_threshold(given[train], truth[train])
        found[way] = asdict(detect(score, truth, decided, cluster))
        if way == "agents":
            masks = {agent: np.array(agents) == agent for agent in sorted(set(agents))}
            found["auc_by_agent"] = {agent: area(score[mask], truth[mask]) for agent, mask in masks.items()}
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; exit 2 when the folder is not of the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DATA_DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    chosen = parser.parse_args(arguments)
    try:
        found = measure(chosen.folder)
    except TrajHubError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    show(found)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
