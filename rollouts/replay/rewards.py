"""Rewards computed again from the recorded steps: an edited reward is found at its step."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...envs.task import Task
from ...rewards.rubric import Rubric
from ...rewards.scores import StepScore
from ..payloads import CriterionRecord, StepReward
from ..trajectory import Trajectory
from .compare import diverged, settled
from .report import Difference, Hint, RewardCheck

__all__ = ["WRAPPER", "check_rewards"]

WRAPPER = "trajectory_hub.rewards.wrapper:RubricReward"


def check_rewards(
    trajectory: Trajectory, task: Task, wrappers: Sequence[str], rubric: Rubric
) -> tuple[RewardCheck, Mapping[int, tuple[Difference, ...]]]:
    """What the rules say of each recorded step against what was recorded: how many were checked, and what differs."""
    if WRAPPER not in wrappers:
        return RewardCheck(note="the run was not scored by RubricReward"), {}
    ours = rubric.version
    found: dict[int, tuple[Difference, ...]] = {}
    checked, others = 0, set[str]()
    scores = rubric.score(task, trajectory.steps)
    for recorded, score in zip(trajectory.rewards, scores, strict=True):
        if recorded is None:
            continue
        if strange := {layer for item in recorded.criteria if (layer := item.layer) not in (None, ours)}:
            others |= {layer for layer in strange if layer}
            continue
        checked += 1
        if differences := tuple(_differences(recorded, score)):
            found[recorded.step] = differences
    note = f"scored by {', '.join(sorted(others))}, which is not computed again here" if others else None
    return RewardCheck(checked=checked, rules=ours, note=note), found


def _differences(recorded: StepReward, score: StepScore) -> list[Difference]:
    pairs: list[tuple[str, Any, Any]] = [("reward", recorded.reward, score.reward)]
    now = {name: CriterionRecord.of(criterion=name, **scores) for name, scores in score.scores().items()}
    for item in recorded.criteria:
        again = now.get(item.criterion)
        if again is None:
            pairs.append((f"criteria.{item.criterion}", item.score, None))
            continue
        pairs += [(f"criteria.{item.criterion}.{name}", _part(item, name), _part(again, name)) for name in _PARTS]
    pairs.append(("process", settled(recorded.process), settled(score.process.as_dict())))
    return [_difference(field, then, again) for field, then, again in pairs if then != again]


_PARTS = ("score", "set_aside_by", "rules")


def _part(record: CriterionRecord, name: str) -> Any:
    value = getattr(record, name)
    return settled(list(value)) if name == "rules" else value


def _difference(field: str, recorded: Any, again: Any) -> Difference:
    return diverged(field, _lines(recorded), _lines(again)).model_copy(update={"hint": Hint.REWARD})


def _lines(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore
