"""Many episodes: what is done next, retries, budgets, interruption. Who does them is a crew's business."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..envs.task import Task
from .budget import RunLedger
from .config import RolloutConfig
from .crew import Crew, Order, Report, Underway
from .log import Header
from .plan import Plan
from .play import Job
from .policies.base import Policy
from .run_dir import EPISODES, Episode, episode_name, read_episode

__all__ = ["Runner"]

_TICK = 0.1
_PATIENCE = 3.0
_TEARDOWN_SECONDS = 30.0
_BACKOFF = 2.0

Observer = Callable[[Episode], None]


class Runner:
    """Has a crew do what a plan leaves to do. For one use."""

    def __init__(
        self,
        run: Path,
        run_id: str,
        config: RolloutConfig,
        policy: Policy,
        tasks: Sequence[Task],
        plan: Plan,
        crew: Crew,
        money: RunLedger,
    ) -> None:
        """`money` is what the crew's episodes are charged to."""
        self.config = config
        self.policy = policy
        self.money = money
        self.total, self.ended = len(plan.jobs) + len(plan.ungraded), 0
        self.kept = len(plan.kept)
        self.stopped: str | None = None
        """Why no further episodes are begun, if so."""
        self.on_episode: Observer = _ignore
        """Called in the watching thread for each episode that is over."""
        self.on_notice: Callable[[str], None] = logging.getLogger(__name__).warning
        """Called for what people should know, such as the loss of a node."""
        self._run_dir, self._run_id = run, run_id
        self._crew = crew
        by_id = {task.instance_id: task for task in tasks}
        grading = (_grading(by_id[episode.first.task_id], episode) for episode in plan.ungraded)
        self._waiting = deque((*plan.jobs, *grading))
        self._later: deque[tuple[float, Job]] = deque()
        self._open = self.total
        self._stopped_at = float("inf")
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do the episodes. KeyboardInterrupt passes after those going on were recorded as interrupted."""
        began = time.monotonic()
        try:
            self._check_budget(0.0)
            while self._open:
                self._hand_out()
                self._listen()
                self._check_budget(time.monotonic() - began)
        except BaseException:
            self.stop("interrupted")
            self._drain()
            raise
        finally:
            self._crew.close()
            self._pass_on()
        if self._error is not None:
            raise self._error

    def underway(self) -> list[Underway]:
        """The episodes that are going on."""
        return self._crew.underway()

    def stop(self, why: str) -> None:
        """Begin nothing more, and end what goes on after the step that is under way."""
        if self.stopped is None:
            self.stopped, self._stopped_at = why, time.monotonic()
        self._open -= len(self._waiting) + len(self._later)
        self._waiting.clear()
        self._later.clear()
        self._crew.stop(why)

    def _hand_out(self) -> None:
        """Give the crew as much as it takes: what is not given away can still be done elsewhere, or not at all."""
        moment = time.monotonic()
        while self._later and self._later[0][0] <= moment:
            self._waiting.append(self._later.popleft()[1])
        while self._waiting and not self.money.exhausted and self._crew.room() > 0:
            job = self._waiting.popleft()
            self._crew.begin(Order(job=job, header=self._header(job)))

    def _listen(self) -> None:
        report = self._crew.hear(_TICK)
        self._pass_on()
        if report is None:
            return
        if report.error is not None:
            self._error = self._error or report.error
            self.stop(str(report.error))
        if report.begun:
            self._settle(report)
        elif self.stopped is None:
            self._waiting.appendleft(report.order.job)
        else:
            self._open -= 1

    def _pass_on(self) -> None:
        for notice in self._crew.notices():
            self.on_notice(notice)

    def _check_budget(self, seconds: float) -> None:
        limit = self.config.budget.run_seconds
        if self.stopped is None and limit is not None and seconds > limit:
            self.stop(f"the run's {limit:g} seconds are over")
        if self.stopped is None and self.money.exhausted:
            self.stop(f"the run's budget of {self.config.budget.run_cost_usd} USD is spent")

    def _settle(self, report: Report) -> None:
        """Have an episode done again that failed through no fault of the agent, or count it."""
        job = report.order.job
        episode = read_episode(self._run_dir / EPISODES / _name(job))
        retry = job.only_grade is None and self.stopped is None and job.tries < self.config.retries
        if episode is not None and episode.to_retry and retry:
            avoid = job.avoid if report.place is None else (*job.avoid, report.place)
            again = replace(job, attempt=job.attempt + 1, tries=job.tries + 1, avoid=avoid)
            self._later.append((time.monotonic() + _BACKOFF**job.tries, again))
            return
        self._open -= 1
        self.ended += 1
        if episode is not None:
            self.on_episode(episode)

    def _drain(self) -> None:
        """Wait for what goes on to end; a command that takes too long is ended with its container."""
        deadline, hurried = time.monotonic() + _TEARDOWN_SECONDS, False
        while self._crew.busy and time.monotonic() < deadline:
            self._listen()
            if not hurried and time.monotonic() > self._stopped_at + _PATIENCE:
                hurried = True
                self._crew.hurry()

    def _header(self, job: Job) -> Header:
        return Header(
            run_id=self._run_id,
            episode_id=_name(job),
            task_id=job.task.instance_id,
            agent=self.policy.name,
            agent_version=self.policy.version,
            model=self.policy.model,
            repo=job.task.repo,
            commit=job.task.base_commit,
            seed=job.seed,
        )


def _ignore(episode: Episode) -> None:
    pass


def _name(job: Job) -> str:
    return episode_name(job.task.instance_id, job.seed, job.attempt)


def _grading(task: Task, episode: Episode) -> Job:
    """The job of grading an episode of an earlier sitting."""
    return Job(task=task, seed=episode.first.seed or 0, attempt=episode.attempt, only_grade=episode)
