"""Scores of recorded steps, from event logs and from files of scores, as calibration wants them."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from ..errors import UsageError
from ..rewards.human.observations import ScoredStep
from ..rewards.human.preferences import EpisodeKey
from .score_log import PartRow, read_scores, scored_layers
from .trajectory import Trajectory, episode_folders, read_trajectory

__all__ = ["PROCESS_SCORE", "ScoredEpisode", "read_scored"]

PROCESS_SCORE = "process score"
_ROUNDING = 1e-5

_Scores = dict[str, dict[str, float | None]]
"""By layer, the score of each criterion."""


@dataclass(frozen=True, slots=True)
class ScoredEpisode:
    """What the layers said of one episode."""

    key: EpisodeKey
    steps: tuple[ScoredStep, ...]
    whole: Mapping[str, float]
    """Scores of the whole trajectory: its process score, and the mean reward of each layer."""


def read_scored(
    runs: Sequence[Path], wanted: Collection[EpisodeKey], weights: Mapping[str, float]
) -> Iterator[ScoredEpisode]:
    """The wanted episodes (run id, episode id) of some runs, one in memory at a time.

    `weights` of the criteria make one figure of a step's scores. Raises UsageError when two runs share an id.
    """
    homes = dict[str, Path]()
    names = {episode for _, episode in wanted}
    for run in runs:
        rows = _score_rows(run)
        for folder in episode_folders(run):
            if folder.name not in names:
                continue
            found = read_trajectory(folder)
            key = found.header.run_id, found.header.episode_id
            if homes.setdefault(key[0], run) != run:
                raise UsageError(f"{homes[key[0]]} and {run} are both called {key[0]!r}; calibrate them one at a time")
            if key in wanted:
                yield _scored(key, found, rows.get(key[1], {}), weights)


def _score_rows(run: Path) -> dict[str, dict[int, _Scores]]:
    """By episode and step, what the files in `scores/` say."""
    found: dict[str, dict[int, _Scores]] = defaultdict(lambda: defaultdict(dict))
    for layer in scored_layers(run):
        for row in read_scores(run, layer):
            layers = found[row.episode_id][row.step]
            for name, told in row.criteria.items():
                for part in (*told.parts, PartRow(layer=row.layer, score=told.score)):
                    layers.setdefault(part.layer, {}).setdefault(name, part.score)
    return found


def _scored(
    key: EpisodeKey, found: Trajectory, rows: Mapping[int, _Scores], weights: Mapping[str, float]
) -> ScoredEpisode:
    steps = list[ScoredStep]()
    for step, reward in zip(found.steps, found.rewards, strict=True):
        layers = rows.get(step.index, {})
        rules = _RulesSaid()
        for record in reward.criteria if reward is not None else ():
            _unpack(record.model_dump(), layers, rules)
        steps.append(
            ScoredStep(
                key=(*key, step.index),
                task_id=found.header.task_id,
                layers=layers,
                rules=rules.scores,
                rule_layer=rules.layer,
                settled=frozenset(rules.settled),
            )
        )
    return ScoredEpisode(key, tuple(steps), _whole(found, steps, weights))


def _whole(found: Trajectory, steps: Sequence[ScoredStep], weights: Mapping[str, float]) -> dict[str, float]:
    by_layer: dict[str, list[float]] = defaultdict(list)
    for step in steps:
        for layer, scores in step.layers.items():
            given = {name: score for name, score in scores.items() if score is not None and weights.get(name)}
            if given:
                total = sum(weights[name] for name in given)
                by_layer[layer].append(sum(weights[name] * score for name, score in given.items()) / total)
    whole = {f"mean reward of {layer}": fmean(rewards) for layer, rewards in by_layer.items()}
    return whole if found.process_score is None else {PROCESS_SCORE: found.process_score, **whole}


@dataclass(slots=True)
class _RulesSaid:
    """What rules said of one step, by criterion."""

    layer: str | None = None
    scores: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    settled: set[str] = field(default_factory=set[str])


def _unpack(record: Mapping[str, Any], layers: _Scores, rules: _RulesSaid) -> None:
    """Take one criterion's record into account: a combination's parts, or a single layer's score and its rules."""
    for part in record.get("parts") or ():
        _unpack(part, layers, rules)
    layer, criterion, said = record.get("layer") or "unknown", record["criterion"], record.get("rules") or ()
    layers.setdefault(layer, {}).setdefault(criterion, record.get("score"))
    if said:
        rules.layer = layer
        rules.scores[criterion] = {str(rule["rule"]): float(rule["score"]) for rule in said}
        if _is_settled(record.get("score"), said):
            rules.settled.add(criterion)


def _is_settled(score: float | None, rules: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a criterion's score is not the weighted mean of its rules: a decisive rule won, or set it aside."""
    total = sum(float(rule["weight"]) for rule in rules)
    mean = sum(float(rule["weight"]) * float(rule["score"]) for rule in rules) / total if total else None
    return score is None or mean is None or abs(score - mean) > _ROUNDING
