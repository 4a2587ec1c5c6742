"""Grading SWE-bench Pro: its run script on the selected tests, its parser, its comparison.

The steps are those of the benchmark's own evaluation script. Two differ, and neither changes an honest result: the
patch goes through the same filter as everywhere else, and the parser runs in a container of its own, where no code
of the patch ever ran.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, cast

from ..errors import Failure, GraderError
from ..tools.base import CommandResult
from .applying import apply_patch, checked
from .infrastructure import TestInfrastructure
from .sandbox import Sandbox
from .task import ProSpec, Task
from .verdict import CanaryReport, Reason, Verdict

__all__ = ["grade_pro"]

_PASSED = "PASSED"
_NO_CANARIES = CanaryReport(state="unavailable", why="canaries are not planted into SWE-bench Pro's suites")
_NOT_STARTED = 97


@dataclass(frozen=True, slots=True, kw_only=True)
class _Output:
    result: CommandResult
    stdout: bytes
    stderr: bytes

    @property
    def log(self) -> str:
        return (self.stdout + b"\n--- standard error ---\n" + self.stderr).decode("utf-8", errors="replace")


def grade_pro(
    task: Task,
    patch: str,
    open_sandbox: Callable[[Task], AbstractContextManager[Sandbox]],
    *,
    timeout: float,
    log_limit: int,
) -> Verdict:
    """The verdict on a patch for a task of SWE-bench Pro."""
    spec = task.pro
    if spec is None:
        raise GraderError(f"task {task.instance_id} is not of SWE-bench Pro")
    with open_sandbox(task) as sandbox:
        image = sandbox.image_id
        checked(sandbox.run(f"git reset -q --hard {task.base_commit} && git checkout -q {task.base_commit}"))
        applied = apply_patch(sandbox, patch, TestInfrastructure.of(task))
        output = _tests(sandbox, spec, timeout, log_limit) if applied.command else None
    common: dict[str, Any] = {
        "instance_id": task.instance_id,
        "patch_applied": output is not None,
        "apply_command": applied.command,
        "set_aside": applied.set_aside,
        "image_id": image,
        "canaries": _NO_CANARIES,
    }
    if output is None:
        return Verdict(
            resolved=False,
            reason=Reason.PATCH_DOES_NOT_APPLY,
            failure=Failure.MODEL,
            detail="no attempt of the official chain could apply the patch",
            log=applied.output,
            **common,
        )
    statuses = _parse(task, spec, output, open_sandbox)
    return Verdict(**_judged(task, statuses, output), log=output.log, **common)


def _tests(sandbox: Sandbox, spec: ProSpec, timeout: float, log_limit: int) -> _Output:
    folder = f"/tmp/{secrets.token_hex(8)}"
    sandbox.write_file(f"{folder}/run_script.sh", (spec.run_script or "").encode())
    # The column holds the whole preparation; the benchmark runs its last line, which fetches the tests.
    before = (spec.before_repo_set_cmd.strip().splitlines() or [":"])[-1]
    checked(sandbox.run(before, timeout=timeout))
    selected = ",".join(spec.selected_test_files_to_run)
    script = f"bash {folder}/run_script.sh {_quoted(selected)} > {folder}/stdout.log 2> {folder}/stderr.log"
    result = checked(sandbox.run(script, timeout=timeout))
    logs = [_read(sandbox, f"{folder}/{name}", log_limit) for name in ("stdout.log", "stderr.log")]
    return _Output(result=result, stdout=logs[0], stderr=logs[1])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _read(sandbox: Sandbox, path: str, limit: int) -> bytes:
    try:
        return sandbox.read_file(path, limit=limit)
    except OSError:
        return b""


def _parse(
    task: Task, spec: ProSpec, output: _Output, open_sandbox: Callable[[Task], AbstractContextManager[Sandbox]]
) -> Mapping[str, str]:
    """Statuses by test name, read by the task's parser in a container where nothing else ran."""
    folder = f"/tmp/{secrets.token_hex(8)}"
    with open_sandbox(task) as sandbox:
        sandbox.write_file(f"{folder}/parser.py", (spec.parser or "").encode())
        sandbox.write_file(f"{folder}/stdout.log", output.stdout)
        sandbox.write_file(f"{folder}/stderr.log", output.stderr)
        command = (
            f"p=$(command -v python || command -v python3) || exit {_NOT_STARTED}; "
            f'"$p" {folder}/parser.py {folder}/stdout.log {folder}/stderr.log {folder}/output.json'
        )
        result = checked(sandbox.run(command, timeout=600))
        try:
            data: Any = json.loads(sandbox.read_file(f"{folder}/output.json"))
            tests = cast(list[Mapping[str, str]], data["tests"])
            return {test["name"]: test["status"] for test in tests}
        except (OSError, ValueError, KeyError, TypeError) as error:
            told = "the image has no Python" if result.exit_code == _NOT_STARTED else f"{error!r}: {result.text}"
            raise GraderError(f"the result parser of {task.instance_id} failed: {told[-500:]}") from None


def _judged(task: Task, statuses: Mapping[str, str], output: _Output) -> dict[str, Any]:
    groups = {"FAIL_TO_PASS": task.FAIL_TO_PASS, "PASS_TO_PASS": task.PASS_TO_PASS}
    passed = {name for name, status in statuses.items() if status == _PASSED}
    status = {
        kind: {
            "success": [test for test in tests if test in passed],
            "failure": [test for test in tests if test not in passed],
        }
        for kind, tests in groups.items()
    }
    failed = [test for kind in status.values() for test in kind["failure"]]
    found: dict[str, Any] = {"resolved": False, "tests_status": status}
    if output.result.timed_out:
        return found | {"reason": Reason.LIMIT_REACHED, "failure": Failure.GRADER, "detail": "out of time"}
    if not statuses:
        told = "the parser found no test in the log"
        return found | {"reason": Reason.NO_TEST_RESULTS, "failure": Failure.MODEL, "detail": told}
    if failed:
        told = f"{len(failed)} deciding tests failed or are missing, for example {failed[0]}"
        return found | {"reason": Reason.TESTS_FAILED, "failure": Failure.MODEL, "detail": told}
    return found | {"resolved": True, "reason": Reason.RESOLVED}
