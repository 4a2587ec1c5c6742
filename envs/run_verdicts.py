"""Verdicts as they follow from what happened: no patch, a fault, a run of the tests and its report."""

import hashlib

from ..errors import Failure
from .eval_run import EvalRun
from .logs import Report, swebench_version
from .task import Task
from .verdict import CanaryReport, Reason, Verdict

__all__ = ["verdict_of_failure", "verdict_of_fault", "verdict_of_run", "verdict_without_run"]

_NO_CANARIES = CanaryReport()


def verdict_without_run(task: Task, patch: str | None) -> Verdict:
    """There is nothing to run."""
    reason = Reason.NO_PATCH if patch is None else Reason.EMPTY_PATCH
    detail = "there is no patch" if patch is None else "the patch is empty"
    return Verdict(
        instance_id=task.instance_id,
        resolved=False,
        reason=reason,
        failure=Failure.MODEL,
        detail=detail,
        patch_sha256=None if not patch else hashlib.sha256(patch.encode()).hexdigest(),
        swebench_version=swebench_version(),
    )


def verdict_of_fault(task: Task, error: Exception) -> Verdict:
    """An image, a container or the daemon failed."""
    return Verdict(
        instance_id=task.instance_id,
        resolved=False,
        reason=Reason.ENVIRONMENT_BROKEN,
        failure=getattr(error, "failure", None) or Failure.ENVIRONMENT,
        detail=str(error),
    )


def verdict_of_failure(task: Task, run: EvalRun, report: Report) -> Verdict:
    """Tests failed, or there are no results: whose fault that is."""
    if run.limit is not None:
        detail = f"the tests reached their limit of {run.limit}"
        return verdict_of_run(task, run, Reason.LIMIT_REACHED, Failure.GRADER, detail, report=report)
    if report.found:
        failed = [name for kind in report.tests_status.values() for name in kind["failure"]]
        detail = f"{len(failed)} deciding tests failed or are missing, for example {failed[0]}"
        return verdict_of_run(task, run, Reason.TESTS_FAILED, Failure.MODEL, detail, report=report)
    fault = report.environment_fault
    detail = f"no test results; the log shows {fault}" if fault else "no test results could be read from the log"
    failure = Failure.ENVIRONMENT if fault else Failure.MODEL
    return verdict_of_run(task, run, Reason.NO_TEST_RESULTS, failure, detail, report=report)


def verdict_of_run(
    task: Task,
    run: EvalRun,
    reason: Reason,
    failure: Failure | None = None,
    detail: str = "",
    *,
    report: Report | None = None,
    canaries: CanaryReport = _NO_CANARIES,
    canary_log: str = "",
) -> Verdict:
    """The tests were run, or the patch did not apply; `canaries` say what a second run found."""
    return Verdict(
        instance_id=task.instance_id,
        resolved=reason is Reason.RESOLVED,
        reason=reason,
        failure=failure,
        detail=detail,
        patch_applied=run.applied.command is not None,
        apply_command=run.applied.command,
        set_aside=run.applied.set_aside,
        tests_status=dict(report.tests_status) if report else {},
        image_id=run.image_id,
        canaries=canaries,
        log=run.log,
        canary_log=canary_log,
    )
