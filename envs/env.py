"""`SWEBench-v0`: a repository in a sandbox, changed by tool calls until a patch is submitted.

Observations and actions are text. The reward is 0: what a step was worth is said by a wrapper
(`trajectory_hub.rewards.wrapper.RubricReward`, part of the registration's defaults), what the final patch was worth by
the trusted grader.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import gymnasium
from gymnasium.error import ResetNeeded

from ..errors import Failure, InfrastructureError, StopReason, TaskError, TaskNotFound, UsageError
from ..tools.base import Telemetry, ToolContext, ToolResult
from ..tools.registry import MalformedAction, ParsedCall, ToolRegistry
from ..tools.text import without_surrogates
from .config import EnvConfig
from .deadline import Deadline
from .default_tasks import default_tasks
from .engine import Engine
from .episode import Episode
from .logs import log_parser
from .patch_of import NoPatch, patch_of
from .pool import SandboxPool
from .render import render_reset, render_step
from .sandbox import Sandbox
from .spaces import ActionText, UnicodeText
from .step import Step
from .task import Task

__all__ = ["SWEBenchEnv", "first_observation"]

_MAX_TEXT = 1 << 20
Action = str | Mapping[str, Any]


class SWEBenchEnv(gymnasium.Env[str, Action]):
    """One agent, one repository at a time.

    Args:
        tasks: Tasks, or what `trajectory_hub.envs.sources.load_tasks` understands; by default the task repo of
            `$TRAJHUB_TASKS`, `./tasks`, or the one `trajhub tasks build` made for this user.
        task_ids: Only these, in this order.
        config: An `EnvConfig` or a mapping of its fields.
        engine: A connection to share; by default one of its own.
        pool: Warm sandboxes to share; by default a pool of its own with room for `config.warm`.
        volumes: Volumes of the engine that every sandbox can read, by name, and where (see `SandboxConfig.volumes`).
        render_mode: `ansi` (render() returns the last step as text) or `human` (every step is printed).

    Raises:
        TaskError: There are no tasks, or not the ones asked for.
        EngineUnavailable: No Docker API answers.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "human"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        tasks: str | Path | Sequence[Task] | None = None,
        *,
        task_ids: Iterable[str] | None = None,
        config: EnvConfig | Mapping[str, Any] | None = None,
        engine: Engine | None = None,
        pool: SandboxPool | None = None,
        tools: ToolRegistry | None = None,
        volumes: Mapping[str, str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise UsageError(f"render_mode {render_mode!r} is not one of {self.metadata['render_modes']}")
        self.render_mode = render_mode
        self.config = EnvConfig.of(config)
        self.tasks = choose_tasks(tasks, task_ids)
        self.tools = ToolRegistry() if tools is None else tools
        self.observation_space = UnicodeText(_MAX_TEXT)  # pyright: ignore[reportIncompatibleVariableOverride]
        self.action_space = ActionText(_MAX_TEXT, self.tools)  # pyright: ignore[reportIncompatibleVariableOverride,reportAttributeAccessIssue]
        self._by_id = {task.instance_id: task for task in self.tasks}
        self._owns_engine = engine is None
        self._engine = engine or Engine()
        if self._owns_engine:
            self._engine.sweep()
        self._owns_pool = pool is None
        self._pool = pool or SandboxPool(self._engine, self.config.warm)
        self._volumes = volumes
        self.deadline: Deadline | None = None
        """Of the next step, where a step is to be given less time than the settings say; used once."""
        self._episode: Episode | None = None
        self._queue: list[Task] = []
        self._announced = 0
        self._shown = ""
        self._closed = False

    @property
    def episode(self) -> Episode:
        """The current episode. Raises ResetNeeded before the first reset."""
        if self._episode is None:
            raise ResetNeeded("call reset() before anything else")
        return self._episode

    @property
    def task(self) -> Task:
        """The current task, reference patch and deciding tests included: not for the agent's eyes."""
        return self.episode.task

    @property
    def sandbox(self) -> Sandbox:
        """The current sandbox."""
        return self.episode.sandbox

    @property
    def engine(self) -> Engine:
        """The connection to the Docker API."""
        return self._engine

    def final_patch(self) -> str:
        """The agent's changes: as submitted once the episode is over, as they are now before. Raises NoPatch."""
        episode = self.episode
        return episode.final_patch if episode.final_patch is not None else patch_of(episode.sandbox)

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin an episode in a fresh sandbox.

        Options: `task_id`, else the next task in an order drawn from the seed. Raises TaskNotFound, TaskIncomplete,
        ImageMissing, EngineUnavailable or SandboxLost.
        """
        super().reset(seed=seed)
        if self._closed:
            raise UsageError("this environment is closed")
        self._retire()
        if seed is not None:
            self._queue.clear()
            self._announced = 0
        task = self._choose(options or {})
        sandbox = self._pool.acquire(self.config.sandbox(task, self._volumes))
        self._episode = Episode(task=task, sandbox=sandbox, config=self.config)
        self._prefetch()
        observation = first_observation(task, hints=self.config.hints)
        self._episode.observed = len(observation)
        self._show(partial(render_reset, task))
        return observation, self._info()

    def step(self, action: Action) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Do one tool call. A malformed action is answered with an explanation. Raises ResetNeeded after the end."""
        episode = self.episode
        if self._closed:
            raise UsageError("this environment is closed")
        if episode.over:
            raise ResetNeeded(f"the episode ended ({episode.stop_reason}); call reset()")
        call = self.tools.parse(action)
        t_start, began = datetime.now(UTC), time.perf_counter()
        result = self._act(call, episode)
        duration_ms = (time.perf_counter() - began) * 1e3
        telemetry = episode.sandbox.take_telemetry()
        step = _as_step(episode.steps, action, call, result, telemetry, t_start, duration_ms)
        self._account(step, result)
        info = self._info() | {"step": step}
        if episode.over:
            info |= {"final_patch": episode.final_patch or "", "patch_error": episode.patch_error}
        self._show(partial(render_step, step, episode.stop_reason))
        terminated = episode.stop_reason is StopReason.SUBMITTED
        return step.observation, 0.0, terminated, episode.over and not terminated, info

    def stop(self, reason: StopReason, failure: Failure | None = None) -> None:
        """End the episode from outside (a budget, an interruption); what was changed so far is the final patch."""
        episode = self.episode
        if episode.over:
            return
        episode.stop_reason, episode.failure = reason, failure
        try:
            episode.final_patch = patch_of(episode.sandbox)
        except (NoPatch, InfrastructureError) as error:
            episode.final_patch, episode.patch_error = "", str(error)

    def render(self) -> str | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The last step as text (`ansi`); prints it (`human`)."""
        if self.render_mode == "human":
            print(self._shown)
            return None
        return self._shown if self.render_mode == "ansi" else None

    def close(self) -> None:
        """Remove every container of this environment; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._episode is not None:
            self._episode.sandbox.close()
        if self._owns_pool:
            self._pool.close()
        if self._owns_engine:
            self._engine.close()

    def _choose(self, options: Mapping[str, Any]) -> Task:
        unknown = set(options) - {"task_id"}
        if unknown:
            raise UsageError(f"unknown reset options {sorted(unknown)}; known: task_id, and replay with until")
        task_id = options.get("task_id")
        if task_id is not None:
            if not isinstance(task_id, str) or task_id not in self._by_id:
                raise TaskNotFound(f"no task {task_id!r} among the {len(self.tasks)} of this environment")
            return self._by_id[task_id]
        self._draw(1)
        self._announced = max(self._announced - 1, 0)
        return self._queue.pop(0)

    def _draw(self, count: int) -> None:
        while len(self._queue) < count:
            order = self.np_random.permutation(len(self.tasks)) if self.config.shuffle else range(len(self.tasks))
            self._queue += [self.tasks[int(i)] for i in order]

    def _prefetch(self) -> None:
        self._draw(self.config.warm)
        for task in self._queue[self._announced : self.config.warm]:
            if task.image:
                self._pool.prefetch(self.config.sandbox(task, self._volumes))
        self._announced = self.config.warm

    def _act(self, call: ParsedCall | MalformedAction, episode: Episode) -> ToolResult:
        deadline, self.deadline = self.deadline, None
        if isinstance(call, MalformedAction):
            episode.malformed += 1
            return ToolResult(output=call.message, ok=False, error="malformed_action")
        try:
            result = call.run(self._context(episode, deadline))
            if deadline is None or result.error != "timeout" or not self._cut(call, deadline, episode):
                return result
            return deadline.mark(result, call.run(self._context(episode)) if deadline.retry else None)
        except InfrastructureError as error:
            episode.stop_reason, episode.failure = StopReason.ENVIRONMENT_ERROR, Failure.ENVIRONMENT
            return ToolResult(output=f"[the sandbox was lost: {error}]", ok=False, error="sandbox_lost")

    def _cut(self, call: ParsedCall, deadline: Deadline, episode: Episode) -> bool:
        """Whether it was the deadline that ended a call which timed out, and time is left for another."""
        asked = getattr(call.arguments, "timeout", None) is not None
        full = self.config.test_timeout if call.name == "run_tests" else self.config.command_timeout
        return not asked and deadline.seconds < full and episode.time_left > 0

    def _context(self, episode: Episode, deadline: Deadline | None = None) -> ToolContext:
        task, left = episode.task, max(episode.time_left, 0.1)
        if deadline is not None:
            left = min(left, deadline.seconds)
        return ToolContext(
            sandbox=episode.sandbox,
            base_commit=episode.sandbox.head or "HEAD",
            test_command=task.test_command,
            log_parser=partial(_parse_log, task.log_parser) if task.log_parser else None,
            command_timeout=min(self.config.command_timeout, left),
            test_timeout=min(self.config.test_timeout, left),
            output_limit=self.config.output_limit,
        )

    def _account(self, step: Step, result: ToolResult) -> None:
        episode = self.episode
        episode.steps += 1
        episode.observed += len(step.observation)
        if episode.over:
            episode.final_patch, episode.patch_error = "", "the sandbox was lost"
        elif result.done:
            self.stop(StopReason.SUBMITTED)
        elif (reason := episode.exceeded()) is not None:
            self.stop(reason)

    def _info(self) -> dict[str, Any]:
        episode = self.episode
        task = episode.task
        return {
            "task": {
                "instance_id": task.instance_id,
                "repo": task.repo,
                "base_commit": task.base_commit,
                "problem_statement": task.problem_statement,
            },
            "step_index": episode.steps,
            "malformed_actions": episode.malformed,
            "stop_reason": episode.stop_reason,
            "failure": episode.failure,
        }

    def _show(self, render: Callable[[], str]) -> None:
        if self.render_mode is not None:
            self._shown = render()
        if self.render_mode == "human":
            self.render()

    def _retire(self) -> None:
        if self._episode is not None:
            self._pool.discard(self._episode.sandbox)
            self._episode = None


def choose_tasks(tasks: str | Path | Sequence[Task] | None, task_ids: Iterable[str] | None) -> list[Task]:
    """Tasks of an environment from what its user gave. Raises TaskError or TaskNotFound."""
    wanted = [task_ids] if isinstance(task_ids, str) else None if task_ids is None else list(task_ids)
    if tasks is None or isinstance(tasks, str | Path):
        from .sources import load_tasks

        found = load_tasks(default_tasks() if tasks is None else tasks, ids=wanted)
    else:
        found = _given(tasks)
    if wanted is not None:
        by_id = {task.instance_id: task for task in found}
        if missing := [task_id for task_id in wanted if task_id not in by_id]:
            raise TaskNotFound(f"no such task: {', '.join(missing[:5])}")
        found = [by_id[task_id] for task_id in wanted]
    if not found:
        raise TaskError(f"there are no tasks in {tasks!r}")
    return found


def _given(tasks: object) -> list[Task]:
    if isinstance(tasks, Iterable):
        found = list(cast("Iterable[object]", tasks))
        if all(isinstance(task, Task) for task in found):
            return cast("list[Task]", found)
    raise TaskError(f"`tasks` is a folder, a dataset's name, a file or a list of Task, not {tasks!r:.80}")


def first_observation(task: Task, *, hints: bool = False) -> str:
    """What an agent is told at the start: where the repository is and what is wrong, nothing of the answer."""
    parts = [f"Repository {task.repo} at {task.workdir}.", task.problem_statement.strip()]
    if hints and task.hints_text.strip():
        parts += ["Hints:", task.hints_text.strip()]
    return "\n\n".join(parts)


def _parse_log(parser: str, log: str) -> Mapping[str, str]:
    # Found at the first test run, not at reset: importing the parsers takes longer than an episode may.
    return log_parser(parser)(log)


def _as_json(action: object) -> str:
    import json

    try:
        return json.dumps(action, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):  # no JSON: odd keys, a circle, or too deep
        return repr(action)


def _as_step(
    index: int,
    action: Action,
    call: ParsedCall | MalformedAction,
    result: ToolResult,
    telemetry: Telemetry,
    t_start: datetime,
    duration_ms: float,
) -> Step:
    parsed = isinstance(call, ParsedCall)
    return Step(
        index=index,
        action=without_surrogates(action if isinstance(action, str) else _as_json(action)),
        tool=call.name if parsed else call.tool,
        arguments=call.arguments.model_dump(mode="json", exclude_none=True)
        if parsed
        else without_surrogates(call.arguments),
        observation=result.output,
        ok=result.ok,
        error=result.error,
        exit_code=result.exit_code,
        data=result.data,
        telemetry=telemetry,
        t_start=t_start,
        t_end=datetime.now(UTC),
        duration_ms=duration_ms,
        # As the record will hold it: what is judged now must be what is judged again.
        thought=without_surrogates(call.thought),
    )
