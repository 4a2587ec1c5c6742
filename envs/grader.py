"""The trusted grader: a final patch, a fresh container, the task's own tests, and canaries.

Run 1 is the official harness's procedure, less what the patch may not change. Only when its log says resolved does
run 2 follow in another fresh container, with canaries planted into the files of the deciding tests after the task's
test patch was applied. A verdict is resolved when run 1 is and no canary contradicts it.
"""

import hashlib
import random
import secrets
import threading
import time

from ..errors import EngineUnavailable, Failure, GraderError, ImageMissing, InfrastructureError
from .engine import Engine
from .eval_run import EvalRun, EvalRunner, ScriptSuite
from .grader_config import GraderConfig
from .known_verdicts import KnownVerdicts
from .logs import Report, read_log, swebench_version
from .run_verdicts import verdict_of_failure, verdict_of_fault, verdict_of_run, verdict_without_run
from .sandbox import Sandbox
from .task import Task
from .trial import try_report
from .verdict import CanaryReport, Reason, Verdict

__all__ = ["Grader", "GraderConfig"]

_known = KnownVerdicts()


class Grader:
    """Grades patches; safe to share between threads."""

    def __init__(self, engine: Engine, config: GraderConfig | None = None) -> None:
        self._engine = engine
        self.config = config or GraderConfig()
        self._runner = EvalRunner(engine, self.config)
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
            return verdict_without_run(task, patch)
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
                    verdict = verdict_of_fault(task, error)
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
            rng = self._rng() if config.canaries else None
            return grade_pro(task, patch, self.sandbox, rng=rng, timeout=config.timeout, log_limit=config.log_limit)
        run = self._runner.run(task, patch)
        if run.result is None:
            return verdict_of_run(
                task,
                run,
                Reason.PATCH_DOES_NOT_APPLY,
                Failure.MODEL,
                "no attempt of the official chain could apply the patch",
            )
        report = read_log(task, run.log, patch)
        # A run that was cut short is no result, whatever its output claims.
        if not report.resolved or run.limit in ("time", "output"):
            verdict = verdict_of_failure(task, run, report)
            if verdict.reason is Reason.TESTS_FAILED:
                return self._doubted(task, verdict, report)
            return self._blamed(task, verdict)
        if not self.config.canaries:
            why = CanaryReport(state="unavailable", why="switched off")
            return verdict_of_run(task, run, Reason.RESOLVED, report=report, canaries=why)
        return self._with_canaries(task, patch, run, report)

    def _with_canaries(self, task: Task, patch: str, run: EvalRun, report: Report) -> Verdict:
        trial = try_report(task, patch, ScriptSuite(self._runner, task), self._rng())
        return verdict_of_run(
            task,
            run,
            trial.reason or Reason.RESOLVED,
            Failure.GRADER if trial.reason else None,
            trial.detail,
            report=report,
            canaries=trial.canaries,
            canary_log=trial.log,
        )

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
        run = self._runner.run(task, task.patch)
        report = read_log(task, run.log, task.patch)
        return frozenset(report.statuses) if report.found else frozenset()

    def _rng(self) -> random.Random:
        """Chance for one trial: safe in a thread of its own, and not to be guessed."""
        with self._lock:
            return random.Random(self._random.getrandbits(64))

    def sandbox(self, task: Task) -> Sandbox:
        """A fresh container of a task's image, as tests are run in."""
        return self._runner.sandbox(task)
