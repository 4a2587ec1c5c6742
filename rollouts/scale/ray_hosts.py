"""Hosts on the nodes of a Ray cluster: an actor on each, pinned to its node, started again when it dies.

Ray carries calls and says who is alive. It does not place sandboxes, which are Docker's, nor repeat what failed, which
is the runner's business.
"""

import pickle
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from ... import __version__
from ...envs.task import Task
from ...errors import ClusterUnavailable, ConfigError, TrajHubError
from ..config import RolloutConfig
from .cluster import Node, connect, disconnect, nodes
from .engines import images_of, narrowed
from .facts import Facts
from .host import Host, Work
from .line import HostLost, Line, Share, shares_of
from .messages import Greeting, News, Orders

__all__ = ["RayHosts"]

_RETRY_SECONDS = 1.0
_REST_SECONDS = 10.0
"""Before a node whose host died gets another: one that is dying itself counts as alive for a while."""
_KEPT = 400


class _RayLine:
    """An actor on a node."""

    def __init__(self, node: Node, share: Share, actor: Any, patience: float) -> None:
        self.node, self._share, self._actor, self._patience = node, share, actor, patience

    @property
    def name(self) -> str:
        """The node."""
        return self.node.name

    @property
    def share(self) -> Share:
        """What the host does of the run."""
        return self._share

    def greet(self, images: Sequence[str]) -> Any:
        """Ask for a greeting; a reference to it."""
        return self._actor.greet.remote(images)

    def exchange(self, orders: Orders) -> News:
        """Give orders and wait for news. A host that cannot be reached for a moment is asked again."""
        ray = import_module("ray")
        exceptions = import_module("ray.exceptions")

        deadline = time.monotonic() + self._patience
        while True:
            try:
                return ray.get(self._actor.exchange.remote(orders))
            except exceptions.ActorUnavailableError as error:
                if time.monotonic() > deadline:
                    raise HostLost(_said(error)) from None
                time.sleep(_RETRY_SECONDS)
            except exceptions.RayError as error:
                raise HostLost(_said(error)) from None

    def nudge(self) -> None:
        """Make an exchange that waits return soon."""
        self._actor.nudge.remote()

    def end(self) -> None:
        """Kill the actor."""
        ray = import_module("ray")

        ray.kill(self._actor)


@dataclass(frozen=True, slots=True)
class _Starting:
    line: _RayLine
    since: float


class RayHosts:
    """A host on each node that can have one. Raises ClusterUnavailable when there is none at the start."""

    def __init__(self, config: RolloutConfig, work: Work, tasks: Sequence[Task]) -> None:
        self._config, self._settings = config, config.ray
        self._images = images_of(tasks)
        self._owns = connect(config.ray)
        self._work, self._tasks = _shipped(work), _put(tasks)
        found = nodes(config.ray)
        if not found:
            raise ClusterUnavailable(_no_node(config))
        shares = shares_of(config.workers, config.warm, len(found), config.ray.per_node)
        self._shares = deque(shares)
        self._starting: dict[Any, _Starting] = {}
        self._used = set[str]()
        self._deaths: Counter[str] = Counter()
        self._unfit: dict[str, str] = {}
        self._rest: dict[str, float] = {}
        self._lines = list[_RayLine]()
        self._notices = list[str]()
        self.facts = self._greeted(self._first())
        self._notices += self.facts.notices()

    def ready(self) -> Sequence[Line]:
        """Hosts that came up since the last call; others are started where there is work for them."""
        self._start_where_possible()
        self._greeted(self._up(0.0))
        lines, self._lines = self._lines, []
        return lines

    @property
    def hopeful(self) -> bool:
        """Nodes may come, or come back."""
        return True

    def gone(self, line: Line) -> None:
        """A host was lost: what it did is for another, on the same node if that lives."""
        if isinstance(line, _RayLine):
            self._release(line)
            self._deaths[line.node.id] += 1
            self._rest[line.node.id] = time.monotonic() + _REST_SECONDS
            if self._deaths[line.node.id] > self._settings.deaths:
                self._unfit[line.node.id] = f"its host process died {self._deaths[line.node.id]} times"

    def take_notices(self) -> list[str]:
        """What people should know of since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def close(self) -> None:
        """Kill hosts that do nothing yet, and leave the cluster; may be called again."""
        for line in [*(starting.line for starting in self._starting.values()), *self._lines]:
            line.end()
        self._starting.clear()
        self._lines.clear()
        if self._owns:
            self._owns = False
            disconnect()

    def _first(self) -> dict[_RayLine, Greeting]:
        """The hosts of the nodes there are; those that are not up in time are taken in later."""
        self._start_where_possible()
        greetings: dict[_RayLine, Greeting] = {}
        deadline = time.monotonic() + self._settings.patience
        while self._starting and time.monotonic() < deadline:
            greetings |= self._up(1.0)
        if not greetings:
            why = "\n  ".join(self._notices) or f"no host came up within {self._settings.patience:g} s"
            self.close()
            raise ClusterUnavailable(f"no node of the cluster can do episodes:\n  {why}")
        return greetings

    def _start_where_possible(self) -> None:
        if not self._shares:
            return
        for node in nodes(self._settings):
            taken = node.id in self._used or node.id in self._unfit
            if self._shares and not taken and time.monotonic() > self._rest.get(node.id, 0.0):
                self._start(node, self._shares.popleft())

    def _start(self, node: Node, share: Share) -> None:
        ray = import_module("ray")
        strategies = import_module("ray.util.scheduling_strategies")
        make = ray.remote(max_concurrency=8, max_restarts=0, num_cpus=self._settings.cpus)(Host)
        here = strategies.NodeAffinitySchedulingStrategy(node.id, soft=False)
        work = replace(self._work, config=narrowed(self._config, share))
        actor = make.options(scheduling_strategy=here).remote(node.name, work, self._tasks)
        line = _RayLine(node, share, actor, self._settings.patience)
        self._used.add(node.id)
        self._starting[line.greet(self._images)] = _Starting(line, time.monotonic())

    def _up(self, wait: float) -> dict[_RayLine, Greeting]:
        """Greetings that came; a host that cannot work is given up, and so is one that takes too long."""
        ray = import_module("ray")
        exceptions = import_module("ray.exceptions")

        if not self._starting:
            return {}
        came, late = ray.wait(list(self._starting), num_returns=len(self._starting), timeout=wait)
        greetings: dict[_RayLine, Greeting] = {}
        for reference in came:
            line = self._starting.pop(reference).line
            try:
                greetings[line] = _checked(ray.get(reference))
            except (exceptions.RayError, TrajHubError) as error:
                self._refuse(line, _said(error))
        for reference in late:
            if time.monotonic() > self._starting[reference].since + self._settings.patience:
                self._refuse(self._starting.pop(reference).line, f"no answer in {self._settings.patience:g} s")
        return greetings

    def _greeted(self, greetings: Mapping[_RayLine, Greeting]) -> Facts:
        self._lines += greetings
        return Facts({line.name: greeting for line, greeting in greetings.items()})

    def _refuse(self, line: _RayLine, why: str) -> None:
        self._unfit[line.node.id] = why
        self._notices.append(f"{line.name} does no episodes: {why}")
        self._release(line)
        line.end()

    def _release(self, line: _RayLine) -> None:
        self._used.discard(line.node.id)
        self._shares.append(line.share)


def _put(tasks: Sequence[Task]) -> Any:
    """The tasks in Ray's object store, from where each node fetches them once."""
    ray = import_module("ray")

    return ray.put(list(tasks))


def _shipped(work: Work) -> Work:
    """The work with its policy as bytes, made where and when they are read. Raises ConfigError."""
    try:
        data: bytes = import_module("ray.cloudpickle").dumps(work.policy)
    except (TypeError, pickle.PicklingError, AttributeError) as error:
        raise ConfigError(
            f"the policy cannot be sent to other nodes: {error}; give it a `__reduce__` that says how to make it there"
        ) from error
    return replace(work, policy=_Unpickled(data))


@dataclass(frozen=True, slots=True)
class _Unpickled:
    """Makes a policy from its pickled maker."""

    data: bytes

    def __call__(self) -> Any:
        return pickle.loads(self.data)()


def _checked(greeting: Greeting) -> Greeting:
    if greeting.version != __version__:
        raise ConfigError(
            f"it has agent-trajectory-hub {greeting.version}, the driver {__version__}: install the same everywhere"
        )
    return greeting


def _said(error: BaseException) -> str:
    """What an error of Ray's, or one it carries, says, in a line or two, with what to do about a lack of memory."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, TrajHubError):
        return str(cause)
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith(("\t", "  "))]
    text = " ".join(lines)[:_KEPT] or type(error).__name__
    if "memory" in str(error).lower() or "OOM" in str(error):
        text += " [if memory ran out: fewer episodes on a node (ray.per_node), or a larger node]"
    return text


def _no_node(config: RolloutConfig) -> str:
    if config.ray.resource is None:
        return "the cluster has no living node"
    return (
        f"no living node of the cluster offers the resource {config.ray.resource!r}: start nodes with "
        f"ray start --address=... --resources='{{\"{config.ray.resource}\": 1}}'"
    )
