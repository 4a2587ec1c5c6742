"""What predictions may know of a step and of a call: the same from a live step and from a row of layer 2."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from ...envs.step import Step
from ...rewards.acts import Act
from ...rewards.foreign import canonical
from ...rewards.interpret import interpret
from ..tables.steps import action_of, failed, tests_of

__all__ = ["ACTIONS", "CallFacts", "Reader", "Spending", "StepFacts"]

ACTIONS = ("read", "search", "list", "vcs", "edit", "run", "test", "setup", "submit", "think", "malformed", "other")
"""Kinds of acts, as layer 2 names them in `steps.action`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """A call that is about to be made. Fields are columns of layer 2's `steps`."""

    action: str
    program: str | None = None
    action_chars: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFacts:
    """A step that is over. Fields are columns of layer 2's `steps`; None where it is not known."""

    action: str
    program: str | None = None
    action_chars: int = 0
    tool_ms: float | None = None
    gap_ms: float | None = None
    failed: bool | None = None
    error: str | None = None
    repeated: bool | None = None
    paths: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    tests_passed: int | None = None
    tests_failed: int | None = None
    observation_chars: int | None = None
    thought_chars: int | None = None
    reward: float | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "StepFacts":
        """From a row of layer 2; other columns are passed over."""
        known: dict[str, Any] = {name: row[name] for name in _COLUMNS}
        known |= {name: tuple(known[name] or ()) for name in ("paths", "edited")}
        return cls(**known)

    @property
    def call(self) -> CallFacts:
        """What was known of it before it was made."""
        return CallFacts(action=self.action, program=self.program, action_chars=self.action_chars)


_COLUMNS = tuple(field.name for field in fields(StepFacts))


@dataclass(slots=True, kw_only=True)
class Spending:
    """What was asked of models so far, in tokens; None where an answer does not tell."""

    requests: int | None = 0
    prompt_tokens: float | None = None
    """Of the latest prompt."""
    input_tokens: float | None = 0
    output_tokens: float | None = 0

    @classmethod
    def unknown(cls) -> "Spending":
        """Where nobody can say which answers were there by then."""
        return cls(requests=None, input_tokens=None, output_tokens=None)

    def add(self, input_tokens: float | None, output_tokens: float | None) -> None:
        """Count one answer."""
        self.requests = None if self.requests is None else self.requests + 1
        self.prompt_tokens = input_tokens
        self.input_tokens = _plus(self.input_tokens, input_tokens)
        self.output_tokens = _plus(self.output_tokens, output_tokens)


def _plus(total: float | None, more: float | None) -> float | None:
    return None if total is None or more is None else total + more


class Reader:
    """Reads the steps of one live episode, in their order."""

    def __init__(self, workdir: str) -> None:
        self._workdir = workdir
        self._seen: set[str] = set()
        self._ended: datetime | None = None

    def call(self, step: Step) -> CallFacts:
        """A step that was not done yet: its observation is empty."""
        act = interpret(canonical(step), self._workdir)
        return CallFacts(action=action_of(act), program=_program(act), action_chars=len(step.action))

    def step(self, step: Step, reward: float | None) -> StepFacts:
        """A step that was done."""
        act = interpret(canonical(step), self._workdir)
        passed, bad = tests_of(act)
        repeated = act.signature in self._seen
        gap = None if self._ended is None else (step.t_start - self._ended).total_seconds() * 1000
        self._seen.add(act.signature)
        self._ended = step.t_end
        return StepFacts(
            action=action_of(act),
            program=_program(act),
            action_chars=len(step.action),
            tool_ms=step.duration_ms,
            gap_ms=gap,
            failed=failed(act),
            error=step.error,
            repeated=repeated,
            paths=tuple(filter(None, act.paths)),
            edited=tuple(dict.fromkeys(edit.path for edit in act.edits if edit.changed and edit.path)),
            tests_passed=passed,
            tests_failed=bad,
            observation_chars=len(step.observation),
            thought_chars=len(step.thought) if step.thought else None,
            reward=reward,
        )


def _program(act: Act) -> str | None:
    return (act.shell.program or None) if act.shell is not None else None
