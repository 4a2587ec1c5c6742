"""From the events of an episode to who is to blame for it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ...errors import Failure, StopReason
from ..events import AnyEvent
from ..log import EventReader
from ..log_file import EVENTS
from ..trajectory import episode_folders
from .evidence import Evidence
from .facts import Facts, collect
from .kinds import FAILURES, Kind
from .rules import RULES

__all__ = ["ATTRIBUTION", "Attribution", "attribute", "attribute_run"]

ATTRIBUTION = "attribution@3"
"""Version of the rules: the same log always gets the same attribution by the same version."""

_NOBODY = (StopReason.INTERRUPTED, StopReason.EARLY_STOPPED)


class Attribution(BaseModel):
    """Who is to blame for one episode, with the evidence."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    version: str = ATTRIBUTION
    resolved: bool | None = None
    """What the verdict says; None without one."""
    failure: Failure | None = None
    """None for an episode that succeeded, and for one of which nothing is known to have failed."""
    kind: Kind | None = None
    rule: str | None = None
    """Name of the rule that decided."""
    confidence: float | None = None
    """1 where the record says so itself, 0.9 where its words, 0.7 where its course had to be read."""
    evidence: tuple[Evidence, ...] = ()
    also: tuple[Kind, ...] = ()
    """What further rules found, in their order: causes that came before, or consequences."""
    why_none: str | None = None
    """A sentence, when there is nobody to blame."""


def attribute(events: Iterable[AnyEvent]) -> Attribution:
    """Who is to blame for the episode that these events tell; constant memory."""
    facts = collect(events)
    resolved = facts.verdict.payload.resolved if facts.verdict is not None else None
    if resolved:
        return Attribution(resolved=True, why_none="it is resolved")
    found = [(rule.__name__, finding) for rule in RULES if (finding := rule(facts)) is not None]
    end = facts.ended
    if end is not None and end.stop_reason in _NOBODY and facts.verdict is None:
        found = [pair for pair in found if pair[0] in ("environment_ended", "service_ended")]
    if not found:
        return Attribution(resolved=resolved, why_none=_why_none(facts))
    (name, first), *others = found
    return Attribution(
        resolved=resolved,
        failure=FAILURES[first.kind],
        kind=first.kind,
        rule=name,
        confidence=first.confidence,
        evidence=tuple(first.evidence),
        also=tuple(dict.fromkeys(finding.kind for _, finding in others if finding.kind is not first.kind)),
    )


def _why_none(facts: Facts) -> str:
    end = facts.ended
    if end is None:
        return "it has not ended, or its process died"
    if end.stop_reason in _NOBODY:
        return f"it was {end.stop_reason.value.replace('_', ' ')}"
    return "nothing is known to have failed: it was not graded"


def attribute_run(run: Path) -> Iterator[tuple[str, str, Attribution]]:
    """Episode id, task id and attribution of every episode of a run, by name; damaged lines are passed over."""
    for folder in episode_folders(run):
        task = ""

        def events(path: Path = folder / EVENTS) -> Iterator[AnyEvent]:
            nonlocal task
            for event in EventReader(path, tolerant=True):
                task = event.task_id
                yield event

        done = attribute(events())
        yield folder.name, task, done
