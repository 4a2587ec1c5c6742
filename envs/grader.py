"""The trusted grader: a final patch, a fresh container, the task's own tests, and canaries.

Run 1 is the official harness's procedure, less what the patch may not change. Only when its log says resolved does
run 2 follow in another fresh container, with canaries planted into the files of the deciding tests after the task's
test patch was applied. A verdict is resolved when run 1 is and no canary contradicts it.
"""

import hashlib
import posixpath
import random
import secrets
import shlex
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..errors import EngineUnavailable, Failure, GraderError, ImageMissing, InfrastructureError
from ..tools.base import CommandResult
from .applying import Applied, apply_patch, checked
from .assets import assets_of
from .canaries import Planted, can_hold
from .container import DEFAULT_ENV
from .engine import Engine
from .infrastructure import TestInfrastructure
from .known_verdicts import KnownVerdicts
from .logs import END, START, Report, evaluation_script, read_log, swebench_version
from .sandbox import Sandbox, SandboxConfig
from .task import Task
from .trial import Seen, read_sources, try_report
from .verdict import CanaryReport, Reason, Verdict

__all__ = ["Grader", "GraderConfig"]

_SCRIPT = "/eval.sh"
_SOURCES_KEPT = 4096
_sources: dict[str, Mapping[str, str]] = {}
"""Unpatched test files of images, for every grader of this process: what an image holds never changes."""
_sources_lock = threading.Lock()
_known = KnownVerdicts()


class GraderConfig(BaseModel):
    """How patches are graded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout: float = Field(default=1800.0, gt=0)
    """Seconds the tests may take, as in the official harness."""
    canaries: bool = True
    """Run resolved patches a second time with canaries. Without, a forged report is believed."""
    retries: int = Field(default=2, ge=0)
    """How often a fault that is not the patch's is tried again."""
    reuse: bool = False
    """Give a patch the verdict that this process gave the same patch to the same task, where it was no matter of
    chance. Saves most of the grading where many episodes end alike; two runs of a flaky test become one."""
    memory_mb: int = Field(default=4096, ge=64)
    cpus: float = Field(default=2.0, gt=0)
    pids: int = Field(default=2048, ge=16)
    disk_mb: int = Field(default=8192, ge=1)
    log_limit: int = Field(default=64 << 20, ge=1 << 16)
    """Bytes of a log that are kept; a longer one is not judged but reported as a limit reached."""
    cap_add: tuple[str, ...] = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID")
    """Capabilities that test suites run as root count on; the official harness gives these and more."""
    seed: int | None = None
    """Makes names and places of canaries repeatable, for tests only: a patch must not be able to guess them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    applied: Applied
    result: CommandResult | None
    image_id: str

    @property
    def log(self) -> str:
        """The output as text; bytes that are not UTF-8 are replaced, as in the official harness."""
        return self.result.output.decode("utf-8", errors="replace") if self.result else self.applied.output

    @property
    def limit(self) -> str | None:
        """The limit the tests ran into, in words."""
        result = self.result
        if result is None:
            return None
        reached = {
            "time": result.timed_out,
            "memory": result.oom_killed,
            "processes": result.pids_limited,
            "disk": result.disk_limited,
            "output": result.truncated,
        }
        return next((name for name, hit in reached.items() if hit), None)


class Grader:
    """Grades patches; safe to share between threads."""

    def __init__(self, engine: Engine, config: GraderConfig | None = None) -> None:
        self._engine = engine
        self.config = config or GraderConfig()
        self._random = random.Random(self.config.seed) if self.config.seed is not None else secrets.SystemRandom()
        self._health: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()

    def grade(self, task: Task, patch: str | None) -> Verdict:
        """The verdict on a patch.

        Raises TaskIncomplete for a task that cannot be graded and EngineUnavailable when no engine answers; every
        other fault becomes a verdict that says whose it is.
        """
        task.require_gradable()
        if patch is None or not patch.strip():
            return _without_run(task, patch)
        if not self.config.reuse:
            return self._tried(task, patch)
        key = KnownVerdicts.key(task, self._engine.image_id(task.require_image()) or "", patch, self.config)
        if (known := _known.get(key)) is not None:
            return known
        verdict = self._tried(task, patch)
        _known.add(key, verdict)
        return verdict

    def _tried(self, task: Task, patch: str) -> Verdict:
        """The verdict after as many attempts as it takes."""
        started = time.monotonic()
        for attempt in range(1, self.config.retries + 2):
            last = attempt > self.config.retries
            try:
                verdict = self._grade(task, patch)
            except EngineUnavailable:
                raise
            except (InfrastructureError, GraderError) as error:
                if last or isinstance(error, ImageMissing):
                    verdict = _broken(task, error)
                    break
                continue
            if verdict.reason is not Reason.NOT_REPRODUCED or last:
                break
        known = {
            "attempts": attempt,  # pyright: ignore[reportPossiblyUnboundVariable]
            "duration_s": round(time.monotonic() - started, 3),
            "patch_sha256": hashlib.sha256(patch.encode("utf-8", "surrogatepass")).hexdigest(),
            "swebench_version": swebench_version(),
        }
        return verdict.model_copy(update=known)  # pyright: ignore[reportPossiblyUnboundVariable]

    def _grade(self, task: Task, patch: str) -> Verdict:
        if task.pro is not None:
            from .grader_pro import grade_pro

            config = self.config
            rng = self.rng() if config.canaries else None
            return grade_pro(task, patch, self.sandbox, rng=rng, timeout=config.timeout, log_limit=config.log_limit)
        run = self.run(task, patch)
        if run.result is None:
            return _verdict(
                task,
                run,
                Reason.PATCH_DOES_NOT_APPLY,
                Failure.MODEL,
                "no attempt of the official chain could apply the patch",
            )
        report = read_log(task, run.log, patch)
        # A run that was cut short is no result, whatever its output claims.
        if not report.resolved or run.limit in ("time", "output"):
            verdict = _unresolved(task, run, report)
            if verdict.reason is Reason.TESTS_FAILED:
                return self._doubted(task, verdict, report)
            return self._blamed(task, verdict)
        if not self.config.canaries:
            why = CanaryReport(state="unavailable", why="switched off")
            return _verdict(task, run, Reason.RESOLVED, None, "", report=report, canaries=why)
        return self._with_canaries(task, patch, run, report)

    def _with_canaries(self, task: Task, patch: str, run: _Run, report: Report) -> Verdict:
        trial = try_report(task, patch, _Suite(self, task), self.rng())
        reason = trial.reason or Reason.RESOLVED
        failure = Failure.GRADER if trial.reason else None
        more: dict[str, Any] = {"report": report, "canaries": trial.canaries, "canary_log": trial.log}
        return _verdict(task, run, reason, failure, trial.detail, **more)

    def _blamed(self, task: Task, verdict: Verdict) -> Verdict:
        """A verdict without results, blamed on who caused it.

        A patch can print any signature and hang any suite: where the reference patch gives results within the same
        limits, the patch is to blame. Where that gives none either, the patch is not.
        """
        if self._healthy(task):
            return verdict.model_copy(update={"failure": Failure.MODEL})
        if verdict.failure is not Failure.MODEL or not task.patch:
            return verdict
        detail = f"{verdict.detail}, nor with the reference patch"
        return verdict.model_copy(update={"failure": Failure.GRADER, "detail": detail})

    def _doubted(self, task: Task, verdict: Verdict, report: Report) -> Verdict:
        """The verdict, unless a deciding test is in no log, nor with the reference patch: the evaluation lacks it."""
        absent = report.absent
        if not absent or not task.patch or not (lacking := absent - self._reference_tests(task)):
            return verdict
        detail = f"no log has the deciding test {min(lacking)}, nor with the reference patch"
        return verdict.model_copy(
            update={"reason": Reason.NO_TEST_RESULTS, "failure": Failure.GRADER, "detail": detail}
        )

    def _healthy(self, task: Task) -> bool:
        """Whether the reference patch gives test results in this environment."""
        return bool(self._reference_tests(task))

    def _reference_tests(self, task: Task) -> frozenset[str]:
        """Names of the tests that the log shows with the reference patch, none without results; run once a task."""
        key = f"{task.instance_id} {task.image} {task.eval_script}"
        with self._lock:
            known = self._health.get(key)
        if known is None:
            known = self._shown_tests(task) if task.patch else frozenset[str]()
            with self._lock:
                self._health[key] = known
        return known

    def _shown_tests(self, task: Task) -> frozenset[str]:
        run = self.run(task, task.patch)
        report = read_log(task, run.log, task.patch)
        return frozenset(report.statuses) if report.found else frozenset()

    def rng(self) -> random.Random:
        """Chance for one trial: safe in a thread of its own, and not to be guessed."""
        with self._lock:
            return random.Random(self._random.getrandbits(64))

    def run(self, task: Task, patch: str, planted: Planted | None = None) -> _Run:
        """The task's tests on a patch in a fresh container."""
        script = evaluation_script(task)
        with self.sandbox(task) as sandbox:
            applied = apply_patch(sandbox, patch, TestInfrastructure.of(task))
            if applied.command is None:
                return _Run(applied=applied, result=None, image_id=sandbox.image_id)
            brought = assets_of(task)
            if planted is not None:
                brought |= {path: text.encode("utf-8") for path, text in planted.sources.items()}
            script = _staged(sandbox, script, brought)
            sandbox.write_file(_SCRIPT, script.encode())
            result = self._execute(sandbox)
            return _Run(applied=applied, result=result, image_id=sandbox.image_id)

    def _execute(self, sandbox: Sandbox) -> CommandResult:
        unset = " ".join(f"-u {name}" for name in DEFAULT_ENV if name not in sandbox.config.env)
        command = f"env {unset} /bin/bash {_SCRIPT}"
        limit = self.config.log_limit
        return checked(sandbox.run(command, timeout=self.config.timeout, output_limit=limit))

    def sandbox(self, task: Task) -> Sandbox:
        """A fresh container of a task's image."""
        image = task.require_image()
        found: Any = self._engine.api.inspect_image(self._engine.require_image(image))
        entries: list[str] = found["Config"]["Env"] or []
        own: dict[str, str] = dict([entry.split("=", 1) for entry in entries if "=" in entry])
        config = SandboxConfig(
            image=image,
            workdir=task.workdir,
            network=task.network,
            memory_mb=self.config.memory_mb,
            cpus=self.config.cpus,
            pids=self.config.pids,
            disk_mb=self.config.disk_mb,
            cap_add=self.config.cap_add,
            env={name: own[name] for name in DEFAULT_ENV if name in own},
            sanitize_history=False,
        )
        return Sandbox(self._engine, config)

    def test_files(self, task: Task) -> Mapping[str, str]:
        """The deciding files that can hold canaries, as they are when the tests start; read once a task, unpatched."""
        script = task.eval_script or ""
        image = self._engine.require_image(task.require_image())
        key = hashlib.sha256(f"{task.instance_id} {image} {script}".encode()).hexdigest()
        with _sources_lock:
            if key in _sources:
                return _sources[key]
        lines = script.splitlines(keepends=True)
        start = next((i for i, line in enumerate(lines) if START in line), None)
        found: dict[str, str] = {}
        paths = [path for path in sorted(TestInfrastructure.of(task).tests) if can_hold(path)]
        if start is not None and paths:
            with self.sandbox(task) as sandbox:
                sandbox.write_file(_SCRIPT, "".join(lines[:start]).encode())
                self._execute(sandbox)
                found = read_sources(sandbox, paths)
        with _sources_lock:
            _sources[key] = found
            if len(_sources) > _SOURCES_KEPT:
                del _sources[next(iter(_sources))]
        return found


@dataclass(frozen=True, slots=True)
class _Suite:
    """The tests of a task with an evaluation script."""

    grader: Grader
    task: Task

    def sources(self) -> Mapping[str, str]:
        return self.grader.test_files(self.task)

    def run(self, patch: str, planted: Planted) -> Seen:
        log = self.grader.run(self.task, patch, planted).log
        report = read_log(self.task, log, patch)
        return Seen(resolved=report.resolved, statuses=report.statuses, log=log)

    @property
    def command(self) -> str:
        return (self.task.eval_script or "").partition(START)[2].partition(END)[0]


def _staged(sandbox: Sandbox, script: str, files: Mapping[str, bytes]) -> str:
    """The script with files put in place right before the tests start."""
    if not files:
        return script
    folder = f"/tmp/{secrets.token_hex(8)}"
    commands: list[str] = []
    for number, (path, content) in enumerate(files.items()):
        sandbox.write_file(f"{folder}/{number}", content)
        target = shlex.quote(f"{sandbox.workdir}/{path}")
        commands.append(f"mkdir -p {shlex.quote(posixpath.dirname(f'{sandbox.workdir}/{path}'))} 2>/dev/null")
        commands.append(f"cat {folder}/{number} > {target} 2>/dev/null")
    lines = script.split("\n")
    start = next((i for i, line in enumerate(lines) if START in line), len(lines))
    return "\n".join([*lines[:start], *commands, f"rm -rf {folder}", *lines[start:]])


def _without_run(task: Task, patch: str | None) -> Verdict:
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


def _broken(task: Task, error: Exception) -> Verdict:
    return Verdict(
        instance_id=task.instance_id,
        resolved=False,
        reason=Reason.ENVIRONMENT_BROKEN,
        failure=getattr(error, "failure", None) or Failure.ENVIRONMENT,
        detail=str(error),
    )


def _unresolved(task: Task, run: _Run, report: Report) -> Verdict:
    """Tests failed, or there are no results: whose fault that is."""
    limit = run.limit
    if limit is not None:
        detail = f"the tests reached their limit of {limit}"
        return _verdict(task, run, Reason.LIMIT_REACHED, Failure.GRADER, detail, report=report)
    if report.found:
        failed = [name for kind in report.tests_status.values() for name in kind["failure"]]
        detail = f"{len(failed)} deciding tests failed or are missing, for example {failed[0]}"
        return _verdict(task, run, Reason.TESTS_FAILED, Failure.MODEL, detail, report=report)
    fault = report.environment_fault
    detail = f"no test results; the log shows {fault}" if fault else "no test results could be read from the log"
    failure = Failure.ENVIRONMENT if fault else Failure.MODEL
    return _verdict(task, run, Reason.NO_TEST_RESULTS, failure, detail, report=report)


def _verdict(
    task: Task,
    run: _Run,
    reason: Reason,
    failure: Failure | None,
    detail: str,
    *,
    report: Report | None = None,
    **more: Any,
) -> Verdict:
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
        log=run.log,
        **more,
    )
