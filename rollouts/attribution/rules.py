"""The rules, in the order in which they are asked: what ended an episode comes before what its patch was worth.

Each takes the facts of an episode that is not resolved and gives a finding, or None when it has nothing to say.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...errors import Failure, StopReason
from .evidence import Evidence
from .facts import Facts
from .finding import INFERRED, READ, RECORDED, TOOL_FAULTS, Finding, Rule, shown
from .kinds import Kind
from .messages import environment_kind, service_kind
from .verdict_rules import grader_failed, patch_failed, results_destroyed
from .world_rules import (
    crowded_sandbox,
    exhausted_sandbox,
    history_missing,
    nothing_runs,
    nothing_writable,
    slow_world,
    time_eaten,
    tool_faults,
    unusable_tests,
)

__all__ = ["RULES"]

_LIMITS = (StopReason.STEP_LIMIT, StopReason.TOKEN_LIMIT, StopReason.COST_LIMIT, StopReason.TIME_LIMIT)
_BROKEN_ENDS = (StopReason.POLICY_ERROR, StopReason.ENVIRONMENT_ERROR)
_LOOPING = 4
"""So many equal steps among the last ones are a loop."""
_IN_A_LOOP = re.compile(r"\b(stuck|loop)", re.IGNORECASE)


def environment_ended(facts: Facts) -> Finding | None:
    """The environment is blamed by the record."""
    end = facts.ended
    errors = facts.blaming(Failure.ENVIRONMENT) or list(facts.errors)
    lost = [done for done in facts.lately if done.error == "sandbox_lost"]
    stopped = end is not None and (
        end.failure is Failure.ENVIRONMENT or end.stop_reason is StopReason.ENVIRONMENT_ERROR
    )
    if not stopped and not (end is None and facts.blaming(Failure.ENVIRONMENT)):
        return None
    told = [f"{event.payload.kind}: {event.payload.message}" for event in errors[-1:]]
    words = "\n".join([*(done.said for done in lost), *told, (end.message or "") if end is not None else ""])
    evidence = [Evidence.of(e.seq, "error", t, e.payload.step) for e, t in zip(errors[-1:], told, strict=True)]
    evidence += map(shown, lost)
    return Finding(environment_kind(words), [*evidence, facts.end_evidence()], RECORDED if told else READ)


def service_ended(facts: Facts) -> Finding | None:
    """The model's service is blamed by the record, and no answer came after."""
    end, errors = facts.ended, facts.blaming(Failure.SERVICE)
    answered = facts.last_answer.seq if facts.last_answer is not None else -1
    unanswered = [event for event in errors if event.seq > answered]
    blamed = end is not None and end.failure is Failure.SERVICE
    if not blamed and not (unanswered and (end is None or end.stop_reason not in _LIMITS)):
        return None
    last = (unanswered or errors)[-1:]
    words = " ".join([*(event.payload.message for event in last), (end.message or "") if end is not None else ""])
    data: Any = (last[0].payload.model_extra or {}) if last else {}
    kind = service_kind(words, _status(data))
    evidence = [Evidence.of(e.seq, "error", e.payload.message, e.payload.step) for e in last]
    return Finding(kind, [*evidence, facts.end_evidence()], RECORDED if blamed else READ)


def _status(data: Any) -> int | None:
    found = data.get("status") if isinstance(data, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return found if isinstance(found, int) else None


def sandbox_replaced(facts: Facts) -> Finding | None:
    """The container died under the agent, and what it had done was gone.

    An agent can exhaust its sandbox, and end every process in it, but not its container.
    """
    if facts.replaced is None:
        return None
    return Finding(Kind.SANDBOX_LOST, [shown(facts.replaced), facts.end_evidence()], INFERRED)


def words_of_the_end(facts: Facts) -> Finding | None:
    """Something broke and nobody is blamed: what the last error, or the end, says in words."""
    end = facts.ended
    if end is None or end.stop_reason not in _BROKEN_ENDS or end.failure is not None:
        return None
    last = facts.errors[-1].payload.message if facts.errors else ""
    words = f"{last} {end.message or ''}"
    kind = environment_kind(words)
    if kind is Kind.ENVIRONMENT_BROKEN:
        kind = service_kind(words)
        if kind is Kind.CONNECTION and not re.search(r"connect|reset|hung|ECONN", words, re.IGNORECASE):
            return None
    return Finding(kind, [facts.end_evidence()], INFERRED)


def context_overflow(facts: Facts) -> Finding | None:
    """The conversation no longer fits the model."""
    end = facts.ended
    if end is None or end.stop_reason is not StopReason.TOKEN_LIMIT:
        return None
    if end.failure is Failure.MODEL or re.search(r"no longer fits|context", end.message or "", re.IGNORECASE):
        return Finding(Kind.CONTEXT_OVERFLOW, [facts.end_evidence()], RECORDED)
    return None


def malformed_actions(facts: Facts) -> Finding | None:
    """Its last actions could not be understood, and it never handed in."""
    end, lately = facts.ended, [done for done in facts.lately if done.error == "malformed_action"]
    submitted = end is not None and end.stop_reason is StopReason.SUBMITTED
    format_error = end is not None and bool(re.search(r"FormatError|exit_format|malformed", end.message or ""))
    if submitted or not (format_error or (len(lately) >= TOOL_FAULTS and 2 * len(lately) >= len(facts.lately))):
        return None
    return Finding(Kind.MALFORMED_ACTIONS, [*map(shown, lately[-2:]), facts.end_evidence()], READ)


def limits(facts: Facts) -> Finding | None:
    """A limit ended it: going round in circles, or not."""
    end = facts.ended
    if end is None or end.stop_reason not in _LIMITS:
        return None
    same, times = max(Counter(done.same for done in facts.lately).items(), key=lambda pair: pair[1], default=(b"", 0))
    if times >= _LOOPING:
        again = [done for done in facts.lately if done.same == same]
        return Finding(Kind.LOOP, [*map(shown, again[-2:]), facts.end_evidence()], READ)
    return Finding(Kind.LIMIT, [facts.end_evidence()], RECORDED)


def gave_up(facts: Facts) -> Finding | None:
    """It ended without handing in; some harnesses say that it had got stuck."""
    end = facts.ended
    blamed = end is not None and end.stop_reason is StopReason.POLICY_ERROR and end.failure in (Failure.MODEL, None)
    if end is None or not blamed:
        return None
    return Finding(Kind.LOOP if _IN_A_LOOP.search(end.message or "") else Kind.GAVE_UP, [facts.end_evidence()], READ)


RULES: Sequence[Rule] = (
    environment_ended,
    service_ended,
    grader_failed,
    sandbox_replaced,
    words_of_the_end,
    context_overflow,
    malformed_actions,
    nothing_runs,
    nothing_writable,
    unusable_tests,
    crowded_sandbox,
    slow_world,
    exhausted_sandbox,
    history_missing,
    tool_faults,
    time_eaten,
    limits,
    gave_up,
    results_destroyed,
    patch_failed,
)
