"""From the answers about one step to its scores: mean and spread of an ensemble, with everything that says why."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from ..scores import CRITERIA, CriterionScore, RuleScore, rounded
from ..text import writable
from .asking import Judge
from .injection import RULE
from .outcome import Outcome
from .view import StepView

__all__ = ["Judgement", "judgement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the judge says of one step."""

    criteria: dict[str, CriterionScore]
    outcomes: tuple[Outcome, ...]
    record: dict[str, Any]
    """For JSON: prompt, context, what was revealed, and each answer with its cost; what was seen lies in the cache
    under each answer's key."""


def judgement(judge: Judge, view: StepView, outcomes: Sequence[Outcome]) -> Judgement:
    """Combine the answers about a step. Without any answer there is no score, and the reason says why."""
    barred = judge.config.on_injection == "unscored" and any(flag.by_agent for flag in view.flags)
    flags = tuple(RuleScore(RULE, 0.0, 0.0, writable(flag.evidence)) for flag in view.flags)
    valid = () if barred else tuple(outcome for outcome in outcomes if outcome.answer is not None)
    why = f"{RULE}: {view.flags[0].evidence}" if barred else next((str(one.error) for one in outcomes if one.error), "")
    criteria = {name: _criterion(name, judge.name, valid, flags, why) for name in CRITERIA}
    return Judgement(criteria=criteria, outcomes=tuple(outcomes), record=_record(judge, view, outcomes))


def _criterion(
    name: str, layer: str, valid: Sequence[Outcome], flags: tuple[RuleScore, ...], why: str
) -> CriterionScore:
    opinions = [outcome.answer.opinion(name) for outcome in valid if outcome.answer is not None]
    if not opinions:
        return CriterionScore(name, None, layer, flags, reason=f"not scored: {why}")
    scores = [opinion.score for opinion in opinions]
    mean = fmean(scores)
    nearest = min(opinions, key=lambda opinion: abs(opinion.score - mean))
    spread = rounded(stdev(scores)) if len(scores) > 1 else None
    reason = writable(" ".join(nearest.reason.split()))
    return CriterionScore(name, rounded(mean), layer, flags, reason=reason, spread=spread)


def _record(judge: Judge, view: StepView, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "prompt": f"{judge.prompt.name}@{judge.prompt.version}",
        "prompt_sha256": judge.prompt.sha256,
        "context": judge.config.context.model_dump(),
        "revealed": [kind for kind, _ in view.revealed],
        "injections": [flag.evidence for flag in view.flags],
        "answers": [outcome.as_dict() for outcome in outcomes],
    }
