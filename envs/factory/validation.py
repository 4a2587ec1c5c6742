"""What makes a candidate a task: tests that fail without the reference patch and pass with it, every time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .workshop import TestRun

__all__ = ["RUNS", "Decision", "Refusal", "decide"]

RUNS = 3
"""How often a test run is repeated; only what agrees in all of them counts."""


class Refusal(Exception):
    """Raised when a candidate does not become a task; the message is the reason, a short fixed phrase."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Decision:
    """The tests that decide."""

    fail_to_pass: tuple[str, ...]
    pass_to_pass: tuple[str, ...]
    flaky: tuple[str, ...]
    """Tests whose runs disagreed; left out by name."""


def _agreed(runs: Sequence[TestRun], name: str) -> str | None:
    statuses = {run.statuses.get(name, "ABSENT") for run in runs}
    return statuses.pop() if len(statuses) == 1 else None


def decide(before: Sequence[TestRun], after: Sequence[TestRun]) -> Decision:
    """Compare runs without and with the reference patch. Raises Refusal when they decide nothing."""
    names = sorted({name for run in (*before, *after) for name in run.statuses})
    statuses: Mapping[str, tuple[str | None, str | None]] = {
        name: (_agreed(before, name), _agreed(after, name)) for name in names
    }
    flaky = tuple(name for name, pair in statuses.items() if None in pair)
    failing = tuple(n for n, (old, new) in statuses.items() if old in ("FAILED", "ERROR", "ABSENT") and new == "PASSED")
    passing = tuple(name for name, pair in statuses.items() if pair == ("PASSED", "PASSED"))
    if not failing:
        raise Refusal("flaky" if flaky else "no test fails")
    if not passing:
        raise Refusal("no test keeps passing")
    return Decision(failing, passing, flaky)
