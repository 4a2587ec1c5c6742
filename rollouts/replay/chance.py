"""Chance, or another record? What diverged is replayed again, and the replays are compared with each other."""

from collections.abc import Callable
from dataclasses import replace

from ...errors import EngineUnavailable, InfrastructureError
from ...tools.registry import ToolRegistry
from ..trajectory import Trajectory
from .compare import Comparer, compare_step
from .playback import Playback
from .report import Cause, Hint, Match

__all__ = ["Again", "by_chance"]

Again = Callable[[Trajectory], Playback]
"""Carries a trajectory out once more."""


def by_chance(trajectory: Trajectory, first: Playback, cause: Cause, again: Again, repeats: int) -> bool | None:
    """Whether what diverged first comes out otherwise, or as recorded, when it is replayed up to `repeats` times more.

    None where there is nothing to carry out (the record contradicts itself, or a reward does not follow from it), and
    where no sandbox could be had.
    """
    if repeats < 1 or cause.where not in ("step", "patch") or cause.hint in (Hint.RECORD, Hint.REWARD):
        return None
    number = next((i for i, step in enumerate(trajectory.steps) if step.index == cause.step), None)
    part = trajectory if number is None else replace(trajectory, steps=trajectory.steps[: number + 1])
    try:
        return any(_otherwise(first, again(part), number) for _ in range(repeats))
    except EngineUnavailable:
        raise
    except InfrastructureError:
        return None


def _otherwise(first: Playback, second: Playback, number: int | None) -> bool:
    if number is None:
        found = Comparer(first.clocks[1], second.clocks[1]).compare("patch", first.patch, second.patch)
        return any(item.match is Match.DIVERGED for item in found)
    then, now = first.taken[number], second.taken[number]
    if then is None or now is None:
        return then is not now
    if second.steps[number].match is not Match.DIVERGED:
        return True  # as recorded, this time
    return compare_step(then, now, (first.began, second.began), ToolRegistry()).match is Match.DIVERGED
