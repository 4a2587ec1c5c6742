"""What a rule says, and what rules about the last steps have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .evidence import Evidence
from .facts import Done, Facts
from .kinds import Kind

__all__ = ["INFERRED", "READ", "RECORDED", "TOOL_FAULTS", "Finding", "Rule", "at_the_end", "shown"]

RECORDED, READ, INFERRED = 1.0, 0.9, 0.7
"""The record says so itself; its words had to be read; its course had to be read."""
TOOL_FAULTS = 3
"""So many faults among the last steps are how it ended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says."""

    kind: Kind
    evidence: Sequence[Evidence]
    confidence: float
    """1 where the record says so itself, less where its words or its course had to be read."""


Rule = Callable[[Facts], Finding | None]


def at_the_end(facts: Facts, found: Sequence[Done], kind: Kind) -> Finding | None:
    """A finding when these steps are at least half of the last ones, and enough."""
    others = len(facts.lately) - sum(done.tool == "submit" for done in facts.lately)
    if len(found) < min(TOOL_FAULTS, max(others, 1)) or 2 * len(found) < others:
        return None
    return Finding(kind, [*map(shown, found[-3:]), facts.end_evidence()], INFERRED)


def shown(done: Done) -> Evidence:
    """A step as evidence."""
    return Evidence.of(done.seq, "tool_result", f"{done.tool}: {done.error or 'failed'}: {done.said}", done.step)
