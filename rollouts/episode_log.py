"""The record of one episode while it happens: its events, its totals, and the files beside them."""

import threading
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from ..envs.step import Step
from ..errors import Failure, StopReason
from . import payloads
from .adapters.base import Timed
from .episode_place import EpisodeFolder, EpisodePlace
from .events import Event, now
from .log import EventWriter, Header
from .log_file import EVENTS, Fsync
from .payloads import Payload, Plain, Usage
from .phases import PhaseName, Phases
from .plain_steps import plain_call, plain_metric, plain_result, plain_reward

__all__ = ["EVENTS", "PATCH", "EpisodeLog", "patch_facts"]

PATCH = "patch.diff"

_Timed = tuple[Payload | Plain, datetime, datetime, float]


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
        self._latest = self._start
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
            self._latest = end = t_end or t_start or now()
            self._writer.write(payload, t_start=t_start or end, t_end=end, duration_ms=duration_ms)

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
            self._writer.extend(*self._events(step, value, info, call_id))

    def _events(self, step: Step, reward: float, info: Mapping[str, Any], call_id: str | None) -> list[_Timed]:
        begun, over, spent = step.t_start, step.t_end, step.duration_ms
        phase = self._phases.take(step)
        events: list[_Timed] = [] if phase is None else [(phase, begun, begun, 0.0)]
        events.append((plain_call(step, call_id), begun, begun, 0.0))
        events.append((plain_result(step), begun, over, spent))
        if step.tool == "run_tests" and "counts" in step.data:
            events.append((payloads.TestRun.of(step=step.index, **step.data), begun, over, spent))
        events.append((plain_reward(step, reward, info), over, over, 0.0))
        events.append((plain_metric(step), begun, over, spent))
        return events

    def adopt(self, events: Iterable[Timed]) -> None:
        """Events of another record of this episode, in one write; what they say was used is counted.

        One without times is told as happening when the event ahead of it ended.
        """
        with self._lock:
            if self.ended:
                return
            made = list[Event]()
            for one in events:
                start = one.t_start or (made[-1].t_end if made else self._latest)
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
