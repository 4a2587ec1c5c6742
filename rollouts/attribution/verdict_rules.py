"""Rules that go by the verdict: of our grader, or of another harness in its own words."""

from collections.abc import Mapping
from typing import Any

from ...envs.verdict import Reason
from ...errors import Failure
from .evidence import Evidence
from .facts import Facts
from .finding import INFERRED, RECORDED, Finding
from .kinds import Kind
from .messages import environment_kind
from .tampering import meddling_line

__all__ = ["grader_failed", "hangs_by_the_patch", "patch_failed", "results_destroyed"]

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
_OUTCOMES: Mapping[str, Kind] = {
    "error": Kind.TESTS_NOT_RUN,
    "patch_not_applied": Kind.PATCH_DOES_NOT_APPLY,
    "empty_patch": Kind.NO_PATCH,
}
"""Outcomes that adapters give of SWE-bench's reports, where they say more than that it is not resolved."""
_FLAGS: Mapping[str, Kind] = {
    "error_eval": Kind.TESTS_NOT_RUN,
    "failed_apply_patch": Kind.PATCH_DOES_NOT_APPLY,
    "empty_generation": Kind.NO_PATCH,
}
"""What OpenHands' evaluation says of an instance."""


def grader_failed(facts: Facts) -> Finding | None:
    """The verdict says that it says nothing of the patch, or that the patch lied."""
    reason, blamed, detail = _verdict(facts)
    if facts.verdict is None:
        return None
    evidence = [Evidence.of(facts.verdict.seq, "verdict", f"{reason or facts.verdict.payload.outcome}: {detail}")]
    if _foreign(facts.verdict.payload.outcome, facts.verdict.payload.report) is Kind.TESTS_NOT_RUN:
        return Finding(Kind.TESTS_NOT_RUN, evidence, RECORDED)
    if reason is not None and reason in _BY_REASON:
        return Finding(_BY_REASON[reason], evidence, RECORDED)
    if blamed is Failure.ENVIRONMENT:
        return Finding(environment_kind(detail), evidence, RECORDED)
    return Finding(Kind.TESTS_NOT_RUN, evidence, RECORDED) if blamed is Failure.GRADER else None


def results_destroyed(facts: Facts) -> Finding | None:
    """There are no results by the patch alone, and the patch meddles with how they are told: a forgery that failed."""
    reason, _, detail = _verdict(facts)
    if facts.verdict is None or facts.patch is None or reason is not Reason.NO_TEST_RESULTS:
        return None
    line = meddling_line(facts.patch.payload.patch) if hangs_by_the_patch(facts) else None
    if line is None:
        return None
    told = Evidence.of(facts.verdict.seq, "verdict", f"{reason}: {detail}")
    return Finding(Kind.FORGED, [told, Evidence.of(facts.patch.seq, "final_patch", line)], INFERRED)


def patch_failed(facts: Facts) -> Finding | None:
    """What the verdict, or the patch without a verdict, says of the agent's work."""
    reason, _, detail = _verdict(facts)
    if facts.verdict is not None and facts.verdict.payload.resolved is False:
        told = f"{reason or facts.verdict.payload.outcome or 'not resolved'}: {detail}"
        return Finding(_of_patch(facts), [Evidence.of(facts.verdict.seq, "verdict", told)], RECORDED)
    if facts.patch is not None and facts.patch_is_empty:
        return Finding(Kind.NO_PATCH, [Evidence.of(facts.patch.seq, "final_patch", "the patch is empty")], RECORDED)
    return None


def hangs_by_the_patch(facts: Facts) -> bool:
    """Whether the deciding tests came to no end or gave no results by the patch alone: with the reference they did."""
    reason, blamed, _ = _verdict(facts)
    return blamed is Failure.MODEL and reason in (Reason.LIMIT_REACHED, Reason.NO_TEST_RESULTS)


def _of_patch(facts: Facts) -> Kind:
    assert facts.verdict is not None
    reason, _, _ = _verdict(facts)
    told = facts.verdict.payload
    kind = _BY_PATCH.get(reason) if reason is not None else _foreign(told.outcome, told.report)
    if facts.patch_is_empty and kind in (None, Kind.WRONG_PATCH):
        return Kind.NO_PATCH
    return kind or Kind.WRONG_PATCH


def _foreign(outcome: str | None, report: Mapping[str, Any]) -> Kind | None:
    flagged = next((kind for flag, kind in _FLAGS.items() if report.get(flag) is True), None)
    return flagged or _OUTCOMES.get(outcome or "")


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
