"""From what was found about the parts of an episode to its line of `replay.jsonl`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .report import Cause, Difference, EpisodeReplay, Hint, Match, PartReplay, StepReplay, worst

__all__ = ["Findings", "assemble", "with_rewards"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was found about each part."""

    steps: Sequence[StepReplay]
    start: PartReplay
    patch: PartReplay | None
    verdict: PartReplay | None
    end: PartReplay | None

    def first(self) -> Cause | None:
        """Where the episode diverged first: in the order in which it happened."""
        found = _cause("start", self.start)
        if found is not None:
            return found
        for step in self.steps:
            if step.cause is not None:
                return Cause(where="step", step=step.step, field=step.cause, hint=step.hint)
        parts = (("patch", self.patch), ("verdict", self.verdict), ("end", self.end))
        return next((cause for name, part in parts if (cause := _cause(name, part)) is not None), None)

    def matches(self) -> list[Match]:
        """Of every step and part."""
        parts = [part for part in (self.start, self.patch, self.verdict, self.end) if part is not None]
        return [item.match for item in (*self.steps, *parts)]


def assemble(about: Mapping[str, Any], found: Findings) -> EpisodeReplay:
    """The report on an episode; `about` are its remaining fields."""
    return EpisodeReplay(
        **about,
        match=worst(found.matches()),
        first=found.first(),
        start=found.start,
        steps=_with_aftermath(found.steps),
        patch=found.patch,
        verdict=found.verdict,
        end=found.end,
        recorded_ms=round(sum(step.recorded_ms for step in found.steps), 3),
        replayed_ms=round(sum(step.replayed_ms or 0.0 for step in found.steps), 3),
        counts=dict(Counter(step.match for step in found.steps)),
    )


def with_rewards(steps: Sequence[StepReplay], differing: Mapping[int, tuple[Difference, ...]]) -> list[StepReplay]:
    """The steps with what differs in their rewards."""
    return [_with(step, differing[step.step]) if step.step in differing else step for step in steps]


def _with(step: StepReplay, more: Sequence[Difference]) -> StepReplay:
    update: dict[str, Any] = {"match": Match.DIVERGED, "differences": (*step.differences, *more)}
    if step.cause is None:
        update |= {"cause": more[0].field, "hint": more[0].hint}
    return step.model_copy(update=update)


def _with_aftermath(steps: Sequence[StepReplay]) -> tuple[StepReplay, ...]:
    """Steps that diverged after another did say so: what they show may be its consequence."""
    first = next((step.step for step in steps if step.match is Match.DIVERGED), None)
    later = {"hint": Hint.AFTERMATH}
    return tuple(
        step.model_copy(update=later) if step.match is Match.DIVERGED and step.step != first else step for step in steps
    )


def _cause(where: str, part: PartReplay | None) -> Cause | None:
    wrong = next((item for item in part.differences if item.match is Match.DIVERGED), None) if part else None
    return Cause(where=where, field=wrong.field, hint=wrong.hint) if wrong is not None else None
