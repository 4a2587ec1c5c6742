"""One episode's rows of every table, made in one pass over its events."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from ...rewards.recorded import recorded_layer
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
from ..rule_log import RunScores
from ..run_dir import Episode
from .clock import Stretch, micros, milliseconds, split
from .costs import costs_of
from .machine import machine_of
from .requests import Requests, known
from .samples import Samples
from .steps import Steps
from .timing import Timing
from .workdir import workdir_of

__all__ = ["EpisodeRows", "read_rows", "rows_of"]

EpisodeRows = dict[str, list[dict[str, Any]]]
"""Rows by table."""


def read_rows(folder: Path, prices: PriceTable, scores: RunScores | None = None) -> tuple[EpisodeRows, list[str]]:
    """The rows of the episode in a folder, and what could not be read of its log."""
    reader = EventReader(folder / EVENTS, tolerant=True)
    return rows_of(reader, folder, prices, scores), reader.problems


def rows_of(
    events: Iterable[AnyEvent], folder: Path, prices: PriceTable, scores: RunScores | None = None
) -> EpisodeRows:
    """The rows that events of one episode tell; none without any event.

    `scores` are what the rules said of it later; they count where the log itself holds no scores.
    """
    collector = _Collector(folder, prices, scores)
    for event in events:
        collector.take(event)
    return collector.rows()


class _Collector:
    """Takes the events of one episode."""

    def __init__(self, folder: Path, prices: PriceTable, scores: RunScores | None) -> None:
        self._folder, self._prices, self._scores = folder, prices, scores
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
        self.steps = Steps(timing, workdir_of(self.start))

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
                self._work(event)  # a command-line agent, which is at work until it ends
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
        worth = self._scored(self._ending)
        waits = self.requests.finish(people=not self.timing.own)
        steps = self.steps.sorted()
        self.samples.place(steps)
        who = {"run_id": self.first.run_id, "episode_id": self.first.episode_id}
        tables = {"requests": self.requests.rows, "steps": steps, "samples": self.samples.rows}
        found = {name: [who | row for row in rows] for name, rows in tables.items()}
        found["episodes"] = [who | self._who() | self._outcome() | worth | self._work_done(steps) | self._usage()]
        found["episodes"][0] |= self._clock(waits) | machine_of(
            self._ending, self.whole, self.samples, self.steps.memory, steps
        )
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
            "patch_sha256": patch.sha256 if patch is not None else None,
            "patch_files": list(patch.files) if patch is not None else None,
            "lines_added": patch.lines_added if patch is not None else None,
            "lines_removed": patch.lines_removed if patch is not None else None,
            "join_quality": float(share) if isinstance(share, int | float) else None,
        }

    def _scored(self, end: payloads.EpisodeEnd | None) -> dict[str, Any]:
        """What the log says it was worth, else what the rules said later."""
        mean, process = (end.mean_reward, end.process_score) if end is not None else (None, None)
        by, later = ", ".join(sorted(self.steps.layers)) or None, self._scores
        if by is None and mean is None and process is None and later is not None and later.rewards:
            self.steps.scored(later.rewards)
            mean, process = round(fmean(later.rewards.values()), 6), later.process
            by = recorded_layer()
        return {"mean_reward": mean, "process_score": process, "scored_by": by}

    @property
    def _ending(self) -> payloads.EpisodeEnd | None:
        return self.end.payload if self.end is not None else None

    @property
    def _tells_counts(self) -> bool:
        end = self._ending
        return end is not None and bool(end.steps or end.requests)

    def _work_done(self, steps: Sequence[dict[str, Any]]) -> dict[str, Any]:
        if not (steps or self.steps.calls or self.requests.rows or self.timing.own or self._tells_counts):
            return {}  # an outcome, and nothing of what led to it
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
            **costs_of(rows, end, self._prices, self._who()["model"], usage, own=own, priced=self.requests.priced),
        }

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
