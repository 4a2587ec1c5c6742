"""What the rules look at, collected from an episode's events in one pass and constant memory."""

import hashlib
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from ...errors import Failure
from .. import payloads
from ..events import (
    AnyEvent,
    EpisodeEndEvent,
    ErrorEvent,
    FinalPatchEvent,
    LlmResponseEvent,
    SandboxMetricEvent,
    ToolCallEvent,
    ToolResultEvent,
    VerdictEvent,
)
from .doing import Doing, doing_of
from .evidence import Evidence

__all__ = ["LATELY", "USED_UP", "Done", "Facts", "collect"]

LATELY = 12
"""Steps that count as the end of an episode."""
_KEPT = 20
_REPLACED = "replaced by a fresh copy"
"""What a tool tells the agent then (`tools/outcome.py`)."""
_SHOWN = 2_000
_WORKED = 0.2
"""Of its time a command that was not waiting spent at least this share on a processor."""
USED_UP = frozenset(("out_of_memory", "disk_full", "too_many_processes", "sandbox_recovered"))
"""Errors of steps in which the sandbox was out of something."""


@dataclass(frozen=True, slots=True)
class Done:
    """One step, as far as the rules ask."""

    seq: int
    step: int
    tool: str | None
    same: bytes
    """Equal for two steps with the same action and the same answer."""
    ok: bool
    error: str | None
    said: str
    """The beginning of its observation."""
    ms: float
    exit_code: int | None
    cut: bool
    """A policy of ours gave it less time than it had a right to."""
    results: bool | None
    """Whether results could be read of a run of all tests; None for other steps."""
    doing: Doing | None
    """None where the call is not known."""


@dataclass(slots=True)
class Facts:
    """One episode."""

    steps: int = 0
    malformed: int = 0
    last_malformed: ToolCallEvent | None = None
    lately: deque[Done] = field(default_factory=lambda: deque[Done](maxlen=LATELY))
    tool_errors: Counter[tuple[str | None, str]] = field(default_factory=Counter[tuple[str | None, str]])
    """By tool and error, over all steps."""
    errors: deque[ErrorEvent] = field(default_factory=lambda: deque[ErrorEvent](maxlen=_KEPT))
    idle: deque[int] = field(default_factory=lambda: deque[int](maxlen=LATELY))
    """The last steps that spent next to no time on a processor, where that was measured."""
    replaced: Done | None = None
    """The last step in which the sandbox was lost, and a fresh one took its place."""
    worked: Done | None = None
    """The first step in which the agent did more than look."""
    used_up: Done | None = None
    """The first step in which the sandbox was out of something."""
    destroyed: bool = False
    """Whether a step may have removed files, or the right to write them."""
    ms: float = 0.0
    """Of all steps together."""
    untouched_runs: list[bool] = field(default_factory=list[bool])
    """For each run of all tests before the agent did more than look: whether there were results."""
    answers: int = 0
    failed_attempts: int = 0
    last_answer: LlmResponseEvent | None = None
    patch: FinalPatchEvent | None = None
    verdict: VerdictEvent | None = None
    end: EpisodeEndEvent | None = None
    last_seq: int = -1

    @property
    def ended(self) -> payloads.EpisodeEnd | None:
        """How it ended; None while it runs, or when its process died."""
        return self.end.payload if self.end is not None else None

    @property
    def patch_is_empty(self) -> bool:
        """Whether it is known that nothing was changed."""
        return self.patch is not None and not self.patch.payload.patch.strip()

    def blaming(self, failure: Failure) -> list[ErrorEvent]:
        """The recorded errors that blame `failure`, in order."""
        return [event for event in self.errors if event.payload.failure is failure]

    def end_evidence(self) -> Evidence:
        """How the episode ended."""
        if self.end is None:
            return Evidence.of(None, None, "the log has no end")
        end = self.end.payload
        return Evidence.of(self.end.seq, "episode_end", f"{end.stop_reason}: {end.message or 'no message'}")


def collect(events: Iterable[AnyEvent]) -> Facts:
    """The facts of one episode."""
    facts, calls = Facts(), dict[int, ToolCallEvent]()
    for event in events:
        facts.last_seq = event.seq
        match event:
            case ToolCallEvent(payload=call):
                calls = {call.step: event} if len(calls) > _KEPT else calls | {call.step: event}
                if call.malformed:
                    facts.malformed, facts.last_malformed = facts.malformed + 1, event
            case ToolResultEvent(payload=result):
                facts.steps += 1
                done = _done(calls.pop(result.step, None), event)
                facts.lately.append(done)
                _remember(facts, done)
                if done.error == "sandbox_recovered" and _REPLACED in done.said:
                    facts.replaced = done
                if result.error:
                    facts.tool_errors[(result.tool, result.error)] += 1
            case SandboxMetricEvent(payload=spent):
                if spent.scope == "step" and spent.step is not None and _is_idle(spent):
                    facts.idle.append(spent.step)
            case LlmResponseEvent(payload=answer):
                facts.answers, facts.last_answer = facts.answers + 1, event
                facts.failed_attempts += len(answer.failed_attempts)
            case ErrorEvent():
                facts.errors.append(event)
            case FinalPatchEvent():
                facts.patch = event
            case VerdictEvent():
                facts.verdict = event
            case EpisodeEndEvent():
                facts.end = event
            case _:
                pass
    return facts


def _is_idle(spent: payloads.SandboxMetric) -> bool:
    return spent.cpu_s is not None and bool(spent.wall_ms) and 1000 * spent.cpu_s < _WORKED * (spent.wall_ms or 0.0)


def _remember(facts: Facts, done: Done) -> None:
    facts.ms += done.ms
    if facts.used_up is None and done.error in USED_UP:
        facts.used_up = done
    if done.doing is not None:
        facts.destroyed |= done.doing.destroys
        if facts.worked is None and not done.doing.looks:
            facts.worked = done
    if facts.worked is None and done.results is not None and len(facts.untouched_runs) < _KEPT:
        facts.untouched_runs.append(done.results)


def _done(call: ToolCallEvent | None, event: ToolResultEvent) -> Done:
    result = event.payload
    told = f"{call.payload.action if call is not None else ''}\0{result.observation}"
    all_tests = result.tool == "run_tests" and result.error is None and not result.data.get("selected")
    return Done(
        seq=event.seq,
        step=result.step,
        tool=result.tool,
        same=hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8).digest(),
        ok=result.ok,
        error=result.error,
        said=result.observation[:_SHOWN],
        ms=event.duration_ms,
        exit_code=result.exit_code,
        cut=result.data.get("cut_after") is not None,
        results=bool(result.data["parsed"]) if all_tests and "parsed" in result.data else None,
        doing=None if call is None else doing_of(call, event),
    )
