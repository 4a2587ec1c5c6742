"""The actions of one recorded episode, carried out in a fresh sandbox and compared as they go."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gymnasium.error import ResetNeeded

from ...envs.config import EnvConfig
from ...envs.deadline import Deadline
from ...envs.engine import Engine
from ...envs.env import SWEBenchEnv
from ...envs.patch_of import NoPatch
from ...envs.pool import SandboxPool
from ...envs.step import Step
from ...envs.task import Task
from ...errors import StopReason
from ...tools.registry import ToolRegistry
from ..events import now
from ..trajectory import Trajectory
from .compare import Comparer, compare_step, judged
from .normalise import Clock
from .report import Difference, Hint, Match, PartReplay, StepReplay, worst

__all__ = ["Playback", "carry_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback:
    """What carrying out led to."""

    start: PartReplay
    steps: list[StepReplay]
    taken: list[Step | None]
    """The steps as they went now; None where the episode was over."""
    began: datetime
    patch: str
    clocks: tuple[Clock, Clock]
    """When the recorded episode came about, and when its replay did."""
    image_id: str
    reset_ms: float


def carry_out(
    trajectory: Trajectory,
    task: Task,
    engine: Engine,
    config: EnvConfig,
    pool: SandboxPool | None,
    tools: ToolRegistry,
) -> Playback:
    """Reset, do every action, take the patch. Raises InfrastructureError."""
    clock, began = now(), time.monotonic()
    env = SWEBenchEnv([task], config=config, engine=engine, pool=pool, tools=tools)
    try:
        observation, _ = env.reset(options={"task_id": task.instance_id})
        reset_ms = (time.monotonic() - began) * 1000
        image_id = env.sandbox.image_id
        first, last = _span(trajectory.steps, clock)
        taken = [_take(env, step) for step in trajectory.steps]
        env.stop(StopReason.EARLY_STOPPED)
        patch = _patch(env)
    finally:
        _retire(env, pool)
    clocks = Clock.around(first, last), Clock.around(clock, now())
    found = tuple(Comparer(*clocks).compare("observation", trajectory.start.observation, observation))
    then = trajectory.start.sandbox.get("image_id")
    note = f"recorded in image {then}, replayed in {image_id}" if then not in (None, image_id) else None
    return Playback(
        start=PartReplay(match=worst(item.match for item in found), differences=found, note=note),
        steps=[_compared(*pair, (first, clock), env.tools) for pair in zip(trajectory.steps, taken, strict=True)],
        taken=taken,
        began=clock,
        patch=patch,
        clocks=clocks,
        image_id=image_id,
        reset_ms=round(reset_ms, 3),
    )


def _retire(env: SWEBenchEnv, pool: SandboxPool | None) -> None:
    """Remove the sandbox, in the background where there is a pool to do it."""
    try:
        if pool is not None:
            pool.discard(env.sandbox)
            return
    except ResetNeeded:
        pass
    env.close()


def _take(env: SWEBenchEnv, step: Step) -> Step | None:
    if env.episode.over:
        return None
    env.deadline = Deadline.of(step.data)
    return env.step(step.action)[-1]["step"]


def _compared(step: Step, taken: Step | None, began: tuple[datetime, datetime], tools: ToolRegistry) -> StepReplay:
    if taken is not None:
        return compare_step(step, taken, began, tools)
    lost = Difference(field="episode", match=Match.DIVERGED, hint=Hint.CONTENT, diff="the episode was over")
    return judged(step, [lost], replayed_ms=None)


def _patch(env: SWEBenchEnv) -> str:
    try:
        return env.final_patch()
    except NoPatch:
        return ""


def _span(steps: Sequence[Step], default: datetime) -> tuple[datetime, datetime]:
    return (steps[0].t_start, steps[-1].t_end) if steps else (default, default)
