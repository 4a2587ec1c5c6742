"""Is an episode what was recorded, and its verdict what the grader said of its own patch?"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

from pydantic import ValidationError

from ...envs.verdict import Reason
from ...envs.verdict import Verdict as Judgement
from ...errors import Failure
from ...rollouts.events import VerdictEvent
from ...rollouts.payloads import Verdict
from ...rollouts.run_model import RunManifest
from ..checks import log_checks, patch_checks
from ..checks.finding import Severity
from ..checks.record import Record

__all__ = ["episode_problems", "verdict_problems"]

_OURS = (Failure.GRADER, Failure.ENVIRONMENT)
_DECIDING = ("FAIL_TO_PASS", "PASS_TO_PASS")


def episode_problems(record: Record, manifest: RunManifest) -> Iterator[str]:
    """What contradicts itself in an episode: chain, numbering, identity, calls, end, patch, verdict."""
    checks = (
        log_checks.schema,
        log_checks.chain,
        log_checks.sequence,
        partial(log_checks.identity, manifest=manifest),
        log_checks.answers,
        log_checks.completeness,
        patch_checks.patch,
        patch_checks.verdict,
    )
    for check in checks:
        for finding in check(record):
            if finding.severity is Severity.ERROR:
                yield f"{finding.where}: {finding.message}"
    for problem in verdict_problems(record):
        yield f"{record.name}: {problem}"


def verdict_problems(record: Record) -> Iterator[str]:
    """What shows that a verdict is not the trusted grader's about this episode's patch."""
    verdicts = [event.payload for event in record.events if isinstance(event, VerdictEvent)]
    if not verdicts or record.trajectory is None:
        return
    patch = record.trajectory.patch
    for verdict in verdicts:
        yield from _consistent(verdict, record.trajectory.header.task_id, None if patch is None else patch.sha256)
    said = {verdict.resolved for verdict in verdicts if verdict.resolved is not None}
    if len(said) > 1:
        yield "holds verdicts that contradict each other about one patch; grade its patch again (`trajhub eval`)"


def _consistent(verdict: Verdict, task: str, patch: str | None) -> Iterator[str]:
    try:
        report = Judgement.model_validate(verdict.report)
    except ValidationError:
        yield "its verdict holds no report of the trusted grader"
        return
    ours = report.failure in _OURS and report.reason is not Reason.FORGED
    if verdict.resolved is not (None if ours else report.resolved):
        yield f"its verdict says resolved: {verdict.resolved}; the grader's report says {report.reason}"
    if report.instance_id != task:
        yield f"its verdict is about task {report.instance_id}"
    if verdict.patch_sha256 != report.patch_sha256:
        yield "its verdict and the grader's report name different patches"
    if report.resolved:
        if patch is None or report.patch_sha256 != patch:
            yield f"its verdict is about patch {str(report.patch_sha256)[:12]}; the final patch is {str(patch)[:12]}"
        yield from _earned(report)


def _earned(report: Judgement) -> Iterator[str]:
    """A resolved verdict follows from its own tests and canaries."""
    if report.reason is not Reason.RESOLVED or report.patch_applied is not True:
        yield f"its verdict says resolved for the reason {report.reason!s}, patch applied: {report.patch_applied}"
    failed = [name for kind in _DECIDING for name in _tests(report.tests_status, kind, "failure")]
    if failed:
        yield f"its verdict says resolved although {failed[0]} failed"
    if not any(_tests(report.tests_status, kind, "success") for kind in _DECIDING):
        yield "its verdict says resolved without a test that passed"
    belied = [canary.name for canary in report.canaries.results if not canary.ok and not canary.discounted]
    if belied:
        yield f"its verdict says resolved although the canary {belied[0]} shows that the report was forged"


def _tests(status: Mapping[str, Any], kind: str, outcome: str) -> Sequence[str]:
    found = status.get(kind)
    return cast("Mapping[str, Sequence[str]]", found).get(outcome, ()) if isinstance(found, Mapping) else ()
