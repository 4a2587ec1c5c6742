"""The rules, in the order in which they are asked: what ended an episode comes before what its patch was worth.

Each takes the facts of an episode that is not resolved and gives a finding, or None when it has nothing to say.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...envs.verdict import Reason
from ...errors import Failure, StopReason
from .evidence import Evidence
from .facts import Done, Facts
from .kinds import Kind
from .messages import environment_kind, service_kind

__all__ = ["RULES", "Finding", "Rule"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says."""

    kind: Kind
    evidence: Sequence[Evidence]
    confidence: float
    """1 where the record says so itself, less where its words or its course had to be read."""


Rule = Callable[[Facts], Finding | None]

_RECORDED, _READ, _INFERRED = 1.0, 0.9, 0.7
_LIMITS = (StopReason.STEP_LIMIT, StopReason.TOKEN_LIMIT, StopReason.COST_LIMIT, StopReason.TIME_LIMIT)
_BROKEN_ENDS = (StopReason.POLICY_ERROR, StopReason.ENVIRONMENT_ERROR)
_LOOPING = 4
"""So many equal steps among the last ones are a loop."""
_TOOL_FAULTS = 3
_SHELLS = frozenset(("shell", "bash", "execute_bash", "run_shell_command", "exec_command", "local_shell", "terminal"))
_USED_UP = frozenset(("out_of_memory", "disk_full", "too_many_processes", "sandbox_recovered"))
_TIMED_OUT = re.compile(r"\btimed? ?out\b", re.IGNORECASE)
_TOOL_BROKE = re.compile(
    r"internal (tool )?error|tool (call |execution )?(failed|crashed)|tool is (not available|unavailable)|"
    r"\bMCP\b.{0,60}(error|disconnect|closed)|\bEPIPE\b|command not found: rg",
    re.IGNORECASE,
)
_BY_REASON = {
    Reason.FORGED: Kind.FORGED,
    Reason.NOT_REPRODUCED: Kind.NOT_REPRODUCED,
    Reason.TASK_INCOMPLETE: Kind.TASK_INCOMPLETE,
}
_BY_PATCH = {
    Reason.NO_PATCH: Kind.NO_PATCH,
    Reason.EMPTY_PATCH: Kind.NO_PATCH,
    Reason.PATCH_DOES_NOT_APPLY: Kind.PATCH_DOES_NOT_APPLY,
    Reason.TESTS_FAILED: Kind.WRONG_PATCH,
    Reason.NO_TEST_RESULTS: Kind.BROKEN_PATCH,
    Reason.LIMIT_REACHED: Kind.BROKEN_PATCH,
}


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
    words = " ".join([*(done.said for done in lost), *told, (end.message or "") if end is not None else ""])
    evidence = [Evidence.of(e.seq, "error", t, e.payload.step) for e, t in zip(errors[-1:], told, strict=True)]
    evidence += map(_shown, lost)
    return Finding(environment_kind(words), [*evidence, facts.end_evidence()], _RECORDED if told else _READ)


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
    return Finding(kind, [*evidence, facts.end_evidence()], _RECORDED if blamed else _READ)


def _status(data: Any) -> int | None:
    found = data.get("status") if isinstance(data, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return found if isinstance(found, int) else None


def grader_failed(facts: Facts) -> Finding | None:
    """The verdict says that it says nothing of the patch, or that the patch lied."""
    reason, blamed, detail = _verdict(facts)
    if facts.verdict is None or (reason is None and blamed is not Failure.GRADER):
        return None
    evidence = [Evidence.of(facts.verdict.seq, "verdict", f"{reason or facts.verdict.payload.outcome}: {detail}")]
    if reason is not None and reason in _BY_REASON:
        return Finding(_BY_REASON[reason], evidence, _RECORDED)
    if blamed is Failure.ENVIRONMENT:
        return Finding(environment_kind(detail), evidence, _RECORDED)
    return Finding(Kind.TESTS_NOT_RUN, evidence, _RECORDED) if blamed is Failure.GRADER else None


def _verdict(facts: Facts) -> tuple[Reason | None, Failure | None, str]:
    if facts.verdict is None:
        return None, None, ""
    payload = facts.verdict.payload
    said, blamed = payload.outcome or payload.report.get("reason"), payload.report.get("failure")
    return (
        Reason(said) if said in set(Reason) else None,
        Failure(blamed) if blamed in set(Failure) else None,
        str(payload.report.get("detail") or ""),
    )


def sandbox_replaced(facts: Facts) -> Finding | None:
    """The container died under the agent, and what it had done was gone.

    An agent can exhaust its sandbox, and end every process in it, but not its container.
    """
    if facts.replaced is None:
        return None
    return Finding(Kind.SANDBOX_LOST, [_shown(facts.replaced), facts.end_evidence()], _INFERRED)


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
    return Finding(kind, [facts.end_evidence()], _INFERRED)


def context_overflow(facts: Facts) -> Finding | None:
    """The conversation no longer fits the model."""
    end = facts.ended
    if end is None or end.stop_reason is not StopReason.TOKEN_LIMIT:
        return None
    if end.failure is Failure.MODEL or re.search(r"no longer fits|context", end.message or "", re.IGNORECASE):
        return Finding(Kind.CONTEXT_OVERFLOW, [facts.end_evidence()], _RECORDED)
    return None


def malformed_actions(facts: Facts) -> Finding | None:
    """Its last actions could not be understood, and it never handed in."""
    end, lately = facts.ended, [done for done in facts.lately if done.error == "malformed_action"]
    submitted = end is not None and end.stop_reason is StopReason.SUBMITTED
    format_error = end is not None and bool(re.search(r"FormatError|exit_format|malformed", end.message or ""))
    if submitted or not (format_error or (len(lately) >= _TOOL_FAULTS and 2 * len(lately) >= len(facts.lately))):
        return None
    return Finding(Kind.MALFORMED_ACTIONS, [*map(_shown, lately[-2:]), facts.end_evidence()], _READ)


def exhausted_sandbox(facts: Facts) -> Finding | None:
    """Its own commands used up, or destroyed, the sandbox, and that is how it ended."""
    found = [d for d in facts.lately if d.error in _USED_UP or (_is_timeout(d) and _is_shell(d))]
    return _at_the_end(facts, found, Kind.EXHAUSTED_SANDBOX)


def tool_faults(facts: Facts) -> Finding | None:
    """Tools failed by themselves, and that is how it ended."""
    slow = [d for d in facts.lately if _is_timeout(d) and not _is_shell(d)]
    broken = [d for d in facts.lately if not d.ok and d.tool is not None and _TOOL_BROKE.search(d.said)]
    broken += [d for d in facts.lately if d.error in ("no_test_command", "tool_error")]
    kind = Kind.TOOL_TIMEOUT if len(slow) >= len(broken) else Kind.TOOL_ERROR
    return _at_the_end(facts, sorted({*slow, *broken}, key=lambda done: done.seq), kind)


def _at_the_end(facts: Facts, found: Sequence[Done], kind: Kind) -> Finding | None:
    others = len(facts.lately) - sum(done.tool == "submit" for done in facts.lately)
    if len(found) < min(_TOOL_FAULTS, max(others, 1)) or 2 * len(found) < others:
        return None
    return Finding(kind, [*map(_shown, found[-3:]), facts.end_evidence()], _INFERRED)


def _is_timeout(done: Done) -> bool:
    return done.error == "timeout" or (not done.ok and bool(_TIMED_OUT.search(done.said)))


def _is_shell(done: Done) -> bool:
    return done.tool is not None and done.tool.lower() in _SHELLS


def _shown(done: Done) -> Evidence:
    return Evidence.of(done.seq, "tool_result", f"{done.tool}: {done.error or 'failed'}: {done.said}", done.step)


def limits(facts: Facts) -> Finding | None:
    """A limit ended it: going round in circles, or not."""
    end = facts.ended
    if end is None or end.stop_reason not in _LIMITS:
        return None
    same, times = max(Counter(done.same for done in facts.lately).items(), key=lambda pair: pair[1], default=(b"", 0))
    if times >= _LOOPING:
        again = [done for done in facts.lately if done.same == same]
        return Finding(Kind.LOOP, [*map(_shown, again[-2:]), facts.end_evidence()], _READ)
    return Finding(Kind.LIMIT, [facts.end_evidence()], _RECORDED)


def gave_up(facts: Facts) -> Finding | None:
    """It ended without handing in."""
    end = facts.ended
    blamed = end is not None and end.stop_reason is StopReason.POLICY_ERROR and end.failure in (Failure.MODEL, None)
    return Finding(Kind.GAVE_UP, [facts.end_evidence()], _READ) if blamed else None


def patch_failed(facts: Facts) -> Finding | None:
    """What the verdict, or the patch without a verdict, says of the agent's work."""
    reason, _, detail = _verdict(facts)
    if facts.verdict is not None and facts.verdict.payload.resolved is False:
        kind = _BY_PATCH.get(reason) if reason is not None else Kind.WRONG_PATCH
        empty = facts.patch_is_empty and kind is Kind.WRONG_PATCH
        told = f"{reason or facts.verdict.payload.outcome or 'not resolved'}: {detail}"
        evidence = [Evidence.of(facts.verdict.seq, "verdict", told)]
        return Finding(Kind.NO_PATCH if empty else kind or Kind.WRONG_PATCH, evidence, _RECORDED)
    if facts.patch is not None and facts.patch_is_empty:
        return Finding(Kind.NO_PATCH, [Evidence.of(facts.patch.seq, "final_patch", "the patch is empty")], _RECORDED)
    return None


RULES: Sequence[Rule] = (
    environment_ended,
    service_ended,
    grader_failed,
    sandbox_replaced,
    words_of_the_end,
    context_overflow,
    malformed_actions,
    exhausted_sandbox,
    tool_faults,
    limits,
    gave_up,
    patch_failed,
)
