"""The record of one episode while it happens: its events, its totals, and the files beside them."""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from ..envs.step import Step
from ..errors import Failure, StopReason
from ..tools.base import Telemetry
from . import payloads
from .adapters.base import Timed
from .episode_place import EpisodeFolder, EpisodePlace
from .events import Event, now
from .log import EventWriter, Header
from .log_file import EVENTS, Fsync
from .payloads import Payload, Usage
from .phases import PhaseName, Phases

__all__ = ["EVENTS", "PATCH", "EpisodeLog", "patch_facts"]

PATCH = "patch.diff"

_MEASURED = tuple(field.name for field in fields(Telemetry))


class EpisodeLog:
    """Thread-safe; what comes after the end is dropped, so that a straggler cannot write into a closed episode."""

    def __init__(
        self, place: Path | EpisodePlace, header: Header, *, attempt: int = 1, fsync: Fsync = "episode"
    ) -> None:
        self.place: EpisodePlace = EpisodeFolder(place) if isinstance(place, Path) else place
        self.header = header
        self.attempt = attempt
        self.outcome: payloads.EpisodeEnd | None = None
        self.final_patch: str | None = None
        self._lock = threading.RLock()
        self._writer = EventWriter(self.place.open_log(fsync), header)
        self._start, self._begun = now(), time.monotonic()
        self._totals = _Totals()
        self._phases = Phases("/")

    @property
    def folder(self) -> Path:
        """The episode's folder; on another machine than this one, perhaps."""
        return self.place.folder

    @property
    def ended(self) -> bool:
        """Whether the end was written."""
        return self.outcome is not None

    def write(
        self,
        payload: Payload,
        *,
        t_start: datetime | None = None,
        t_end: datetime | None = None,
        duration_ms: float = 0.0,
    ) -> None:
        """Write one event, and count what it says was used."""
        with self._lock:
            if self.ended:
                return
            if isinstance(payload, payloads.LlmResponse):
                self._totals.add_response(payload)
            self._writer.write(payload, t_start=t_start, t_end=t_end, duration_ms=duration_ms)

    def started(self, payload: payloads.EpisodeStart, *, reset_ms: float) -> None:
        """The world was reset."""
        self._totals.reset_ms = reset_ms
        self._phases = Phases(str(payload.sandbox.get("workdir") or "/"))
        ready = now()
        self.write(payload, t_start=self._start, t_end=ready, duration_ms=reset_ms)
        image = payload.sandbox.get("image")
        reset = payloads.Phase.of(name=str(PhaseName.RESET), evidence=f"a sandbox of {image}" if image else None)
        self.write(reset, t_start=self._start, t_end=ready, duration_ms=reset_ms)

    def step(
        self, step: Step, reward: float, info: Mapping[str, Any], *, policy_ms: float, call_id: str | None = None
    ) -> None:
        """All events of one step, in one write."""
        with self._lock:
            if self.ended:
                return
            value = info.get("step_reward", reward)
            self._totals.add_step(step, value, info.get("process"), policy_ms)
            self._writer.append(*self._events(step, value, info, call_id))

    def _events(self, step: Step, reward: float, info: Mapping[str, Any], call_id: str | None) -> list[Event]:
        begun, over, spent = step.t_start, step.t_end, step.duration_ms
        make = self._writer.event
        phase = self._phases.take(step)
        events: list[Event] = [] if phase is None else [make(phase, t_start=begun)]
        events.append(make(_call(step, call_id), t_start=begun))
        events.append(make(_result(step), t_start=begun, t_end=over, duration_ms=spent))
        if step.tool == "run_tests" and "counts" in step.data:
            tests = payloads.TestRun.of(step=step.index, **step.data)
            events.append(make(tests, t_start=begun, t_end=over, duration_ms=spent))
        events.append(make(_reward(step, reward, info), t_start=over))
        metric = payloads.SandboxMetric(step=step.index, **{name: getattr(step.telemetry, name) for name in _MEASURED})
        events.append(make(metric, t_start=begun, t_end=over, duration_ms=spent))
        return events

    def adopt(self, events: Iterable[Timed]) -> None:
        """Events of another record of this episode, in one write; what they say was used is counted."""
        with self._lock:
            if self.ended:
                return
            made = list[Event]()
            for one in events:
                start = one.t_start or (made[-1].t_end if made else self._start)
                end = one.t_end or start
                known = one.duration_ms
                duration = (end - start).total_seconds() * 1e3 if known is None else known
                self._totals.add_told(one.payload, duration)
                made.append(self._writer.event(one.payload, t_start=start, t_end=end, duration_ms=duration))
            self._writer.append(*made)

    def error(self, where: str, error: BaseException, failure: Failure | None) -> None:
        """Something failed that is not an observation."""
        kind, message = type(error).__name__, str(error) or repr(error)
        self.write(payloads.Error.of(where=where, kind=kind, message=message, failure=failure, step=self._totals.steps))

    def patch(self, patch: str) -> None:
        """What the agent changed; also written to `patch.diff`."""
        with self._lock:
            if not self.ended:
                self.final_patch = patch
                self.place.write(PATCH, patch)
                self.write(payloads.FinalPatch.of(patch=patch, **patch_facts(patch)))

    def end(self, stop: StopReason, failure: Failure | None = None, message: str | None = None, **more: Any) -> None:
        """The episode is over, with `more` fields of `EpisodeEnd`; may be called again, the first call counts."""
        with self._lock:
            if self.ended:
                return
            duration = (time.monotonic() - self._begun) * 1000
            payload = payloads.EpisodeEnd.of(
                stop_reason=stop, failure=failure, message=message, **self._totals.fields() | more
            )
            self._writer.write(payload, t_start=self._start, t_end=now(), duration_ms=duration)
            self.outcome = payload
            self._writer.close()


class _Totals:
    """Sums for `episode_end`. What no event told stays None."""

    def __init__(self) -> None:
        self.steps = 0
        self.reset_ms: float | None = None
        self._malformed = 0
        self._scored = 0
        self._reward = 0.0
        self._process: float | None = None
        self._tool_ms = 0.0
        self._policy_ms = 0.0
        self._cpu: float | None = None
        self._peak: int | None = None
        self._usage = Usage()
        self._requests = 0
        self._cost: float | None = 0.0

    def add_response(self, response: payloads.LlmResponse) -> None:
        self._requests += 1
        self._usage = self._usage.plus(response.usage)
        unknown = self._cost is None or response.cost_usd is None
        self._cost = None if unknown else cast("float", self._cost) + cast("float", response.cost_usd)

    def add_told(self, payload: Payload, duration_ms: float) -> None:
        """An event of another record."""
        match payload:
            case payloads.LlmResponse():
                self.add_response(payload)
                self._policy_ms += duration_ms
            case payloads.ToolCall():
                self._malformed += payload.malformed
            case payloads.ToolResult():
                self.steps += 1
                self._tool_ms += duration_ms
            case payloads.SandboxMetric(scope="episode"):
                self._cpu, self._peak = payload.cpu_s, payload.memory_peak_bytes
            case _:
                pass

    def add_step(self, step: Step, reward: float, process: Mapping[str, Any] | None, policy_ms: float) -> None:
        self.steps += 1
        self._process = process.get("score") if process else None
        self._malformed += step.malformed
        self._scored += 1
        self._reward += reward
        self._tool_ms += step.duration_ms
        self._policy_ms += policy_ms
        seen = step.telemetry
        if seen.cpu_s is not None:
            self._cpu = (self._cpu or 0.0) + seen.cpu_s
        if seen.memory_peak_bytes is not None:
            self._peak = max(self._peak or 0, seen.memory_peak_bytes)

    def fields(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "malformed_actions": self._malformed,
            "mean_reward": round(self._reward / self._scored, 6) if self._scored else None,
            "process_score": self._process,
            "usage": self._usage,
            "cost_usd": self._cost,
            "requests": self._requests,
            "reset_ms": self.reset_ms,
            "tool_ms": self._tool_ms,
            "policy_ms": self._policy_ms,
            "cpu_s": self._cpu,
            "memory_peak_bytes": self._peak,
        }


def _call(step: Step, call_id: str | None) -> payloads.ToolCall:
    return payloads.ToolCall.of(
        step=step.index,
        tool=step.tool,
        arguments=step.arguments,
        action=step.action,
        thought=step.thought,
        malformed=step.malformed,
        call_id=call_id,
    )


def _result(step: Step) -> payloads.ToolResult:
    return payloads.ToolResult.of(
        step=step.index,
        tool=step.tool,
        ok=step.ok,
        error=step.error,
        exit_code=step.exit_code,
        observation=step.observation,
        data=step.data,
    )


def _reward(step: Step, reward: float, info: Mapping[str, Any]) -> payloads.StepReward:
    scores = cast("Mapping[str, Mapping[str, Any]]", info.get("scores") or {})
    criteria = tuple(payloads.CriterionRecord.of(criterion=name, **score) for name, score in scores.items())
    told = payloads.StepReward(step=step.index, reward=reward, criteria=criteria, process=info.get("process"))
    record = info.get("score_record")
    return told if record is None else told.model_copy(update={"record": record})


def patch_facts(patch: str) -> dict[str, Any]:
    """Fields of `final_patch` that follow from its text."""
    lines = patch.split("\n")
    files = [line.partition(" b/")[2].rstrip("\r") for line in lines if line.startswith("diff --git ")]
    return {
        "sha256": sha256(patch.encode("utf-8", "surrogatepass")).hexdigest(),
        "files": files,
        "lines_added": sum(line.startswith("+") and not line.startswith("+++ ") for line in lines),
        "lines_removed": sum(line.startswith("-") and not line.startswith("--- ") for line in lines),
    }
