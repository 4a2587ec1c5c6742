"""Which runs count as a check of the work, and what they say.

A command that merely succeeds proves nothing, so `true` or `python -c pass` is no check: a test run must
report tests, none of which the agent has changed, and any other command must have failed before on the same
question or be about the issue.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .acts import LIMIT_ERRORS, Act
from .shell import Kind
from .text import Text, failure_line, words

if TYPE_CHECKING:
    from .history import History

__all__ = ["Check", "assess"]

_BROKEN = (
    "SyntaxError:",
    "IndentationError:",
    "ModuleNotFoundError:",
    "command not found",
    "can't open file",
    "No such file or directory",
    "usage:",
    "Usage:",
)


@dataclass(slots=True, kw_only=True)
class Check:
    """A run that says something about the work."""

    index: int
    epoch: int
    ok: bool
    """It passed, or failed in nothing that did not fail before the first change."""
    strength: float
    """1 for tests and for a command that failed earlier, 0.6 for another command about the issue, 0.2 when it
    says just what it said before the change."""
    said: Text
    before_change: bool
    quote: str

    @property
    def answer(self) -> str:
        """What it said, but for what differs from run to run."""
        return self.said.answer


def assess(act: Act, history: "History") -> Check | None:
    """What a step proves, given what happened before it; None when nothing."""
    if act.kind not in (Kind.TEST, Kind.RUN) or act.excused or act.step.error in LIMIT_ERRORS:
        return None
    strength = _strength(act, history)
    if not strength:
        return None
    return Check(
        index=act.index,
        epoch=history.epoch,
        ok=_passes(act, history),
        strength=strength,
        said=act.text,
        before_change=history.source_edit_at < 0,
        quote=failure_line(act.observation),
    )


def _strength(act: Act, history: "History") -> float:
    if act.tests is not None:
        return 1.0 if sum(act.tests.counts) and not history.tampered else 0.0
    if act.failed and any(mark in act.observation[-1_000:] for mark in _BROKEN):
        return 0.0
    earlier = history.checks.get(act.signature)
    if earlier and not earlier.ok and not _script_changed(act, history, earlier.index):
        return 1.0
    if earlier and earlier.ok and earlier.epoch < history.epoch and earlier.answer == act.text.answer:
        return 0.2
    return 0.6 if _about_the_issue(act, history) else 0.0


def _script_changed(act: Act, history: "History", since: int) -> bool:
    states = (history.known(path) for path in act.paths)
    return any(state is not None and state.changed_at > since and state.created for state in states)


def _about_the_issue(act: Act, history: "History") -> bool:
    if not history.task.issue_names:
        return True
    if any(path in history.topical_scripts for path in act.paths):
        return True
    said = words(act.shell.text) if act.shell else set[str]()
    return not said.isdisjoint(history.task.issue_names) or not said.isdisjoint(history.changed_stems)


def _passes(act: Act, history: "History") -> bool:
    tests = act.tests
    if tests is None or not tests.failed:
        return not act.failed
    return tests.failed <= history.failed_at_first
