"""One episode, from reset to end: a policy and an environment take turns, and every way out is recorded."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium

from ..envs.step import Step
from ..envs.task import Task
from ..errors import Failure, InfrastructureError, ServiceError, StopReason
from .budget import Ledger
from .log import Header
from .policies.base import Action, Context, Policy, PolicyStop, Remembering, Session, TaskView
from .record import Label, RecordEvents
from .run_dir import Episode
from .steering.pilot import Pilot, Steering

__all__ = ["Job", "Turn", "as_text", "play"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One episode to be done."""

    task: Task
    seed: int
    attempt: int = 1
    tries: int = 0
    """Attempts of this sitting that failed by the environment or a service."""
    avoid: tuple[str, ...] = ()
    """Where they failed, for a crew that works in several places."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further options of `reset`, such as where to branch off."""
    history: Sequence[Mapping[str, Any]] = ()
    """Messages of the conversation that the episode goes on with; they end with an answer of the agent."""
    only_grade: Episode | None = None
    """An episode of an earlier sitting, of which only the verdict is missing."""


@dataclass(slots=True)
class Turn:
    """Where an episode stands, for whoever watches it. `world` is held while the environment works."""

    job: Job
    recorder: RecordEvents
    deadline: float
    """When the time is up, on the monotonic clock."""
    started: float = field(default_factory=time.monotonic)
    world: threading.Lock = field(default_factory=threading.Lock)
    session: Session | None = None
    steps: int = 0
    doing: str = "reset"
    stop: tuple[StopReason, str] | None = None
    """Set from outside: end before the next action."""
    evicted: bool = False
    """Taken away from its worker, which must not touch the environment any more."""


def play(
    env: gymnasium.Env[Any, Any],
    policy: Policy,
    turn: Turn,
    header: Header,
    ledger: Ledger,
    time_limit: float,
    steering: Steering | None = None,
) -> None:
    """Do one episode. What goes wrong is in its record; raises only for what makes the whole run pointless."""
    job, recorder = turn.job, turn.recorder
    label = Label(header=header, attempt=job.attempt, privileged=policy.privileged)
    with turn.world:
        if turn.stop is not None:
            return  # nothing was begun, and nothing is recorded
        try:
            options = {**job.options, "task_id": job.task.instance_id, "record": label}
            observation, info = env.reset(seed=job.seed, options=options)
        except InfrastructureError:
            return  # the recorder has written it down
        turn.deadline = time.monotonic() + time_limit
    pilot = steering.pilot(recorder.emit, job.task.workdir) if steering is not None else None
    context = Context(
        tools=env.unwrapped.tools.schemas(),  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
        seed=job.seed,
        log=recorder.emit if pilot is None else pilot.log,
        ledger=ledger,
        deadline=turn.deadline,
        solution=job.task if policy.privileged else None,
    )
    turn.session = session = policy.start(TaskView.of(job.task), context)
    if job.history and isinstance(session, Remembering):
        session.remember(job.history)
    try:
        while (action := _decide(session, turn, observation, info)) is not None:
            with turn.world:
                if turn.evicted:
                    return
                turn.doing = str(action.call.get("name")) if isinstance(action.call, Mapping) else "text"
                recorder.call_id = action.call_id
                said = as_text(action)
                _before(env, pilot, said)
                observation, reward, terminated, truncated, info = env.step(said)
                turn.steps += 1
            if terminated or truncated:
                return
            _after(pilot, turn, info, float(reward))
    finally:
        session.close()


def _before(env: gymnasium.Env[Any, Any], pilot: Pilot | None, action: str) -> None:
    """Give the next step the time that its command is expected to take."""
    if pilot is not None:
        world: Any = env.unwrapped
        world.deadline = pilot.deadline(action, world.tools.parse(action))


def _after(pilot: Pilot | None, turn: Turn, info: Mapping[str, Any], reward: float) -> None:
    """Let the pilot see a step, and end the episode when it says so."""
    step = info.get("step")
    if pilot is None or not isinstance(step, Step):
        return
    pilot.took(step, info.get("step_reward", reward))
    if turn.stop is None and (why := pilot.stop()) is not None:
        turn.stop = (StopReason.EARLY_STOPPED, why)


def _decide(session: Session, turn: Turn, observation: str, info: Mapping[str, Any]) -> Action | None:
    """The next action; None when the episode is over."""
    turn.doing = "thinking"
    if turn.evicted:
        return None
    try:
        if turn.stop is None:
            return session.act(observation, info)
        reason, message, failure = *turn.stop, None
    except PolicyStop as stop:
        reason, message, failure = stop.reason, str(stop), stop.blame
    except ServiceError as error:
        turn.recorder.error("policy", error)
        reason, message, failure = _after_service_error(turn, error)
    with turn.world:
        if not turn.evicted:
            turn.recorder.stop(reason, failure, message)
    return None


def _after_service_error(turn: Turn, error: ServiceError) -> tuple[StopReason, str, Failure | None]:
    # A request that was cancelled, or ran out of the episode's time, is not the service's fault.
    if turn.stop is not None:
        return *turn.stop, None
    if time.monotonic() >= turn.deadline:
        return StopReason.TIME_LIMIT, "time was up", None
    return StopReason.POLICY_ERROR, str(error), Failure.SERVICE


def as_text(action: Action) -> str:
    """An action as the environment takes it."""
    if isinstance(action.call, str):
        return action.call
    call = dict(action.call)
    if action.thought:
        call["thought"] = action.thought
    return json.dumps(call, ensure_ascii=False)
