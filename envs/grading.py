"""Grading many patches: verdicts on disk, one folder an instance, and a report that says what was counted."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import Failure, TaskIncomplete, UsageError
from .engine import LABEL, Engine
from .grader import Grader
from .task import Task
from .verdict import Reason, Verdict

__all__ = ["VERDICT_FILE", "abandon", "grade_all", "report", "write_report", "write_verdict"]

VERDICT_FILE = "verdict.json"
_LOGS = {"log": "test_output.txt", "canary_log": "canary_output.txt"}


def write_verdict(verdict: Verdict, folder: Path) -> Path:
    """Write a verdict and its logs below a folder; the verdict last, so that one that is there is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for field, name in _LOGS.items():
        if text := getattr(verdict, field):
            (folder / name).write_text(text, encoding="utf-8", errors="replace")
    path = folder / VERDICT_FILE
    part = path.with_suffix(".part")
    part.write_text(verdict.model_dump_json(indent=2, exclude=set(_LOGS)) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def grade_all(
    grader: Grader,
    tasks: Sequence[Task],
    patches: Mapping[str, str | None],
    folder: Path,
    *,
    workers: int = 1,
    done: Callable[[Verdict], None] = lambda verdict: None,
) -> list[Verdict]:
    """Grade every task that has a patch. Verdicts in `folder` are kept when they are of the same patch.

    Raises UsageError for a patch whose task is not among `tasks`.
    """
    unknown = sorted(set(patches) - {task.instance_id for task in tasks})
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise UsageError(f"no such task: {', '.join(unknown[:5])}{more}")

    def one(task: Task) -> Verdict:
        patch = patches[task.instance_id]
        home = folder / task.instance_id
        verdict = _kept(home, patch) or _graded(grader, task, patch, home)
        done(verdict)
        return verdict

    with ThreadPoolExecutor(workers) as pool:
        try:
            return list(pool.map(one, [task for task in tasks if task.instance_id in patches]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _graded(grader: Grader, task: Task, patch: str | None, home: Path) -> Verdict:
    try:
        verdict = grader.grade(task, patch)
    except TaskIncomplete as error:
        verdict = Verdict(
            instance_id=task.instance_id,
            resolved=False,
            reason=Reason.TASK_INCOMPLETE,
            failure=Failure.GRADER,
            detail=str(error),
        )
    write_verdict(verdict, home)
    return verdict


def _kept(home: Path, patch: str | None) -> Verdict | None:
    """The verdict that is already there, when it is final and of the same patch."""
    try:
        verdict = Verdict.model_validate_json((home / VERDICT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
    digest = None if not patch else sha256(patch.encode("utf-8", "surrogatepass")).hexdigest()
    final = verdict.reason not in (Reason.ENVIRONMENT_BROKEN, Reason.TASK_INCOMPLETE)
    return verdict if final and verdict.patch_sha256 == digest else None


def abandon(engine: Engine) -> None:
    """Remove every container of this process, whatever runs in it."""
    for box in engine.containers():
        if box["Labels"].get(LABEL) == str(engine.owner):
            engine.remove(box["Id"])


def report(verdicts: Sequence[Verdict], tasks: Sequence[Task]) -> dict[str, Any]:
    """What came out: ids by reason, and the rate over the patches that could be judged."""
    graded = {verdict.instance_id for verdict in verdicts}
    by_reason = {
        str(reason): sorted(v.instance_id for v in verdicts if v.reason is reason)
        for reason in Reason
        if any(v.reason is reason for v in verdicts)
    }
    unjudged = [v for v in verdicts if not v.resolved and v.failure in (Failure.ENVIRONMENT, Failure.GRADER)]
    # A forged report is the grader's failure to run the tests, and the patch's doing: it stays in the denominator.
    apart = sorted(v.instance_id for v in unjudged if v.reason is not Reason.FORGED)
    resolved = sum(v.resolved for v in verdicts)
    counted = len(verdicts) - len(apart)
    return {
        "tasks": len(tasks),
        "predictions": len(verdicts),
        "resolved": resolved,
        "counted": counted,
        "resolve_rate": round(resolved / counted, 4) if counted else None,
        "not_counted_ids": apart,
        "without_prediction_ids": sorted(task.instance_id for task in tasks if task.instance_id not in graded),
        "resolved_ids": sorted(v.instance_id for v in verdicts if v.resolved),
        "ids_by_reason": by_reason,
        "set_aside": {v.instance_id: [part.path for part in v.set_aside] for v in verdicts if v.set_aside},
    }


def write_report(content: Mapping[str, Any], folder: Path) -> Path:
    """Write the report into the folder of the verdicts."""
    path = folder / "report.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    part.replace(path)
    return path
