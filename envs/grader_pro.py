"""Grading SWE-bench Pro: its run script on the selected tests, its parser, its comparison.

The steps are those of the benchmark's own evaluation script. Two differ, and neither changes an honest result: the
patch goes through the same filter as everywhere else, and the parser runs in a container of its own, where no code
of the patch ever ran.
"""

import json
import random
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, cast

from ..errors import Failure, GraderError
from ..tools.base import CommandResult
from .applying import Applied, apply_patch, checked
from .canaries import Planted, can_hold
from .infrastructure import TestInfrastructure
from .sandbox import Sandbox
from .task import ProSpec, Task
from .trial import Seen, read_sources, try_report
from .verdict import CanaryReport, Reason, Verdict

__all__ = ["grade_pro"]

_PASSED = "PASSED"
_NOT_STARTED = 97
OpenSandbox = Callable[[Task], AbstractContextManager[Sandbox]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Output:
    result: CommandResult
    stdout: bytes
    stderr: bytes

    @property
    def log(self) -> str:
        return (self.stdout + b"\n--- standard error ---\n" + self.stderr).decode("utf-8", errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    applied: Applied
    output: _Output | None
    """None when the patch does not apply."""
    image_id: str


def grade_pro(
    task: Task,
    patch: str,
    open_sandbox: OpenSandbox,
    *,
    rng: random.Random | None,
    timeout: float,
    log_limit: int,
) -> Verdict:
    """The verdict on a patch for a task of SWE-bench Pro; without `rng`, a report that says resolved is believed."""
    if task.pro is None:
        raise GraderError(f"task {task.instance_id} is not of SWE-bench Pro")
    suite = _Suite(task, task.pro, open_sandbox, timeout, log_limit)
    run = suite.tests(patch)
    common: dict[str, Any] = {
        "instance_id": task.instance_id,
        "patch_applied": run.output is not None,
        "apply_command": run.applied.command,
        "set_aside": run.applied.set_aside,
        "image_id": run.image_id,
    }
    if run.output is None:
        told = "no attempt of the official chain could apply the patch"
        reason = Reason.PATCH_DOES_NOT_APPLY
        failure = Failure.MODEL
        return Verdict(resolved=False, reason=reason, failure=failure, detail=told, log=run.applied.output, **common)
    judged = _judged(task, _parse(task, suite.spec, run.output, open_sandbox), run.output)
    trial = try_report(task, patch, suite, rng) if judged["resolved"] and rng is not None else None
    if trial is not None:
        common |= {"canaries": trial.canaries, "canary_log": trial.log}
        if trial.reason is not None:
            judged |= {"resolved": False, "reason": trial.reason, "failure": Failure.GRADER, "detail": trial.detail}
    elif judged["resolved"]:
        common["canaries"] = CanaryReport(state="unavailable", why="switched off")
    return Verdict(**judged, log=run.output.log, **common)


@dataclass(slots=True)
class _Suite:
    """The tests of a task of SWE-bench Pro."""

    task: Task
    spec: ProSpec
    open_sandbox: OpenSandbox
    timeout: float
    log_limit: int
    _sources: Mapping[str, str] | None = None

    @property
    def command(self) -> str:
        return "\n".join(self.spec.selected_test_files_to_run)

    def sources(self) -> Mapping[str, str]:
        if self._sources is None:
            paths = [path for path in sorted(TestInfrastructure.of(self.task).tests) if can_hold(path)]
            with self.open_sandbox(self.task) as sandbox:
                self._reset(sandbox)
                self._bring_tests(sandbox)
                self._sources = read_sources(sandbox, paths)
        return self._sources

    def run(self, patch: str, planted: Planted) -> Seen:
        run = self.tests(patch, planted)
        if run.output is None:
            return Seen(resolved=False, statuses={}, log=run.applied.output)
        statuses = _parse(self.task, self.spec, run.output, self.open_sandbox)
        judged = _judged(self.task, statuses, run.output)
        return Seen(resolved=judged["resolved"], statuses=statuses, log=run.output.log)

    def tests(self, patch: str, planted: Planted | None = None) -> _Run:
        with self.open_sandbox(self.task) as sandbox:
            self._reset(sandbox)
            applied = apply_patch(sandbox, patch, TestInfrastructure.of(self.task))
            output = self._tests(sandbox, planted) if applied.command else None
            return _Run(applied=applied, output=output, image_id=sandbox.image_id)

    def _reset(self, sandbox: Sandbox) -> None:
        commit = self.task.base_commit
        checked(sandbox.run(f"git reset -q --hard {commit} && git checkout -q {commit}"))

    def _bring_tests(self, sandbox: Sandbox) -> None:
        # The column holds the whole preparation; the benchmark runs its last line, which fetches the tests.
        before = (self.spec.before_repo_set_cmd.strip().splitlines() or [":"])[-1]
        checked(sandbox.run(before, timeout=self.timeout))

    def _tests(self, sandbox: Sandbox, planted: Planted | None) -> _Output:
        folder = f"/tmp/{secrets.token_hex(8)}"
        sandbox.write_file(f"{folder}/run_script.sh", (self.spec.run_script or "").encode())
        self._bring_tests(sandbox)
        if planted is not None:
            for path, text in planted.sources.items():
                sandbox.write_file(path, text.encode("utf-8"))
        selected = ",".join(self.spec.selected_test_files_to_run)
        script = f"bash {folder}/run_script.sh {_quoted(selected)} > {folder}/stdout.log 2> {folder}/stderr.log"
        result = checked(sandbox.run(script, timeout=self.timeout))
        logs = [_read(sandbox, f"{folder}/{name}", self.log_limit) for name in ("stdout.log", "stderr.log")]
        return _Output(result=result, stdout=logs[0], stderr=logs[1])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _read(sandbox: Sandbox, path: str, limit: int) -> bytes:
    try:
        return sandbox.read_file(path, limit=limit)
    except OSError:
        return b""


def _parse(task: Task, spec: ProSpec, output: _Output, open_sandbox: OpenSandbox) -> Mapping[str, str]:
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
