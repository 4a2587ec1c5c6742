"""One episode's rows of every table, made in one pass over its events."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ...rewards.service.usage import PriceTable
from .. import payloads
from ..events import (
    AnyEvent,
    EpisodeEndEvent,
    EpisodeStartEvent,
    FinalPatchEvent,
    LlmRequestEvent,
    LlmResponseEvent,
    NoteEvent,
    PhaseEvent,
    SandboxMetricEvent,
    StepRewardEvent,
    ToolCallEvent,
    ToolResultEvent,
    VerdictEvent,
)
from ..log import EventReader
from ..log_file import EVENTS
from ..run_dir import Episode
from .clock import Stretch, micros, milliseconds, split
from .requests import Requests, known
from .samples import Samples
from .steps import Steps
from .timing import Timing

__all__ = ["EpisodeRows", "read_rows", "rows_of"]

EpisodeRows = dict[str, list[dict[str, Any]]]
"""Rows by table."""

_UPLOADED = re.compile(r"<uploaded_files>\s*(/[^\s<]+)")
_ROOTS = re.compile(r"(?<![\w/.])(/testbed|/workspace/[\w.@+-]+|/app|/repo)(?![\w-])")
_SPENT = ("cpu_s", "io_read_bytes", "io_write_bytes", "net_rx_bytes", "net_tx_bytes")


def read_rows(folder: Path, prices: PriceTable) -> tuple[EpisodeRows, list[str]]:
    """The rows of the episode in a folder, and what could not be read of its log."""
    reader = EventReader(folder / EVENTS, tolerant=True)
    return rows_of(reader, folder, prices), reader.problems


def rows_of(events: Iterable[AnyEvent], folder: Path, prices: PriceTable) -> EpisodeRows:
    """The rows that events of one episode tell; none without any event."""
    collector = _Collector(folder, prices)
    for event in events:
        collector.take(event)
    return collector.rows()


class _Collector:
    """Takes the events of one episode."""

    def __init__(self, folder: Path, prices: PriceTable) -> None:
        self._folder, self._prices = folder, prices
        self.first: AnyEvent | None = None
        self.start = payloads.EpisodeStart()
        self.patch: payloads.FinalPatch | None = None
        self.verdict: payloads.Verdict | None = None
        self.end: EpisodeEndEvent | None = None
        self.whole: payloads.SandboxMetric | None = None
        self.compactions = 0
        self.world: list[Stretch] = []
        """When the environment was at work outside tools."""
        self._worked: datetime | None = None
        """When a tool or a model was last at work."""
        self._last: datetime | None = None
        self._setup(Timing("recorded", own=True))

    def _setup(self, timing: Timing) -> None:
        self.timing, self.samples = timing, Samples()
        self.requests = Requests(timing, self._prices, self.first.model if self.first is not None else None)
        self.steps = Steps(timing, _workdir(self.start))

    def take(self, event: AnyEvent) -> None:
        """Take one event into account."""
        if self.first is None:
            self.first = event
        if self.end is None:
            self._last = max(self._last or event.t_end, event.t_end)
        match event:
            case EpisodeStartEvent(payload=start):
                self.start = start
                self._setup(Timing.of(start))
                self._environment(event)
            case LlmRequestEvent():
                self.requests.ask(event)
            case LlmResponseEvent():
                self.requests.answer(event)
                self._work(event)
            case ToolCallEvent(payload=call):
                self.steps.call(event, self.requests.step(call.step, call.request_id))
            case ToolResultEvent():
                self.steps.result(event)
                self._work(event)
            case _:
                self._take_fact(event)

    def _take_fact(self, event: AnyEvent) -> None:
        match event:
            case StepRewardEvent():
                self.steps.reward(event)
            case SandboxMetricEvent(payload=metric) if metric.scope == "sample":
                self.samples.take(event)
            case SandboxMetricEvent(payload=metric) if metric.scope == "episode":
                self.whole = metric
            case SandboxMetricEvent():
                self.steps.measure(event)
            case PhaseEvent(payload=phase):
                self.steps.begin(phase)
                if phase.step is None:
                    self._environment(event)
            case NoteEvent(payload=note) if note.kind == "compaction":
                self.compactions += 1
                self.requests.compact()
            case FinalPatchEvent(payload=patch):
                self.patch = patch
                if self._worked is not None and self.start.origin is None and self.end is None:
                    self.world.append((micros(self._worked), micros(event.t_end)))
            case VerdictEvent(payload=verdict):
                self.verdict = verdict
            case EpisodeEndEvent():
                self.end = event
            case _:
                pass

    def _work(self, event: AnyEvent) -> None:
        self._worked = max(self._worked or event.t_end, event.t_end)

    def _environment(self, event: AnyEvent) -> None:
        if event.t_end > event.t_start:
            self.world.append((micros(event.t_start), micros(event.t_end)))

    def rows(self) -> EpisodeRows:
        """All that was taken, as rows."""
        if self.first is None:
            return {}
        waits = self.requests.finish(people=not self.timing.own)
        steps = self.steps.sorted()
        self.samples.place(steps)
        who = {"run_id": self.first.run_id, "episode_id": self.first.episode_id}
        tables = {"requests": self.requests.rows, "steps": steps, "samples": self.samples.rows}
        found = {name: [who | row for row in rows] for name, rows in tables.items()}
        found["episodes"] = [who | self._who() | self._outcome() | self._work_done(steps) | self._usage()]
        found["episodes"][0] |= self._clock(waits) | self._machine(steps)
        return found

    def _who(self) -> dict[str, Any]:
        first, origin = self.first, self.start.origin
        assert first is not None
        asked = Counter(row["model"] for row in self.requests.rows if row["model"] is not None)
        return {
            "task_id": first.task_id,
            "repo": first.repo or None,
            "commit": first.commit or None,
            "agent": first.agent,
            "agent_version": known(first.agent_version),
            "model": known(first.model) or next((name for name, _ in asked.most_common(1)), None),
            "seed": first.seed,
            "attempt": self.start.attempt,
            "format": origin.format if origin is not None else "trajhub",
            "timing": self.timing.kind,
            "attempt_final": True,
        }

    def _outcome(self) -> dict[str, Any]:
        end, verdict, patch = self._ending, self.verdict, self.patch
        assert self.first is not None
        episode = Episode(
            folder=self._folder, first=self.first, end=end, duration_ms=None, patch=patch, verdict=verdict
        )
        share = (end.join or {}).get("share") if end is not None else None
        return {
            "stop_reason": str(end.stop_reason) if end is not None else None,
            "failure": str(episode.failure) if episode.failure is not None else None,
            "excluded": episode.excluded,
            "resolved": verdict.resolved if verdict is not None else None,
            "outcome": verdict.outcome if verdict is not None else None,
            "graded": verdict is not None,
            "mean_reward": end.mean_reward if end is not None else None,
            "process_score": end.process_score if end is not None else None,
            "patch_sha256": patch.sha256 if patch is not None else None,
            "patch_files": list(patch.files) if patch is not None else None,
            "lines_added": patch.lines_added if patch is not None else None,
            "lines_removed": patch.lines_removed if patch is not None else None,
            "join_quality": float(share) if isinstance(share, int | float) else None,
        }

    @property
    def _ending(self) -> payloads.EpisodeEnd | None:
        return self.end.payload if self.end is not None else None

    def _work_done(self, steps: Sequence[dict[str, Any]]) -> dict[str, Any]:
        tests = [row for row in steps if row["action"] == "test"]
        told = [row["tests_passed"] for row in tests if row["tests_passed"] is not None]
        return {
            "steps": len(steps),
            "malformed_actions": sum(row["malformed"] for row in steps),
            "compactions": self.compactions,
            "tool_calls": self.steps.calls,
            "tool_failures": sum(row["failed"] for row in steps),
            "tests_run": len(tests),
            "tests_passed_last": told[-1] if told else None,
            "edits": self.steps.edits,
            "reverts": sum(row["reverted"] for row in steps),
            "files_read": list(self.steps.files_read),
            "files_edited": list(self.steps.files_edited),
        }

    def _usage(self) -> dict[str, Any]:
        end, rows, usage = self._ending, self.requests.rows, self.requests.usage
        if usage.total is None and end is not None:
            usage = end.usage
        requests = max(len(rows), end.requests if end is not None and not rows else 0)
        own = self.timing.own
        return {
            "requests": requests if requests or own else None,
            "user_messages": sum(row["user_messages"] for row in rows) if rows and not own else 1 if own else None,
            "input_tokens": usage.input_tokens,
            "cached_tokens": usage.cached_input_tokens,
            "cache_creation_tokens": usage.cache_creation_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            **self._cost(),
        }

    def _cost(self) -> dict[str, Any]:
        """What the log says of the whole, else the sum of what it says or the price table knows of each request."""
        end, costs = self._ending, [row["cost_usd"] for row in self.requests.rows]
        if not costs and self.timing.own:
            return {"cost_usd": 0.0, "cost_source": "recorded"}
        if costs and None not in costs:
            return {"cost_usd": sum(costs), "cost_source": "prices" if self.requests.priced else "recorded"}
        whole = end.cost_usd if end is not None and (end.requests or end.cost_usd) else None
        return {"cost_usd": whole, "cost_source": "recorded" if whole is not None else None}

    def _clock(self, waits: list[Stretch]) -> dict[str, Any]:
        """Wall time, and who had it. Parts add up to it."""
        assert self.first is not None
        told = {"reset_ms": self._reset()}
        if not self.timing.clocked:
            known = {"model_ms": self.requests.rows, "tool_ms": self.steps.rows.values()}
            sums = {name: [row[name] for row in rows if row[name] is not None] for name, rows in known.items()}
            return told | {name: sum(values) if values else None for name, values in sums.items()}
        begin = min(self.first.t_start, self.end.t_start) if self.end is not None else self.first.t_start
        end = self.end.t_end if self.end is not None else self._last or begin
        within = micros(begin), micros(max(begin, end))
        asking = self.requests.stretches(subagents=False)
        users = (self.requests.stretches(subagents=True), self.steps.stretches, asking, self.world, waits)
        sub, tool, model, world, human, idle = map(milliseconds, split(within, users))
        return told | {
            "t_start": begin,
            "t_end": max(begin, end),
            "wall_ms": milliseconds(within[1] - within[0]),
            "model_ms": model + sub,
            "tool_ms": tool,
            "environment_ms": world,
            "human_ms": human,
            "idle_ms": idle,
        }

    def _reset(self) -> float | None:
        end = self._ending
        if end is not None and end.reset_ms is not None:
            return end.reset_ms
        first = self.first
        took = first.duration_ms if isinstance(first, EpisodeStartEvent) else 0.0
        return took if took > 0 else None

    def _machine(self, steps: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """What the machine spent: as told of the whole, else by samples, else by steps."""
        end, whole = self._ending, self.whole
        found: dict[str, Any] = {}
        sampled = self.samples.totals()
        for name in _SPENT:
            values = [row[name] for row in steps if row.get(name) is not None]
            found[name] = sampled.get(name, sum(values) if values else None)
            told = getattr(whole, name) if whole is not None else None
            found[name] = told if told is not None else found[name]
        if found["cpu_s"] is None and end is not None:
            found["cpu_s"] = end.cpu_s
        peaks = [row.get("memory_peak_bytes") for row in steps] + [row["memory_bytes"] for row in self.samples.rows]
        peaks += [end.memory_peak_bytes if end is not None else None]
        found["memory_peak_bytes"] = max((peak for peak in peaks if peak is not None), default=None)
        found["memory_mean_bytes"] = _mean(self.samples.memory() or self.steps.memory)
        return found | {"energy_j": sampled.get("energy_j")}


def _mean(weighted: Sequence[tuple[float, float]]) -> float | None:
    weights = sum(weight for _, weight in weighted)
    if weights > 0:
        return sum(value * weight for value, weight in weighted) / weights
    return sum(value for value, _ in weighted) / len(weighted) if weighted else None


def _workdir(start: payloads.EpisodeStart) -> str:
    """Where the repository is: as the record says, else as the task's text does."""
    told = start.sandbox.get("workdir")
    if isinstance(told, str) and told:
        return told
    text = " ".join(value for value in (*start.task.values(), start.observation) if isinstance(value, str))[:20_000]
    found = _UPLOADED.search(text) or _ROOTS.search(text)
    return found[1] if found else "/"
