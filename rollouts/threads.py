"""A crew of threads in this process.

Each worker is a thread with an environment of its own; all share an engine and a pool of warm sandboxes. Whoever calls
`hear` also watches: an episode is taken away from a worker whose policy does not come back in time, and the worker is
replaced, so nothing waits for a straggler; what an environment does is bounded by the environment itself.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium

from ..envs.engine import Engine
from ..envs.grader import Grader
from ..envs.pool import SandboxPool
from ..envs.registration import make_env
from ..envs.task import Task
from ..envs.verdict import Reason
from ..errors import Failure, InfrastructureError, StopReason
from ..rewards.rubric import Rubric
from ..tools.registry import ToolRegistry
from .autonomous import Autonomous
from .budget import Ledger, RunLedger
from .config import RolloutConfig
from .crew import Order, Report, Underway
from .energy import EnergySampler, sample_energy
from .episode_log import EpisodeLog
from .named_place import NamesPlace
from .payloads import EpisodeEnd
from .play import Turn
from .policies.base import Policy
from .record import RecordEvents
from .run_place import RunPlace
from .scoring import with_rubric
from .steering.pilot import Steering
from .verdicts import append_verdict
from .worker import Worker

__all__ = ["ThreadCrew"]

_GRACE = 1.0
_PATIENCE = 3.0
_ABANDON_SECONDS = 120.0
_TEARDOWN_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """Said by a worker, or by who took its episode away."""

    worker: Worker
    report: Report
    replaced: bool = False


class ThreadCrew:
    """Threads, `config.workers` at most, on one engine."""

    def __init__(
        self,
        run: RunPlace,
        config: RolloutConfig,
        policy: Policy,
        tasks: Sequence[Task],
        engine: Engine,
        money: RunLedger,
        rubric: Rubric | None = None,
        *,
        place: str | None = None,
    ) -> None:
        """`rubric` scores the steps of all episodes, unless the configuration leaves that to each environment; `place`
        is named in what the environment is to blame for.
        """
        self.config = config
        self.policy = policy
        self.time_limit = config.env.time_limit
        self.steering = Steering.of(config.steering)
        self.stopped: str | None = None
        self._run = run
        self._tasks = [self._isolated(task) for task in tasks]
        self._volumes = policy.volumes if isinstance(policy, Autonomous) else None
        self._engine = engine
        self._money = money
        self._price = config.prices.price(policy.model)
        self._grader = Grader(engine, config.grader) if config.grade else None
        self._rubric = rubric
        self._place = place
        self._pool = SandboxPool(engine, config.warm, workers=max(2, min(config.workers, 4)))
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[_Done | Report] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._given = 0
        self._workers: set[Worker] = set()
        self._stopped_at = float("inf")
        self._energy: EnergySampler | None = sample_energy(config, self._writers)

    # What a runner calls -----------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether an episode is going on."""
        return bool(self._turns())

    def room(self) -> int:
        """How many more jobs it takes: one a worker, and those for which sandboxes are kept warm."""
        return self.config.workers + self.config.warm - self._given

    def begin(self, order: Order) -> None:
        """Have a job done as soon as a worker is free; meanwhile a sandbox for it is started."""
        job = order.job
        with self._lock:
            if self._given >= len(self._workers):  # nobody is free
                if len(self._workers) < self.config.workers:
                    self._hire()
                elif job.task.image and job.only_grade is None:
                    self._pool.prefetch(self.config.env.sandbox(self._isolated(job.task), self._volumes))
            self._given += 1
        self._orders.put(order)

    def hear(self, timeout: float) -> Report | None:
        """The next report, if one comes within so many seconds. Stragglers are ended meanwhile."""
        try:
            done = self._done.get(timeout=timeout)
        except queue.Empty:
            done = None
        moment = time.monotonic()
        with self._lock:
            for worker in list(self._workers):
                self._watch(worker, moment)
            if done is None:
                return None
            self._given -= 1
            if isinstance(done, Report):
                return done
            if done.replaced:
                self._workers.discard(done.worker)
                if self.stopped is None:
                    self._hire()
        return done.report

    def underway(self) -> list[Underway]:
        """The episodes that are going on."""
        now = time.monotonic()
        return [
            Underway(
                task_id=turn.job.task.instance_id,
                seed=turn.job.seed,
                steps=turn.steps,
                doing=turn.doing,
                seconds=now - turn.started,
            )
            for turn in self._turns()
        ]

    def notices(self) -> list[str]:
        """Nothing happens here that an episode's record does not tell."""
        return []

    def stop(self, why: str) -> None:
        """Begin nothing more, and end what goes on after the step that is under way."""
        with self._lock:
            if self.stopped is None:
                self.stopped, self._stopped_at = why, time.monotonic()
        with suppress(queue.Empty):
            while (order := self._orders.get_nowait()) is not None:
                self._done.put(Report(order=order, begun=False))
        for turn in self._turns():
            turn.stop = (StopReason.INTERRUPTED, why)
            if turn.session is not None:
                turn.session.cancel()

    def hurry(self) -> None:
        """Remove every container that this process started for this run."""
        with suppress(InfrastructureError):
            ours = self._engine.labels().items()
            for container in self._engine.containers():
                if ours <= container["Labels"].items():
                    self._engine.remove(str(container["Id"]))

    def close(self) -> None:
        """Let the workers go, and remove every container."""
        for _ in self._workers:
            self._orders.put(None)
        # What still works after an interruption works in vain: its containers are about to go.
        deadline = time.monotonic() + (_TEARDOWN_SECONDS if self.stopped is None else _PATIENCE)
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        if self._energy is not None:
            self._energy.close()
        self._pool.close()
        self.hurry()
        if self._rubric is not None:
            self._rubric.close()

    # What workers call -------------------------------------------------------------------------------------------

    def next_order(self) -> Order | None:
        """The next job to do; None when there will be none."""
        while (order := self._orders.get()) is not None:
            if order.job.only_grade is not None or not self._money.exhausted:
                return order
            self._done.put(Report(order=order, begun=False))
        return None

    def make_env(self) -> gymnasium.Env[Any, Any]:
        """An environment for one worker."""
        scored = with_rubric(self.config.wrappers, self._rubric)
        named = [partial(NamesPlace, place=self._place)] if self._place is not None else []
        recorder = partial(RecordEvents, run_dir=self._run, fsync=self.config.fsync)
        return make_env(
            wrappers=[*named, *scored, recorder],
            tasks=self._tasks,
            config=self.config.env.model_copy(update={"warm": 0}),
            tools=ToolRegistry(()) if isinstance(self.policy, Autonomous) else None,
            engine=self._engine,
            pool=self._pool,
            volumes=self._volumes,
        )

    def ledger(self) -> Ledger:
        """Accounts for one episode."""
        return Ledger(self._money, self._price)

    def grade(self, order: Order, log: EpisodeLog | None) -> None:
        """Judge the final patch of an episode that the agent itself brought to its end."""
        if order.job.only_grade is not None:
            patch = order.job.only_grade.patch
            self._judge(order, patch.patch if patch is not None else None)
        elif log is not None and _is_the_agents(log.outcome):
            self._judge(order, log.final_patch)

    def report(self, worker: Worker, order: Order, error: BaseException | None) -> None:
        """An order is done; an error ends the run."""
        self._done.put(_Done(worker=worker, report=Report(order=order, error=error)))

    # The rest ----------------------------------------------------------------------------------------------------

    def _isolated(self, task: Task) -> Task:
        return self.policy.isolated(task) if isinstance(self.policy, Autonomous) else task

    def _turns(self) -> list[Turn]:
        return [turn for worker in list(self._workers) if (turn := worker.turn) is not None]

    def _writers(self) -> list[Callable[..., None]]:
        """What writes into the record of each episode whose policy acts."""
        return [turn.recorder.emit for turn in self._turns() if turn.session is not None]

    def _hire(self) -> None:
        worker = Worker(self)
        self._workers.add(worker)
        worker.start()

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
                self._replace(worker)

        threading.Thread(target=take_over, daemon=True, name="trajhub-evict").start()

    def _abandon(self, worker: Worker, turn: Turn) -> None:
        """Go on without a worker whose environment hangs, which its own limits should have prevented."""
        turn.evicted = True
        message = "the environment did not answer long after its time limit"
        turn.recorder.end(StopReason.ENVIRONMENT_ERROR, Failure.ENVIRONMENT, message)
        self._replace(worker)

    def _replace(self, worker: Worker) -> None:
        if worker.order is not None:
            self._done.put(_Done(worker=worker, report=Report(order=worker.order), replaced=True))

    def _judge(self, order: Order, patch: str | None) -> None:
        if self._grader is None:
            return
        began = time.monotonic()
        verdict = self._grader.grade(order.job.task, patch)
        if self.stopped is not None and verdict.reason is Reason.ENVIRONMENT_BROKEN:
            return  # its container was removed with all others: it is graded when the run goes on
        seconds = time.monotonic() - began
        place = self._run.episode(order.header.episode_id)
        append_verdict(place, order.header, verdict, duration_ms=seconds * 1000)


def _is_the_agents(end: EpisodeEnd | None) -> bool:
    """Whether an episode ended in a way that says something about the agent."""
    ours = (Failure.ENVIRONMENT, Failure.SERVICE, Failure.GRADER)
    return end is not None and end.stop_reason is not StopReason.INTERRUPTED and end.failure not in ours
