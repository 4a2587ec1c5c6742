"""Events as log records: phases, rewards and verdicts, errors, notes and patches."""

from typing import Any

from ..events import VerdictEvent
from .otlp_parts import Ids, log_record, ours
from .parts import rest_of
from .story import Act, Story

__all__ = ["records_of"]

_PLAIN = frozenset({"kind", "source", "where", "failure", "step"})
"""Fields of errors and notes that quote nobody."""
_EVALUATION = "gen_ai.evaluation.result"


def records_of(story: Story, ids: Ids, *, content: bool) -> list[dict[str, Any]]:
    """The log records of an episode; rewards belong to the span of their tool, all else to the episode's."""
    told = [
        log_record(ids, ids.root, event, "trajhub.phase", ours("phase", rest_of(event.payload)))
        for event in story.phases
    ]
    for act in story.acts:
        told += _evaluations(act, ids, content=content)
    for event in (*story.errors, *story.notes, *story.rest):
        said = rest_of(event.payload)
        if not content:
            said = {key: value for key, value in said.items() if key in _PLAIN}
        known = ours(event.event_type, said | {"duration_ms": event.duration_ms})
        told.append(log_record(ids, ids.root, event, f"trajhub.{event.event_type}", known))
    for event in story.patches:
        known = ours("final_patch", rest_of(event.payload, ("patch",)))
        body = event.payload.patch if content else None
        told.append(log_record(ids, ids.root, event, "trajhub.final_patch", known, body))
    return told + [_verdict(event, ids, content=content) for event in story.verdicts]


def _verdict(event: VerdictEvent, ids: Ids, *, content: bool) -> dict[str, Any]:
    verdict = event.payload
    known = {
        "gen_ai.evaluation.name": "resolved",
        "gen_ai.evaluation.score.value": float(verdict.resolved) if verdict.resolved is not None else None,
        "gen_ai.evaluation.score.label": verdict.outcome,
        "gen_ai.evaluation.explanation": (verdict.report.get("detail") or None) if content else None,
    }
    taken = ("outcome",) if content else ("outcome", "report")
    known |= ours("verdict", rest_of(verdict, taken) | {"duration_ms": event.duration_ms})
    return log_record(ids, ids.root, event, _EVALUATION, known)


def _evaluations(act: Act, ids: Ids, *, content: bool) -> list[dict[str, Any]]:
    """The reward of a step, then each criterion's score."""
    event = act.reward
    if event is None:
        return []
    step = {"trajhub.step": event.payload.step}
    known = {"gen_ai.evaluation.name": "step_reward", "gen_ai.evaluation.score.value": event.payload.reward}
    rest = rest_of(event.payload, ("reward", "criteria", "step")) if content else {}
    told = [known | step | ours("step_reward", rest)]
    for item in event.payload.criteria:
        reasons = [str(rule.get("evidence")) for rule in item.rules if rule.get("evidence")]
        reason = (item.model_extra or {}).get("reason") or "; ".join(reasons)
        score = {"gen_ai.evaluation.name": item.criterion, "gen_ai.evaluation.score.value": item.score}
        score |= {"gen_ai.evaluation.explanation": (reason or None) if content else None}
        rest = rest_of(item, ("criterion", "score")) if content else {}
        told.append(score | step | ours("criterion", rest))
    owner = ids.span(act.call.seq)
    return [log_record(ids, owner, event, _EVALUATION, one) for one in told]
