"""One foreign episode written as a log of ours: its times set, its start and end completed, its totals summed up."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ...errors import StopReason
from ...rewards.service.usage import Usage
from .. import payloads
from ..episode_log import PATCH
from ..events import EpisodeEndEvent
from ..files import slug, write_atomic, write_json
from ..log import EventWriter, Header, last_event
from ..log_file import EVENTS
from .base import ForeignEpisode, Timed

__all__ = ["EpisodeWriter", "Totals", "is_whole"]

_BATCH = 64
_VERDICT = "verdict.json"
# `isinstance` takes long to say that a payload is of another model, so the exact type decides first, event by event.
_COUNTED = frozenset({payloads.ToolResult, payloads.ToolCall, payloads.LlmResponse, payloads.SandboxMetric})
_APART = frozenset({payloads.EpisodeStart, payloads.EpisodeEnd, payloads.FinalPatch, payloads.Verdict})


class Totals:
    """Sums for `episode_end`. What no event told stays None."""

    def __init__(self) -> None:
        self.steps = 0
        self.malformed = 0
        self.requests = 0
        self.usage = Usage()
        self.cost: float | None = 0.0
        self.tool_ms: float | None = None
        self.policy_ms: float | None = None
        self.cpu_s: float | None = None
        self.peak: int | None = None
        self.calling = False
        """The last answer called a tool."""

    def take(self, payload: payloads.Payload, duration_ms: float, *, timed: bool) -> None:
        """Count one event."""
        if type(payload) not in _COUNTED:
            return
        match payload:
            case payloads.ToolResult():
                self.steps += 1
                if timed:
                    self.tool_ms = (self.tool_ms or 0.0) + duration_ms
            case payloads.ToolCall(malformed=malformed):
                self.malformed += malformed
                self.calling = True
            case payloads.LlmResponse():
                self._answer(payload, duration_ms, timed=timed)
            case payloads.SandboxMetric():
                self.peak = _most(self.peak, payload.memory_peak_bytes, payload.memory_bytes)
                if payload.cpu_s is not None and payload.scope == "step":
                    self.cpu_s = (self.cpu_s or 0.0) + payload.cpu_s
            case _:
                pass

    def _answer(self, response: payloads.LlmResponse, duration_ms: float, *, timed: bool) -> None:
        self.requests += 1
        self.usage = self.usage.plus(response.usage)
        known = self.cost is not None and response.cost_usd is not None
        self.cost = (self.cost or 0.0) + (response.cost_usd or 0.0) if known else None
        self.calling = bool(response.tool_calls)
        if timed:
            self.policy_ms = (self.policy_ms or 0.0) + duration_ms

    def fields(self) -> dict[str, Any]:
        """As `episode_end` has them."""
        return {
            "steps": self.steps,
            "malformed_actions": self.malformed,
            "usage": self.usage,
            "cost_usd": self.cost,
            "requests": self.requests,
            "tool_ms": self.tool_ms,
            "policy_ms": self.policy_ms,
            "cpu_s": self.cpu_s,
            "memory_peak_bytes": self.peak,
        }


def _most(*figures: int | None) -> int | None:
    return max((figure for figure in figures if figure is not None), default=None)


@dataclass(slots=True)
class _Clock:
    """The time of events that have none."""

    at: datetime
    first: datetime | None = None
    last: datetime | None = None

    def set(self, item: Timed) -> tuple[datetime, datetime, float]:
        """Start, end and duration (ms) of an event."""
        start = item.t_start or item.t_end or self.at
        end = item.t_end or start
        if item.t_end is None and item.duration_ms:
            end = _later(start, item.duration_ms)
        self.at = end
        if self.first is None:
            self.first = start
        self.last = max(self.last or end, end)
        took = (end - start).total_seconds() * 1000 if item.duration_ms is None else item.duration_ms
        return start, end, took


def _later(start: datetime, ms: float) -> datetime:
    try:
        return start + timedelta(milliseconds=ms)
    except OverflowError:
        return start


def is_whole(folder: Path) -> bool:
    """Whether an episode was written to its end by an adapter that did not fail in it."""
    last = last_event(folder / EVENTS) if (folder / EVENTS).exists() else None
    return isinstance(last, EpisodeEndEvent) and (last.payload.model_extra or {}).get("incomplete") is not True


class EpisodeWriter:
    """Writes one episode into a folder of its own, which takes its place among the others when it is whole."""

    def __init__(
        self, run_id: str, episode_id: str, episode: ForeignEpisode, origin: payloads.Origin, stamp: int, folder: Path
    ) -> None:
        self._episode = episode
        self._origin = origin
        self._folder = folder
        self._clock = _Clock(datetime.fromtimestamp(stamp / 1e9, UTC))
        self._totals = Totals()
        self._ended = False
        self._batch: list[tuple[payloads.Payload, datetime, datetime, float]] = []
        self.events = 0
        if folder.exists():
            shutil.rmtree(folder)
        header = Header(
            run_id=run_id,
            episode_id=episode_id,
            task_id=payloads.clean(episode.task_id),
            agent=payloads.clean(episode.agent),
            agent_version=payloads.clean(episode.agent_version),
            model=payloads.clean(episode.model),
            repo=payloads.clean(episode.repo),
            commit=payloads.clean(episode.commit),
            seed=episode.seed,
        )
        self._writer = EventWriter(folder / EVENTS, header, fsync="never")

    def take(self, item: Timed) -> None:
        """Write one event."""
        payload = item.payload
        apart = type(payload) in _APART
        if apart and isinstance(payload, payloads.EpisodeStart):
            payload = payload.model_copy(update={"origin": self._origin})
        elif not self.events:
            self.take(Timed(payload=payloads.EpisodeStart(), t_start=item.t_start))
        if apart and isinstance(payload, payloads.EpisodeEnd):
            self._end(payload)
            return
        start, end, took = self._clock.set(item)
        self._totals.take(payload, took, timed=self._timed)
        if apart:
            self._keep(payload)
        self._write(payload, start, end, took)

    def _keep(self, payload: payloads.Payload) -> None:
        """Keep a patch or a verdict in a file of its own as well."""
        if isinstance(payload, payloads.FinalPatch):
            write_atomic(self._folder / PATCH, payload.patch)
        elif isinstance(payload, payloads.Verdict):
            write_json(self._folder / _VERDICT, payloads.clean(dict(payload.report)))

    @property
    def _timed(self) -> bool:
        return self._episode.timing != "none"

    def _write(self, payload: payloads.Payload, start: datetime, end: datetime, took: float) -> None:
        self.events += 1
        self._batch.append((payload, start, end, took))
        if len(self._batch) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        self._writer.extend(*self._batch)
        self._batch.clear()

    def _end(self, end: payloads.EpisodeEnd) -> None:
        """Write the end, figures that the source does not give being what the events add up to."""
        if self._ended:
            return
        self._ended = True
        given = {name: getattr(end, name) for name in end.model_fields_set if name != "steps"}
        whole = payloads.EpisodeEnd.of(**{**self._totals.fields(), **given, **(end.model_extra or {})})
        first = self._clock.first or self._clock.at
        last = self._clock.last or first
        self._write(whole, first, last, (last - first).total_seconds() * 1000)

    def finish(self, message: str | None = None) -> None:
        """The source told all it knows; `message`: why it told no more."""
        if not self.events:
            self.take(Timed(payload=payloads.EpisodeStart()))
        if not self._ended:
            stop = StopReason.INTERRUPTED if self._totals.calling or message else StopReason.SUBMITTED
            said = message or "its record does not say how it ended; " + (
                "its last answer calls a tool" if self._totals.calling else "its last answer calls no tool"
            )
            cut = {} if message is None else {"incomplete": True}
            self._end(payloads.EpisodeEnd.of(stop_reason=stop, message=said, steps=self._totals.steps, **cut))
        self._flush()
        self._writer.close()
        for name, data in self._episode.artifacts.items():
            path = self._folder / "artifacts" / slug(name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)

    def abandon(self) -> None:
        """Forget what was written."""
        self._writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)
