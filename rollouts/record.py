"""`RecordEvents`: the event log of every episode, as the outermost Gymnasium wrapper."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, SupportsFloat, cast

import gymnasium
from gymnasium.utils import RecordConstructorArgs
from pydantic import BaseModel

from ..envs.step import Step
from ..errors import Failure, StopReason, TrajHubError, UsageError
from . import payloads
from .episode_log import EpisodeLog
from .log import Fsync, Header
from .payloads import Payload
from .run_place import RunFolder, RunPlace
from .verdicts import verdict_payload, write_verdict_files

__all__ = ["Label", "RecordEvents", "find_recorder"]

OPTION = "record"
"""Key of `reset(options=...)` that may hold a `Label`; the wrapped environment does not see it."""
PARENT = "parent"
"""Key that may hold the `payloads.Parent` of an episode that begins with steps of another; not seen either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a runner knows of an episode before it begins."""

    header: Header
    attempt: int = 1
    privileged: bool = False


class RecordEvents(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Writes each episode to `<run>/episodes/<episode_id>/`.

    Each step is on disk when `step` returns: the death of the process loses none. Wrap it outermost, so that it sees
    what the other wrappers put into `info`: `scores`, `step_reward` and `process` of `RubricReward`, and `verdict`
    where somebody grades.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        run_dir: str | Path | RunPlace,
        agent: str = "unknown",
        agent_version: str = "",
        model: str | None = None,
        fsync: Fsync = "episode",
    ) -> None:
        """`run_dir` is a folder, or another place that keeps a run. `agent`, `agent_version` and `model` are written
        into every event of episodes that bring no label.
        """
        given = str(run_dir) if isinstance(run_dir, Path) else run_dir
        RecordConstructorArgs.__init__(
            self, run_dir=given, agent=agent, agent_version=agent_version, model=model, fsync=fsync
        )
        gymnasium.Wrapper.__init__(self, env)
        self.run: RunPlace = RunFolder(Path(run_dir)) if isinstance(run_dir, str | Path) else run_dir
        self._agent = {"agent": agent, "agent_version": agent_version, "model": model}
        self._fsync: Fsync = fsync
        self.call_id: str | None = None
        """A service's identifier of the call that the next step is; used once."""
        self._log: EpisodeLog | None = None
        self._returned = time.monotonic()

    @property
    def log(self) -> EpisodeLog | None:
        """The log of the current episode."""
        return self._log

    def emit(
        self,
        payload: Payload,
        *,
        t_start: datetime | None = None,
        t_end: datetime | None = None,
        duration_ms: float = 0.0,
    ) -> None:
        """Write an event of somebody else, for example a policy's request to a model."""
        if self._log is not None:
            self._log.write(payload, t_start=t_start, t_end=t_end, duration_ms=duration_ms)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode. One that was not over is recorded as interrupted."""
        self.end(StopReason.INTERRUPTED)
        inner = dict(options or {})
        label = cast("Label | None", inner.pop(OPTION, None))
        parent = cast("payloads.Parent | None", inner.pop(PARENT, None))
        if label is not None:
            self._open(label)
        begun = time.monotonic()
        try:
            observation, info = self.env.reset(seed=seed, options=inner or None)
        except TrajHubError as error:
            self._failed(error)
            raise
        reset_ms = (time.monotonic() - begun) * 1000
        if label is None:
            label = Label(header=self._header(info, seed))
            self._open(label)
        if self._log is not None:
            self._log.started(self._start(label, observation, info, parent), reset_ms=reset_ms)
        self._returned = time.monotonic()
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Act, and record the step."""
        policy_ms = (time.monotonic() - self._returned) * 1000
        observation, reward, terminated, truncated, info = self.env.step(action)
        step = info.get("step")
        if self._log is not None and isinstance(step, Step):
            self._log.step(step, float(reward), info, policy_ms=policy_ms, call_id=self.call_id)
            self.call_id = None
            if terminated or truncated:
                self._finish(info)
        self._returned = time.monotonic()
        return observation, reward, terminated, truncated, info

    def error(self, where: str, error: Exception, failure: Failure | None = None) -> None:
        """Record that something failed which is not an observation."""
        if self._log is not None:
            blame = error.failure if isinstance(error, TrajHubError) else failure
            self._log.error(where, error, blame)

    def stop(self, reason: StopReason, failure: Failure | None = None, message: str | None = None, **more: Any) -> None:
        """End the episode from outside: what was changed so far is its final patch. `more` goes into its last event."""
        log, inner = self._log, self.env.unwrapped
        if log is None or log.ended:
            return
        stop = getattr(inner, "stop", None)
        if stop is not None:
            stop(reason, failure)
            log.patch(inner.final_patch())  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
        log.end(reason, failure, message, **more)

    def end(self, reason: StopReason, failure: Failure | None = None, message: str | None = None) -> None:
        """Close the record without touching the environment; may be called from another thread, and again."""
        if self._log is not None:
            self._log.end(reason, failure, message)

    def close(self) -> None:
        """Close the environment; an episode that was not over is recorded as interrupted."""
        self.end(StopReason.INTERRUPTED)
        super().close()

    def _open(self, label: Label) -> None:
        place = self.run.episode(label.header.episode_id)
        self._log = EpisodeLog(place, label.header, attempt=label.attempt, fsync=self._fsync)

    def _failed(self, error: TrajHubError) -> None:
        if self._log is not None:
            self._log.error("environment", error, error.failure)
            # What the caller got wrong says nothing of the episode: it is to be done again.
            stop = StopReason.INTERRUPTED if isinstance(error, UsageError) else StopReason.ENVIRONMENT_ERROR
            self._log.end(stop, error.failure, str(error))

    def _finish(self, info: Mapping[str, Any]) -> None:
        log = cast("EpisodeLog", self._log)
        if (patch_error := info.get("patch_error")) is not None:
            log.write(payloads.Error.of(where="environment", kind="NoPatch", message=patch_error))
        log.patch(info.get("final_patch") or "")
        verdict = info.get("verdict")
        if isinstance(verdict, BaseModel):
            log.write(verdict_payload(verdict))
            write_verdict_files(log.place, verdict)
        # An environment that does not say why it stopped was stopped by a wrapper: a TimeLimit, or the user's own.
        log.end(info.get("stop_reason") or StopReason.EARLY_STOPPED, info.get("failure"))

    def _header(self, info: Mapping[str, Any], seed: int | None) -> Header:
        task = cast("Mapping[str, Any]", info.get("task") or {})
        task_id = str(task.get("instance_id", "unknown"))
        return Header(
            run_id=self.run.run_id,
            episode_id=self.run.claim(task_id, seed),
            task_id=task_id,
            repo=str(task.get("repo", "")),
            commit=str(task.get("base_commit", "")),
            seed=seed,
            **self._agent,  # pyright: ignore[reportArgumentType]
        )

    def _start(
        self, label: Label, observation: Any, info: Mapping[str, Any], parent: payloads.Parent | None
    ) -> payloads.EpisodeStart:
        inner = self.env.unwrapped
        tools, config = getattr(inner, "tools", None), getattr(inner, "config", None)
        sandbox = getattr(inner, "sandbox", None)
        return payloads.EpisodeStart.of(
            task=info.get("task") or {},
            observation=str(observation),
            tools=tools.schemas() if tools is not None else (),
            limits=config.model_dump(mode="json") if isinstance(config, BaseModel) else {},
            sandbox=_sandbox_facts(sandbox),
            attempt=label.attempt,
            privileged=label.privileged,
            parent=parent,
        )


def _sandbox_facts(sandbox: Any) -> dict[str, Any]:
    if sandbox is None:
        return {}
    told = {"image": sandbox.config.image, "image_id": sandbox.image_id, "workdir": sandbox.workdir}
    return told | ({"volumes": dict(sandbox.config.volumes)} if sandbox.config.volumes else {})


def find_recorder(env: gymnasium.Env[Any, Any]) -> RecordEvents | None:
    """The recorder among the wrappers of `env`."""
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, RecordEvents):
            return env
        env = env.env
    return None
