"""Checks of the rewards: do the recorded figures follow from the recorded rules, and the rules from the steps?"""

from collections.abc import Iterator, Mapping

from ...envs.task import Task
from ...rewards.config import RubricConfig
from ...rewards.rubric import Rubric
from ...rewards.scores import rounded
from ...rollouts.payloads import CriterionRecord, StepReward
from .finding import Finding
from .record import Record

__all__ = ["arithmetic", "recomputed"]

_CLOSE = 2e-6


def arithmetic(record: Record, weights: Mapping[str, float] | None) -> Iterator[Finding]:
    """A criterion's score is the mean of its rules, the reward that of the criteria, all of them in [0, 1].

    `weights` are those of the run's rubric; None when they are not known, then rewards are not added up.
    """
    found = record.trajectory
    for reward in found.rewards if found is not None else ():
        if reward is None or not reward.criteria:
            continue
        where = f"{record.name} step {reward.step}"
        for criterion in reward.criteria:
            yield from _criterion(where, criterion)
        if weights is not None:
            yield from _reward(where, reward, weights)


def recomputed(record: Record, rubric: Rubric, task: Task) -> Iterator[Finding]:
    """The rules, applied again to the recorded steps, say what is recorded."""
    found = record.trajectory
    if found is None or not any(found.rewards):
        return
    layers = {item.layer for reward in found.rewards if reward is not None for item in reward.criteria if item.layer}
    if layers != {rubric.version}:
        said = f"scored by {', '.join(sorted(layers)) or 'nobody'}; this version has {rubric.version}"
        yield Finding.note("recomputed", record.name, said)
        return
    for reward, score in zip(found.rewards, rubric.score(task, found.steps), strict=True):
        if reward is None:
            yield Finding.warning("recomputed", f"{record.name} step {score.index}", "was not scored")
        elif abs(reward.reward - score.reward) > _CLOSE:
            said = (
                f"recorded reward {reward.reward:g}; the rules give {score.reward:g} ({_which(reward, score.scores())})"
            )
            yield Finding.error("recomputed", f"{record.name} step {reward.step}", said)


def weights_of(config: RubricConfig) -> dict[str, float]:
    """Weight of each criterion."""
    return {name: criterion.weight for name, criterion in config.criteria.items()}


def _criterion(where: str, criterion: CriterionRecord) -> Iterator[Finding]:
    score = criterion.score
    if score is not None and not 0 <= score <= 1:
        yield Finding.error("arithmetic", where, f"{criterion.criterion} is {score:g}, outside [0, 1]")
    rules = [(float(rule["score"]), float(rule["weight"])) for rule in criterion.rules]
    total = sum(weight for _, weight in rules)
    # A decisive rule gives 0, or sets the other criteria aside: then the mean of the rules is not the score.
    if not total or score in (None, 0.0) or criterion.set_aside_by is not None:
        return
    mean = rounded(sum(value * weight for value, weight in rules) / total)
    if abs(mean - score) > _CLOSE:
        yield Finding.error("arithmetic", where, f"{criterion.criterion} is {score:g}; its rules give {mean:g}")


def _reward(where: str, reward: StepReward, weights: Mapping[str, float]) -> Iterator[Finding]:
    scored = [(item.score, weights.get(item.criterion, 0.0)) for item in reward.criteria if item.score is not None]
    total = sum(weight for _, weight in scored)
    mean = rounded(sum(value * weight for value, weight in scored) / total) if total else 0.0
    if abs(mean - reward.reward) > _CLOSE:
        yield Finding.error("arithmetic", where, f"reward is {reward.reward:g}; its criteria give {mean:g}")


def _which(reward: StepReward, scores: Mapping[str, Mapping[str, object]]) -> str:
    """The criteria that differ."""
    names = [item.criterion for item in reward.criteria if item.score != scores.get(item.criterion, {}).get("score")]
    return ", ".join(names) or "the weights"
