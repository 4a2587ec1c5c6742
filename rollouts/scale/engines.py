"""Hosts in this process, one for each of several Docker engines."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...envs.task import Task
from ...errors import ConfigError, EngineUnavailable
from ..config import RolloutConfig
from .facts import Facts
from .host import Host, Work
from .line import Line, Share, shares_of
from .messages import Greeting, News, Orders

__all__ = ["EngineHosts", "images_of", "narrowed"]


class _DirectLine:
    """A host that is called, and not sent for."""

    def __init__(self, host: Host, share: Share) -> None:
        self._host, self._share = host, share

    @property
    def name(self) -> str:
        """The engine's address."""
        return self._host.name

    @property
    def share(self) -> Share:
        """What the host does of the run."""
        return self._share

    def exchange(self, orders: Orders) -> News:
        """Give orders and wait for news."""
        return self._host.exchange(orders)

    def nudge(self) -> None:
        """Make an exchange that waits return soon."""
        self._host.nudge()

    def end(self) -> None:
        """It ends with this process."""


class EngineHosts:
    """A host for each engine. Raises EngineUnavailable when one does not answer, named."""

    def __init__(self, urls: Sequence[str], config: RolloutConfig, work: Work, tasks: Sequence[Task]) -> None:
        shares = shares_of(config.workers, config.warm, len(urls), config.ray.per_node)
        self._lines = list[Line]()
        greetings: dict[str, Greeting] = {}
        for url, share in zip(urls, shares, strict=False):
            mine = replace(work, engine_url=url, own_process=False, config=narrowed(config, share))
            host = Host(url, mine, tasks)
            try:
                greetings[url] = host.greet(images_of(tasks))
            except EngineUnavailable as error:
                raise EngineUnavailable(f"the engine {url}: {error}") from error
            self._lines.append(_DirectLine(host, share))
        _refuse_twins(greetings)
        self.facts = Facts(greetings)
        self._notices = self.facts.notices()

    def ready(self) -> Sequence[Line]:
        """All of them, once."""
        lines, self._lines = self._lines, []
        return lines

    @property
    def hopeful(self) -> bool:
        """There will be no others."""
        return False

    def gone(self, line: Line) -> None:
        """It was let go of."""

    def take_notices(self) -> list[str]:
        """What people should know of, once."""
        notices, self._notices = self._notices, []
        return notices

    def close(self) -> None:
        """Nothing is left."""


def _refuse_twins(greetings: Mapping[str, Greeting]) -> None:
    """Two hosts of one process on one engine would remove each other's containers."""
    urls: dict[object, str] = {}
    for url, greeting in greetings.items():
        # Engines of one machine may share an id, but not the folder of their data.
        known = urls.setdefault((greeting.engine.get("ID"), greeting.engine.get("DockerRootDir")), url)
        if known != url:
            raise ConfigError(f"{known} and {url} are one and the same engine: name each once")


def narrowed(config: RolloutConfig, share: Share) -> RolloutConfig:
    """The configuration of one host."""
    return config.model_copy(update={"workers": share.workers, "warm": share.ahead})


def images_of(tasks: Sequence[Task]) -> list[str]:
    """The names of all images, each once."""
    return sorted({task.image for task in tasks if task.image})
