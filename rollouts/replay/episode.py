"""One episode again: every recorded action in a fresh sandbox, and what became of it against the record."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...envs.config import EnvConfig
from ...envs.engine import Engine
from ...envs.grader import Grader
from ...envs.pool import SandboxPool
from ...envs.registration import DEFAULT_WRAPPERS
from ...envs.task import Task
from ...errors import EngineUnavailable, InfrastructureError
from ...rewards.rubric import Rubric
from ...tools.registry import ToolRegistry
from ..episode_log import EVENTS
from ..events import now
from ..files import sha256_of
from ..trajectory import Trajectory
from .assemble import Findings, assemble, with_rewards
from .chance import by_chance
from .parts import compare_end, compare_patch, compare_verdict
from .playback import Playback, carry_out
from .report import EpisodeReplay, PartReplay
from .rewards import check_rewards

__all__ = ["ReplaySettings", "config_of", "log_digest", "replay_episode"]

_TIME_LIMIT = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """How the episodes of a run are replayed."""

    config: EnvConfig | None = None
    """Limits of the sandboxes; None takes those that the episode recorded."""
    wrappers: Sequence[str] = DEFAULT_WRAPPERS
    """Those of the run; rewards can be computed again where `RubricReward` is among them."""
    rubric: Rubric | None = None
    """The rubric that the rewards should come from; None for the default."""
    tools: ToolRegistry = field(default_factory=ToolRegistry)
    """Those that the run's agents had."""
    forced: tuple[str, ...] = ()
    """What is not as recorded and was let pass; noted in the report."""
    repeats: int = 2
    """How often at most what diverged is replayed again, to tell chance from another record."""


def config_of(trajectory: Trajectory, config: EnvConfig | None = None) -> EnvConfig:
    """The limits to replay under: those recorded, but an episode ends where its record ends, and not before."""
    known = config or EnvConfig.of(trajectory.start.limits)
    loose = {"max_steps": len(trajectory.steps) + 1, "time_limit": _TIME_LIMIT, "observation_limit": 1 << 40, "warm": 0}
    return known.model_copy(update=loose)


def log_digest(folder: Path | None) -> str | None:
    """SHA-256 of an episode's log."""
    return None if folder is None else sha256_of(folder / EVENTS)


def replay_episode(
    trajectory: Trajectory,
    task: Task,
    engine: Engine,
    *,
    settings: ReplaySettings | None = None,
    pool: SandboxPool | None = None,
    grader: Grader | None = None,
) -> EpisodeReplay:
    """Repeat an episode's actions and compare; with `grader`, grade the patch again where it was graded.

    A sandbox that cannot be had is told in the report's `problem`. Raises EngineUnavailable.
    """
    chosen = settings or ReplaySettings()
    about: dict[str, Any] = {
        "run_id": trajectory.header.run_id,
        "episode_id": trajectory.header.episode_id,
        "task_id": trajectory.header.task_id,
        "seed": trajectory.header.seed,
        "agent": trajectory.header.agent,
        "log_sha256": log_digest(trajectory.folder),
        "replayed_at": now(),
        "forced": chosen.forced,
    }
    began = time.monotonic()

    def play(part: Trajectory) -> Playback:
        return carry_out(part, task, engine, config_of(part, chosen.config), pool, chosen.tools)

    try:
        played = play(trajectory)
    except EngineUnavailable:
        raise
    except InfrastructureError as error:
        return EpisodeReplay(**about, problem=f"{type(error).__name__}: {error}")
    rewards, differing = check_rewards(trajectory, task, chosen.wrappers, chosen.rubric or Rubric())
    patch = compare_patch(trajectory, played.patch, played.clocks)
    wall_ms = (time.monotonic() - began) * 1000
    verdict, grading_ms = _graded(trajectory, task, played.patch, grader)
    found = Findings(
        steps=with_rewards(played.steps, differing),
        start=played.start,
        patch=patch,
        verdict=verdict,
        end=compare_end(trajectory),
    )
    about |= {"image_id": played.image_id, "reset_ms": played.reset_ms, "wall_ms": round(wall_ms, 3)}
    row = assemble(about | {"rewards": rewards, "grading_ms": grading_ms}, found)
    if row.first is None:
        return row
    chance = by_chance(trajectory, played, row.first, play, chosen.repeats)
    return row.model_copy(update={"first": row.first.model_copy(update={"chance": chance})})


def _graded(
    trajectory: Trajectory, task: Task, patch: str | None, grader: Grader | None
) -> tuple[PartReplay | None, float | None]:
    if trajectory.verdict is None or grader is None:
        return None, None
    began = time.monotonic()
    # An episode without a final patch was graded as one that has none.
    verdict = grader.grade(task, patch if trajectory.patch is not None else None)
    return compare_verdict(trajectory, verdict), round((time.monotonic() - began) * 1000, 3)
