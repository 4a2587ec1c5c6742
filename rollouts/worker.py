"""A worker: one thread, one environment, one episode after another."""

import threading
import time
from contextlib import suppress
from typing import Any, Protocol

import gymnasium

from ..errors import ConfigError, DiskFull, StopReason, TrajHubError
from .autonomous import Autonomous
from .budget import Ledger
from .crew import Order
from .episode_log import EpisodeLog
from .play import Turn, play
from .policies.base import Policy
from .record import RecordEvents, find_recorder
from .steering.pilot import Steering

__all__ = ["Shop", "Worker"]

_RESET_SECONDS = 900.0
"""For a reset, which may have to wait for an image; the engine's own time limits come first."""


class Shop(Protocol):
    """What a worker needs of its crew."""

    policy: Policy
    time_limit: float
    steering: Steering | None
    stopped: str | None

    def next_order(self) -> Order | None:
        """The next job to do; None when there will be none."""
        ...

    def make_env(self) -> gymnasium.Env[Any, Any]:
        """An environment, its recorder included."""
        ...

    def ledger(self) -> Ledger:
        """Accounts for one episode."""
        ...

    def grade(self, order: Order, log: EpisodeLog | None) -> None:
        """Judge the final patch, if that is wanted."""
        ...

    def report(self, worker: "Worker", order: Order, error: BaseException | None) -> None:
        """An order is done; an error ends the run."""
        ...


class Worker(threading.Thread):
    """Does episodes until there are none left, or until one was taken away from it."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(daemon=True, name="trajhub-worker")
        self.turn: Turn | None = None
        self.order: Order | None = None
        """What it does, or did last."""
        self._shop = shop
        self._env: gymnasium.Env[Any, Any] | None = None

    def run(self) -> None:
        """Work."""
        evicted = False
        try:
            while not evicted and (order := self._shop.next_order()) is not None:
                evicted = self._do(order)
        finally:
            self.close_env()

    def close_env(self) -> None:
        """Remove the environment's containers; may be called again."""
        if self._env is not None:
            self._env.close()

    def _do(self, order: Order) -> bool:
        """Do one episode; whether it was taken away meanwhile."""
        self.order = order
        error: BaseException | None = None
        try:
            self._episode(order)
        except BaseException as problem:
            error = problem
            if not isinstance(problem, TrajHubError):
                raise  # a bug, ours or a policy's: Python shows where
        finally:
            evicted = self._over(order, error)
        return evicted

    def _episode(self, order: Order) -> None:
        shop, job, header = self._shop, order.job, order.header
        if job.only_grade is not None:
            shop.grade(order, None)
            return
        if self._env is None:
            self._env = shop.make_env()
        recorder = find_recorder(self._env)
        if recorder is None:
            raise ConfigError("the environment of a run needs a recorder")
        self.turn = turn = Turn(job=job, recorder=recorder, deadline=time.monotonic() + _RESET_SECONDS)
        if shop.stopped is not None:
            turn.stop = (StopReason.INTERRUPTED, shop.stopped)
        if isinstance(shop.policy, Autonomous):
            shop.policy.play(self._env, turn, header, shop.ledger(), shop.time_limit)
        else:
            play(self._env, shop.policy, turn, header, shop.ledger(), shop.time_limit, shop.steering)
        log = recorder.log
        if not turn.evicted and log is not None and log.header == header:
            turn.doing, turn.deadline = "grading", float("inf")
            shop.grade(order, log)

    def _over(self, order: Order, error: BaseException | None) -> bool:
        turn, self.turn = self.turn, None
        if turn is not None:
            with turn.world:
                if turn.evicted:
                    return True
                _close_record(turn.recorder, error)
        self._shop.report(self, order, error)
        return False


def _close_record(recorder: RecordEvents, error: BaseException | None) -> None:
    # What ends the run is no fault of this episode: it is done again on resume.
    with suppress(DiskFull):
        recorder.end(StopReason.INTERRUPTED, None, f"{type(error).__name__}: {error}" if error else None)
