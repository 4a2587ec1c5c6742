"""Going on from the middle of a recorded episode: its first steps are done again, then the world is handed over."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import gymnasium

from ...envs.engine import Engine
from ...envs.env import SWEBenchEnv
from ...envs.sandbox import Sandbox
from ...envs.step import Step
from ...envs.task import Task
from ...errors import ReplayDiverged, StopReason, UsageError
from ..events import now
from ..payloads import Parent
from ..record import PARENT, find_recorder
from ..trajectory import Trajectory, read_trajectory
from .compare import compare_step
from .episode import config_of
from .report import Match, StepReplay

__all__ = ["Prefix", "Source", "branch", "sandbox_at"]

Source = Trajectory | Sequence[Step] | str | Path
"""A trajectory, the folder of an episode, or bare steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """What was carried out again; in `info["replayed"]` of a reset with `replay`."""

    steps: tuple[Step, ...]
    """As they went this time."""
    report: tuple[StepReplay, ...]
    """How each compares with what was recorded."""
    parent: Parent

    @property
    def diverged(self) -> tuple[int, ...]:
        """The steps that did not lead to what was recorded; empty unless that was allowed."""
        return tuple(item.step for item in self.report if item.match is Match.DIVERGED)


@dataclass(frozen=True, slots=True)
class _Plan:
    steps: Sequence[Step]
    task_id: str | None
    parent: Parent


def branch(
    env: gymnasium.Env[Any, Any],
    source: Source,
    until: int | None = None,
    *,
    allow_divergence: bool = False,
    seed: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Reset `env` to the state of a recorded episode after its first `until` steps; its observation and info.

    The steps go through all wrappers: rewards, limits of steps and records are those of an episode that took them
    itself. The clock of the time limit begins when the environment is handed over. By default all steps are carried
    out but the one that ended the episode. `info["replayed"]` is a `Prefix`. `options` are those of `reset`.

    Raises ReplayDiverged, naming the step, when one does not lead to what was recorded (unless `allow_divergence`),
    and UsageError when there is no such step or it ends the episode.
    """
    plan = _plan(source, until)
    inner = dict(options or {})
    if plan.task_id is not None and inner.setdefault("task_id", plan.task_id) != plan.task_id:
        raise UsageError(f"the steps are of task {plan.task_id}, not of {inner['task_id']!r}")
    recorder = find_recorder(env)
    if recorder is not None:
        inner[PARENT] = plan.parent
    clock = now()
    observation, info = env.reset(seed=seed, options=inner)
    try:
        observation, info, done = _carry_out(env, plan.steps, (observation, info), clock, allow_divergence)
    except (ReplayDiverged, UsageError) as error:
        if recorder is not None:
            recorder.end(StopReason.INTERRUPTED, message=str(error))
        raise
    taken, report = tuple(step for step, _ in done), tuple(item for _, item in done)
    return observation, info | {"replayed": Prefix(steps=taken, report=report, parent=plan.parent)}


@contextmanager
def sandbox_at(
    source: Source, task: Task, engine: Engine, until: int | None = None, *, allow_divergence: bool = False
) -> Generator[Sandbox]:
    """A live sandbox in the state of a recorded episode after its first `until` steps; gone afterwards.

    Raises as `branch`.
    """
    trajectory = _read(source)
    config = config_of(trajectory) if isinstance(trajectory, Trajectory) else None
    env = SWEBenchEnv([task], config=config or {"warm": 0}, engine=engine)
    try:
        branch(env, trajectory, until, allow_divergence=allow_divergence, options={"task_id": task.instance_id})
        yield env.sandbox
    finally:
        env.close()


def _carry_out(
    env: gymnasium.Env[Any, Any],
    steps: Sequence[Step],
    begun: tuple[Any, dict[str, Any]],
    clock: datetime,
    allow_divergence: bool,
) -> tuple[Any, dict[str, Any], list[tuple[Step, StepReplay]]]:
    inner = env.unwrapped
    if not isinstance(inner, SWEBenchEnv):
        raise UsageError(f"steps can be replayed in a SWEBenchEnv, not in {inner}")
    (observation, info), done = begun, list[tuple[Step, StepReplay]]()
    for step in steps:
        inner.episode.restart_clock()
        observation, _, terminated, truncated, info = env.step(step.action)
        taken: Step = info["step"]
        found = compare_step(step, taken, (steps[0].t_start, clock), inner.tools)
        done.append((taken, found))
        if found.match is Match.DIVERGED and not allow_divergence:
            raise _diverged(found)
        if terminated or truncated:
            raise UsageError(
                f"step {step.index} ends the episode ({info.get('stop_reason')}), so nothing can follow it: "
                "give a smaller `until`, or raise the limit of the environment"
            )
    inner.episode.restart_clock()
    return observation, info, done


def _diverged(found: StepReplay) -> ReplayDiverged:
    wrong = next(item for item in found.differences if item.match is Match.DIVERGED)
    return ReplayDiverged(
        f"step {found.step} ({found.tool}) did not lead to what was recorded; {wrong.field} differs:\n{wrong.diff}\n"
        "Allow divergence to go on from here all the same.",
        step=found.step,
        field=wrong.field,
    )


def _read(source: Source) -> Trajectory | Sequence[Step]:
    return read_trajectory(Path(source)) if isinstance(source, str | Path) else source


def _plan(source: Source, until: int | None) -> _Plan:
    found = _read(source)
    if isinstance(found, Trajectory):
        steps, header = found.steps, found.header
        names: dict[str, Any] = {"run_id": header.run_id, "episode_id": header.episode_id}
        task_id: str | None = header.task_id
    else:
        steps, names, task_id = _checked(found), {}, None
    count = len(_before_the_end(steps)) if until is None else until
    if not 0 <= count <= len(steps):
        raise UsageError(f"`until` must be between 0 and {len(steps)}, the number of recorded steps, not {until}")
    return _Plan(steps[:count], task_id, Parent(steps=count, **names))


def _checked(source: object) -> Sequence[Step]:
    if isinstance(source, Sequence) and all(isinstance(step, Step) for step in cast("Sequence[Any]", source)):
        return cast("Sequence[Step]", source)
    raise UsageError(f"`replay` is an episode's folder, a Trajectory, or a sequence of steps, not {source!r:.100}")


def _before_the_end(steps: Sequence[Step]) -> Sequence[Step]:
    return steps[:-1] if steps and steps[-1].tool == "submit" else steps
