"""Many episodes: bounded concurrency, retries, budgets, stragglers, interruption.

Each worker is a thread with an environment of its own; all share the engine and a pool of warm sandboxes. The
thread that calls `Runner.run` only watches. It takes an episode away from a worker whose policy does not come back
in time, and replaces the worker, so nothing waits for a straggler; what an environment does is bounded by the
environment itself.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium

from ..envs.engine import Engine
from ..envs.grader import Grader
from ..envs.pool import SandboxPool
from ..envs.registration import make_env
from ..envs.task import Task
from ..errors import Failure, InfrastructureError, StopReason
from .budget import Ledger, RunLedger
from .config import RolloutConfig
from .episode_log import EpisodeLog
from .log import Header
from .payloads import EpisodeEnd
from .plan import Plan
from .play import Job, Turn
from .policies.base import Policy
from .run_dir import EPISODES, Episode, episode_name, read_episode
from .scoring import make_rubric, with_rubric
from .verdicts import append_verdict
from .worker import Worker

__all__ = ["Runner"]

_TICK = 0.1
_GRACE = 1.0
_PATIENCE = 3.0
_ABANDON_SECONDS = 120.0
_TEARDOWN_SECONDS = 30.0
_BACKOFF = 2.0

Observer = Callable[[Episode], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    worker: Worker
    job: Job
    error: BaseException | None = None
    replaced: bool = False


class Runner:
    """Does what a plan leaves to do. For one use."""

    def __init__(
        self,
        run: Path,
        run_id: str,
        config: RolloutConfig,
        policy: Policy,
        tasks: Sequence[Task],
        engine: Engine,
        plan: Plan,
    ) -> None:
        self.config = config
        self.policy = policy
        self.time_limit = config.env.time_limit
        self.money = RunLedger(config.budget, plan.spent_usd)
        self.total, self.ended = len(plan.jobs) + len(plan.ungraded), 0
        self.stopped: str | None = None
        """Why no further episodes are begun, if so."""
        self._run_dir, self._run_id = run, run_id
        self._tasks = {task.instance_id: task for task in tasks}
        self._engine = engine
        self._plan = plan
        self._price = config.prices.price(policy.model)
        self._grader = Grader(engine, config.grader) if config.grade else None
        self._rubric = make_rubric(run, config)
        self.kept = len(plan.kept)
        self.on_episode: Observer = _ignore
        """Called in the watching thread for each episode that is over."""
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._reports: queue.SimpleQueue[_Report] = queue.SimpleQueue()
        self._later: deque[tuple[float, Job]] = deque()
        self._open = self.total
        self._workers: set[Worker] = set()
        self._pool = SandboxPool(engine, config.warm, workers=max(2, min(config.workers, 4)))
        self._upcoming = deque(plan.jobs)
        self._stopped_at = float("inf")
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do the episodes. KeyboardInterrupt passes after those going on were recorded as interrupted."""
        began = time.monotonic()
        for job in (*self._plan.jobs, *map(self._grading, self._plan.ungraded)):
            self._jobs.put(job)
        try:
            self._check_budget(0.0)
            self._prefetch(self.config.workers + self.config.warm)
            for _ in range(min(self.config.workers, self._open)):
                self._hire()
            while self._open:
                self._tick(began)
        except BaseException:
            self.stop("interrupted")
            self._drain()
            raise
        finally:
            self._close()
        if self._error is not None:
            raise self._error

    def turns(self) -> list[Turn]:
        """The episodes that are going on."""
        return [turn for worker in list(self._workers) if (turn := worker.turn) is not None]

    def stop(self, why: str) -> None:
        """Begin nothing more, and end what goes on after the step that is under way."""
        if self.stopped is None:
            self.stopped, self._stopped_at = why, time.monotonic()
        self._open -= len(self._later)
        self._later.clear()
        with suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
                self._open -= 1
        for turn in self.turns():
            turn.stop = (StopReason.INTERRUPTED, why)
            if turn.session is not None:
                turn.session.cancel()

    # What workers call -------------------------------------------------------------------------------------------

    def next_job(self) -> Job | None:
        """The next episode to do; None when there is none left, or none may be begun."""
        job = self._jobs.get()
        if job is None or job.only_grade is not None or not self.money.exhausted:
            return job
        self._jobs.put(job)  # the watching thread is about to count it out
        return None

    def make_env(self) -> gymnasium.Env[Any, Any]:
        """An environment for one worker."""
        return make_env(
            wrappers=with_rubric(self.config.wrappers, self._rubric),
            record=str(self._run_dir),
            tasks=list(self._tasks.values()),
            config=self.config.env.model_copy(update={"warm": 0}),
            engine=self._engine,
            pool=self._pool,
        )

    def header(self, job: Job) -> Header:
        """What all events of an episode have in common."""
        return Header(
            run_id=self._run_id,
            episode_id=episode_name(job.task.instance_id, job.seed, job.attempt),
            task_id=job.task.instance_id,
            agent=self.policy.name,
            agent_version=self.policy.version,
            model=self.policy.model,
            repo=job.task.repo,
            commit=job.task.base_commit,
            seed=job.seed,
        )

    def ledger(self) -> Ledger:
        """Accounts for one episode."""
        return Ledger(self.money, self._price)

    def grade(self, job: Job, log: EpisodeLog | None) -> None:
        """Judge the final patch of an episode that the agent itself brought to its end."""
        if job.only_grade is not None:
            patch = job.only_grade.patch
            self._judge(job.task, job.only_grade.folder, patch.patch if patch is not None else None)
        elif log is not None and _is_the_agents(log.outcome):
            self._judge(job.task, log.folder, log.final_patch)

    def report(self, worker: Worker, job: Job, error: BaseException | None) -> None:
        """An episode is over; an error ends the run."""
        self._reports.put(_Report(worker=worker, job=job, error=error))

    # What the watching thread does -------------------------------------------------------------------------------

    def _tick(self, began: float) -> None:
        with suppress(queue.Empty):
            self._hear(self._reports.get(timeout=_TICK))
        moment = time.monotonic()
        while self._later and self._later[0][0] <= moment:
            self._jobs.put(self._later.popleft()[1])
        for worker in list(self._workers):
            self._watch(worker, moment)
        self._check_budget(moment - began)

    def _check_budget(self, seconds: float) -> None:
        limit = self.config.budget.run_seconds
        if self.stopped is None and limit is not None and seconds > limit:
            self.stop(f"the run's {limit:g} seconds are over")
        if self.stopped is None and self.money.exhausted:
            self.stop(f"the run's budget of {self.config.budget.run_cost_usd} USD is spent")

    def _watch(self, worker: Worker, moment: float) -> None:
        turn = worker.turn
        if turn is None or turn.evicted:
            return
        if self.stopped is not None and turn.stop is None:
            turn.stop = (StopReason.INTERRUPTED, self.stopped)
        if turn.stop is not None and moment > self._stopped_at + _GRACE:
            self._evict(worker, turn, *turn.stop)
        elif moment > turn.deadline + _ABANDON_SECONDS:
            self._abandon(worker, turn)
        elif moment > turn.deadline + _GRACE:
            self._evict(worker, turn, StopReason.TIME_LIMIT, "the policy did not answer in time")

    def _evict(self, worker: Worker, turn: Turn, reason: StopReason, message: str) -> None:
        """Take an episode away from a worker whose policy hangs; not while the environment works."""
        if turn.session is not None:
            turn.session.cancel()
        if not turn.world.acquire(blocking=False):
            return
        turn.evicted = True

        def take_over() -> None:
            try:
                turn.recorder.stop(reason, None, message)
                worker.close_env()
            finally:
                turn.world.release()
                self._reports.put(_Report(worker=worker, job=turn.job, replaced=True))

        threading.Thread(target=take_over, daemon=True, name="trajhub-evict").start()

    def _abandon(self, worker: Worker, turn: Turn) -> None:
        """Go on without a worker whose environment hangs, which its own limits should have prevented."""
        turn.evicted = True
        message = "the environment did not answer long after its time limit"
        turn.recorder.end(StopReason.ENVIRONMENT_ERROR, Failure.ENVIRONMENT, message)
        self._reports.put(_Report(worker=worker, job=turn.job, replaced=True))

    def _hear(self, report: _Report) -> None:
        if report.replaced:
            self._workers.discard(report.worker)
            if self.stopped is None:
                self._hire()
        if report.error is not None:
            self._error = self._error or report.error
            self.stop(str(report.error))
        self._settle(report.job)
        self._prefetch(1)

    def _settle(self, job: Job) -> None:
        """Have an episode done again that failed through no fault of the agent, or count it."""
        name = episode_name(job.task.instance_id, job.seed, job.attempt)
        episode = read_episode(self._run_dir / EPISODES / name)
        retry = job.only_grade is None and self.stopped is None and job.tries < self.config.retries
        if episode is not None and episode.to_retry and retry:
            again = replace(job, attempt=job.attempt + 1, tries=job.tries + 1)
            self._later.append((time.monotonic() + _BACKOFF**job.tries, again))
            return
        self._open -= 1
        self.ended += 1
        if episode is not None:
            self.on_episode(episode)

    def _prefetch(self, count: int) -> None:
        for _ in range(min(count, len(self._upcoming))):
            task = self._upcoming.popleft().task
            if task.image and self.stopped is None:
                self._pool.prefetch(self.config.env.sandbox(task))

    def _hire(self) -> None:
        worker = Worker(self)
        self._workers.add(worker)
        worker.start()

    def _drain(self) -> None:
        """Wait for what goes on to end; a command that takes too long is ended with its container."""
        deadline, hurried = time.monotonic() + _TEARDOWN_SECONDS, False
        while self.turns() and time.monotonic() < deadline:
            self._tick(time.monotonic())
            if not hurried and time.monotonic() > self._stopped_at + _PATIENCE:
                hurried = True
                self._remove_containers()

    def _close(self) -> None:
        for _ in self._workers:
            self._jobs.put(None)
        # What still works after an interruption works in vain: its containers are about to go.
        deadline = time.monotonic() + (_TEARDOWN_SECONDS if self.stopped is None else _PATIENCE)
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        self._pool.close()
        self._remove_containers()
        if self._rubric is not None:
            self._rubric.close()

    def _remove_containers(self) -> None:
        """Remove every container that this process started for this run."""
        with suppress(InfrastructureError):
            ours = self._engine.labels().items()
            for container in self._engine.containers():
                if ours <= container["Labels"].items():
                    self._engine.remove(str(container["Id"]))

    def _grading(self, episode: Episode) -> Job:
        """The job of grading an episode of an earlier sitting."""
        return Job(
            task=self._tasks[episode.first.task_id],
            seed=episode.first.seed or 0,
            attempt=episode.attempt,
            only_grade=episode,
        )

    def _judge(self, task: Task, folder: Path, patch: str | None) -> None:
        if self._grader is None:
            return
        began = time.monotonic()
        verdict = self._grader.grade(task, patch)
        append_verdict(folder, verdict, duration_ms=(time.monotonic() - began) * 1000)


def _ignore(episode: Episode) -> None:
    pass


def _is_the_agents(end: EpisodeEnd | None) -> bool:
    """Whether an episode ended in a way that says something about the agent."""
    ours = (Failure.ENVIRONMENT, Failure.SERVICE, Failure.GRADER)
    return end is not None and end.stop_reason is not StopReason.INTERRUPTED and end.failure not in ours
