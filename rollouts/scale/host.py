"""A host: what does episodes on one node, with the node's own Docker engine, and tells the driver of everything.

It never speaks first: the driver calls `exchange`. What is recorded is in the run's folder when the step that it is of
returns, since the recorder waits for the driver's answer. A host whose driver is gone stands still.
"""

import os
import pickle
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ... import __version__
from ...envs.engine import Engine
from ...envs.task import Task
from ...errors import InfrastructureError, TrajHubError
from ..config import RolloutConfig
from ..policies.base import Policy
from ..scoring import make_rubric
from ..threads import ThreadCrew
from .messages import Greeting, News, Orders, Over
from .outbox import Outbox
from .reaper import Reaper
from .remote import RemoteLedger, RemoteRun

__all__ = ["Host", "Work"]

_TICK = 0.1
_TOLD = ("ID", "DockerRootDir", "ServerVersion", "CgroupVersion", "Driver")
_WAIT = 5.0
"""Seconds an exchange may wait for news; then it returns without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a host is started with; everything can be pickled."""

    label: str
    """Of the run's containers."""
    config: RolloutConfig
    """With `workers` and `warm` for this host alone."""
    policy: Callable[[], Policy]
    """Makes the policy, once the environment is set."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Variables that services' keys are in."""
    engine_url: str | None = None
    own_process: bool = True
    """Whether its process does nothing else, so that what it leaves can be cleared away when it dies."""


class Host:
    """Does the jobs that `exchange` brings, once it was greeted."""

    def __init__(self, name: str, work: Work, tasks: Sequence[Task]) -> None:
        self.name = name
        self._work, self._tasks = work, tasks
        self._outbox = Outbox()
        self._money = RemoteLedger(work.config.budget, self._outbox)
        self._known = set[str]()
        self._stopped: str | None = None
        self._hurried = self._closing = self._closed = False

    def greet(self, images: Sequence[str] = ()) -> Greeting:
        """Get ready, and say what this node has. Raises EngineUnavailable where no Docker API answers."""
        work = self._work
        os.environ.update(work.environment)
        self._engine = Engine(work.engine_url, run_id=work.label)
        self._engine.sweep()
        self._reaper = Reaper(work.engine_url) if work.own_process else None
        self._policy = work.policy()
        place, rubric = RemoteRun(self._outbox, work.label), make_rubric(None, work.config)
        self._crew = ThreadCrew(
            place, work.config, self._policy, self._tasks, self._engine, self._money, rubric, place=self.name
        )
        threading.Thread(target=self._listen, daemon=True, name="trajhub-host").start()
        told = {key: self._engine.info.get(key) for key in _TOLD}
        found = {image: self._engine.image_id(image) for image in images}
        return Greeting(version=__version__, engine=told, images=found)

    def exchange(self, orders: Orders) -> News:
        """Take orders, then give news as soon as there is any."""
        self._outbox.settle(orders.answers)
        self._money.learn(orders.spent_usd)
        for order in orders.jobs:
            name = order.header.episode_id
            if name not in self._known:
                self._known.add(name)
                self._crew.begin(order)
        self._obey(orders)
        messages = self._outbox.collect(0.0 if self._closed else _WAIT)
        return News(messages=messages, underway=tuple(self._crew.underway()), closed=self._closed and not messages)

    def nudge(self) -> None:
        """End an exchange that waits: there are new orders."""
        self._outbox.nudge()

    def _obey(self, orders: Orders) -> None:
        if orders.stop is not None and orders.stop != self._stopped:
            self._stopped = orders.stop
            self._crew.stop(orders.stop)
        if orders.hurry and not self._hurried:
            self._hurried = True
            threading.Thread(target=self._crew.hurry, daemon=True).start()
        if orders.close and not self._closing:
            self._closing = True
            threading.Thread(target=self._close, daemon=True, name="trajhub-close").start()

    def _listen(self) -> None:
        while not self._closed:
            report = self._crew.hear(_TICK)
            if report is not None:
                name = report.order.header.episode_id
                told = self._outbox.post(Over(name, report.begun, _portable(report.error)))
                # Until the driver has heard of it, its order may come again, by a call whose result was lost.
                told.add_done_callback(partial(self._forget, name))

    def _forget(self, name: str, _: object) -> None:
        self._known.discard(name)

    def _close(self) -> None:
        try:
            self._crew.close()
            if self._work.own_process:
                self._policy.close()
            self._engine.sweep()
            if self._reaper is not None:
                self._reaper.dismiss()
        except InfrastructureError:
            return  # its containers are orphans now, and cleared away as such
        finally:
            self._closed = True
            self._engine.close()
            self._outbox.nudge()


def _portable(error: BaseException | None) -> BaseException | None:
    """An error that can be pickled, with the trace of where it was raised as a note."""
    if error is None:
        return None
    if not isinstance(error, TrajHubError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except (pickle.PickleError, TypeError, AttributeError, ValueError):
        return TrajHubError(f"{type(error).__name__}: {error}")
    return error
