"""A crew of hosts: jobs go to where there is room, and elsewhere when a place is lost."""

import queue
import threading
import time
from collections import defaultdict

from ...errors import ClusterUnavailable
from ..config import RolloutConfig
from ..crew import Order, Report, Underway
from .clerk import Clerk
from .line import Hosts
from .link import Gone, Link

__all__ = ["SpreadCrew"]

_LOOK_EVERY = 2.0
_CLOSE_SECONDS = 45.0
_STOPPED_SECONDS = 15.0


class SpreadCrew:
    """Hosts, as they come and go.

    A host is given as many jobs as it has workers and warm sandboxes for, so what is not done waits with the runner and
    not with a host that may be lost.
    """

    def __init__(self, hosts: Hosts, clerk: Clerk, config: RolloutConfig) -> None:
        self._hosts, self._clerk = hosts, clerk
        self._notices = list[str]()
        self._limit = config.workers + config.warm
        self._patience = config.ray.patience
        self._heard: queue.SimpleQueue[Report | Gone] = queue.SimpleQueue()
        self._links: list[Link] = []
        self._homes: defaultdict[str | None, set[str]] = defaultdict(set)
        self._stopped: str | None = None
        self._next_look = 0.0
        self._alone_since: float | None = None
        self._look()

    @property
    def busy(self) -> bool:
        """Whether an episode is going on."""
        return any(link.held for link in self._links)

    def room(self) -> int:
        """How many more jobs it takes."""
        held = sum(link.held for link in self._links)
        return min(self._limit - held, sum(link.room for link in self._links))

    def begin(self, order: Order) -> None:
        """Give a job to a host with a worker free, rather one that had its image before, so that few images travel.

        None that is to be avoided gets it, while there is another.
        """
        homes = self._homes[order.job.task.image]
        others = [link for link in self._links if link.line.name not in order.job.avoid]
        best = max(others or self._links, key=lambda link: (link.free > 0 and link.line.name in homes, link.free))
        homes.add(best.line.name)
        best.give(order)

    def hear(self, timeout: float) -> Report | None:
        """The next report, if one comes within so many seconds. Raises ClusterUnavailable when no host is left."""
        try:
            heard = self._heard.get(timeout=timeout)
        except queue.Empty:
            heard = None
        if isinstance(heard, Gone):
            self._lose(heard)
            heard = None
        self._look()
        return heard

    def underway(self) -> list[Underway]:
        """The episodes that are going on."""
        return [one for link in list(self._links) for one in link.underway]

    def notices(self) -> list[str]:
        """Nodes that were lost, or cannot be used."""
        notices, self._notices = self._notices, []
        return notices

    def stop(self, why: str) -> None:
        """Begin nothing more, and end what goes on after the step that is under way."""
        self._stopped = self._stopped or why
        for link in self._links:
            link.stop(why)

    def hurry(self) -> None:
        """Do not wait for steps under way either."""
        for link in self._links:
            link.hurry()

    def close(self) -> None:
        """Have every host let go of everything; one that does not is killed."""
        for link in self._links:
            link.close()
        deadline = time.monotonic() + (_CLOSE_SECONDS if self._stopped is None else _STOPPED_SECONDS)
        for link in self._links:
            if not link.join(max(0.0, deadline - time.monotonic())):
                self._notices.append(
                    f"{link.line.name} did not let go in time; its containers are removed once it is dead"
                )
        enders = [threading.Thread(target=link.line.end, daemon=True) for link in self._links]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join(5.0)
        self._hosts.close()
        self._clerk.close()

    def _lose(self, gone: Gone) -> None:
        self._links.remove(gone.link)
        self._hosts.gone(gone.link.line)
        if gone.why is not None:
            again = f"; {gone.orders} episodes are done again elsewhere" if gone.orders else ""
            self._notices.append(f"{gone.link.line.name} was lost: {gone.why}{again}")

    def _look(self) -> None:
        """Take in new hosts; give up when there is none for long."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY
        if self._stopped is None:
            self._links += [Link(line, self._clerk, self._heard.put) for line in self._hosts.ready()]
        self._notices += self._hosts.take_notices()
        if self._links or self._stopped is not None:
            self._alone_since = None
            return
        self._alone_since = self._alone_since or now
        if not self._hosts.hopeful or now > self._alone_since + self._patience:
            raise ClusterUnavailable(
                "no host is left that could do episodes; bring nodes back and run the same command again, which resumes"
            )
