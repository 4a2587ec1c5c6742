"""The steps of an episode: what each did, what came of it, what it cost."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from ...envs.step import Step
from ...rewards.acts import Act
from ...rewards.foreign import OURS, canonical
from ...rewards.interpret import interpret
from ...rewards.shell import Kind
from ...tools.base import Telemetry
from .. import payloads
from ..events import SandboxMetricEvent, StepRewardEvent, ToolCallEvent, ToolResultEvent
from ..phases import Phases
from .clock import Stretch, micros, milliseconds
from .contents import Contents
from .summaries import counts_in
from .timing import Timing

__all__ = ["Steps", "action_of", "failed", "tests_of"]

_SPENT = (
    "cpu_s",
    "cpu_user_s",
    "cpu_system_s",
    "memory_peak_bytes",
    "io_read_bytes",
    "io_write_bytes",
    "net_rx_bytes",
    "net_tx_bytes",
)
_OTHER = frozenset((Kind.IDLE,))
_CRASHED = re.compile(r"^(?:Traceback \(most recent call last\):|.{0,80}: command not found)", re.MULTILINE)
_TAIL = 4_000
_NOTHING = Telemetry(wall_ms=0.0)
_Row = dict[str, Any]


class Steps:
    """Follows one episode's steps."""

    def __init__(self, timing: Timing, workdir: str) -> None:
        self._timing, self._workdir = timing, workdir
        self._phases, self._contents = Phases(workdir), Contents()
        self._phase: str | None = None
        self._recorded_phases = False
        self._calls: dict[int, tuple[ToolCallEvent, int | None, str | None]] = {}
        self._seen: set[str] = set()
        self._last_end: datetime | None = None
        self.rows: dict[int, _Row] = {}
        self.stretches: list[Stretch] = []
        self.calls = 0
        self.edits = 0
        """Steps that changed a file of the repository."""
        self.memory: list[tuple[float, float]] = []
        """Memory in use after a step, and how long the step took."""
        self.layers: set[str] = set()
        """Who scored the steps, as the log says."""
        self.files_read: dict[str, None] = {}
        self.files_edited: dict[str, None] = {}

    def begin(self, phase: payloads.Phase) -> None:
        """A phase begins, as recorded."""
        if phase.step is not None:
            self._recorded_phases, self._phase = True, phase.name

    def call(self, event: ToolCallEvent, request: int | None) -> None:
        """The agent acted; `request` is the one that led to it."""
        self.calls += 1
        self._calls[event.payload.step] = (event, request, self._phase if self._recorded_phases else None)

    def result(self, event: ToolResultEvent) -> None:
        """What came of it."""
        found = self._calls.pop(event.payload.step, None)
        if found is None:
            return
        called, request, phase = found
        step = _step(called, event)
        act = interpret(canonical(step), self._workdir)
        began = self._phases.follow(act)
        if not self._recorded_phases and began is not None:
            self._phase = began.name
        row = self._facts(act, step) | self._times(called, event)
        row |= {"request": request, "phase": phase or self._phase}
        row["internal_ms"] = event.payload.internal_ms
        self.rows[step.index] = row
        self._files(act, failed=row["failed"])

    def _facts(self, act: Act, step: Step) -> _Row:
        signature = sha256(act.signature.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        repeated = signature in self._seen
        self._seen.add(signature)
        edits = act.repository_edits
        self.edits += bool(edits)
        changed = tuple(edit for edit in act.edits if edit.changed)
        passed, bad = tests_of(act)
        return {
            "step": step.index,
            "tool": step.tool,
            "action": action_of(act),
            "program": act.shell.program or None if act.shell is not None else None,
            "ok": act.step.ok,
            "failed": failed(act),
            "error": act.step.error,
            "exit_code": step.exit_code,
            "malformed": act.kind is Kind.MALFORMED,
            "paths": _unique(act.paths),
            "edited": _unique(edit.path for edit in changed),
            "created": _unique(edit.path for edit in changed if edit.created),
            "edit_line": next((edit.line for edit in changed if edit.line is not None), None),
            "reverted": self._contents.take(act, edits),
            "tests_passed": passed,
            "tests_failed": bad,
            "repeated": repeated,
            "signature": signature,
            "action_chars": len(step.action),
            "observation_chars": len(step.observation),
            "thought_chars": len(step.thought) if step.thought else None,
        }

    def _times(self, called: ToolCallEvent, event: ToolResultEvent) -> _Row:
        timing = self._timing
        began = min(called.t_start, event.t_start) if event.t_end > event.t_start else called.t_start
        took = timing.duration(began, event)
        row: _Row = {"t_start": timing.moment(began), "t_end": timing.moment(event.t_end), "tool_ms": took}
        if not timing.clocked:
            return row
        if took is not None:
            self.stretches.append((micros(began), micros(event.t_end)))
        if self._last_end is not None:
            row["gap_ms"] = max(milliseconds(micros(called.t_start) - micros(self._last_end)), 0.0)
        self._last_end = max(self._last_end or event.t_end, event.t_end)
        return row

    def _files(self, act: Act, *, failed: bool) -> None:
        if act.kind is Kind.READ and not failed:
            for path in [span.path for span in act.spans] or act.paths:
                self.files_read.setdefault(path)
        for edit in act.repository_edits:
            self.files_edited.setdefault(edit.path)

    def reward(self, event: StepRewardEvent) -> None:
        """What a step was worth."""
        row = self.rows.get(event.payload.step)
        if row is not None:
            row["reward"] = event.payload.reward
            self.layers.update(one.layer or "unknown" for one in event.payload.criteria or () if one.score is not None)

    def scored(self, rewards: Mapping[int, float]) -> None:
        """What steps were worth, as somebody else scored them."""
        for step, reward in rewards.items():
            if step in self.rows:
                self.rows[step]["reward"] = reward

    def measure(self, event: SandboxMetricEvent) -> None:
        """What a step cost the machine."""
        metric = event.payload
        row = self.rows.get(metric.step) if metric.step is not None else None
        if row is None:
            return
        for name in _SPENT:
            row[name] = getattr(metric, name)
        if metric.memory_bytes is not None:
            self.memory.append((float(metric.memory_bytes), metric.wall_ms or 0.0))

    def sorted(self) -> list[_Row]:
        """The rows in order."""
        return [self.rows[index] for index in sorted(self.rows)]


def action_of(act: Act) -> str:
    """What a step does, as the column `action` says it."""
    known = act.step.tool in OURS or act.kind is Kind.MALFORMED
    return str(act.kind) if known and act.kind not in _OTHER else "other"


def _step(called: ToolCallEvent, event: ToolResultEvent) -> Step:
    said, done = called.payload, event.payload
    return Step(
        index=said.step,
        action=said.action,
        tool=said.tool,
        arguments=said.arguments,
        observation=done.observation,
        ok=done.ok,
        error="malformed_action" if said.malformed and done.error is None else done.error,
        exit_code=done.exit_code,
        data=done.data,
        telemetry=_NOTHING,
        t_start=event.t_start,
        t_end=event.t_end,
        duration_ms=event.duration_ms,
        thought=said.thought,
    )


def _unique(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(path for path in paths if path))


def tests_of(act: Act) -> tuple[int | None, int | None]:
    """How many tests passed and failed; None for a step that ran none, or whose output does not tell."""
    run = act.tests
    if run is None:
        return None, None
    known = any(run.counts) or bool(act.step.data.get("parsed"))
    return run.counts if known else counts_in(act.observation) or (None, None)


def failed(act: Act) -> bool:
    """Whether the tool refused, or the command or a test failed."""
    return act.failed or bool(tests_of(act)[1]) or _crashed(act)


def _crashed(act: Act) -> bool:
    """Whether a program says that it failed, where no exit code does."""
    running = act.kind in (Kind.RUN, Kind.TEST) and act.step.exit_code is None and act.step.tool in OURS
    return running and _CRASHED.search(act.observation[-_TAIL:]) is not None
