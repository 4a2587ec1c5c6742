"""The proxy: listens on this machine, and asks model services on behalf of an agent."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ...rewards.service.usage import PriceTable, Usage
from .upstream import Upstream

__all__ = ["Budget", "ModelProxy"]


@dataclass(frozen=True, slots=True)
class Budget:
    """What the requests of one proxy may use together; None: no limit. What is under way when it is used up ends."""

    requests: int | None = None
    tokens: int | None = None
    """Input and output together."""
    cost_usd: float | None = None
    status: int | None = None
    """HTTP status of the refusal; None: what the API itself answers when there is no money left."""


class ModelProxy:
    """Listens in a thread of its own, between `start` and `close` or as a context manager."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        record: Path,
        *,
        token: str | None = None,
        socket: socket.socket | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        prices: PriceTable | None = None,
        budget: Budget | None = None,
        bodies: bool = True,
    ) -> None:
        """`token`: what the agent must give as its API key. A path that two upstreams serve goes to the first;
        `/<name>/v1/…` names one. `prices` None: the default table. `bodies` False: nothing that was said is recorded.
        """
        raise NotImplementedError

    @property
    def url(self) -> str:
        """`http://host:port`, without a path."""
        raise NotImplementedError

    @property
    def usage(self) -> Usage:
        """Tokens used so far."""
        raise NotImplementedError

    @property
    def cost_usd(self) -> float:
        """Dollars spent so far, as far as prices are known."""
        raise NotImplementedError

    @property
    def requests(self) -> int:
        """Requests passed on so far."""
        raise NotImplementedError

    def environment(self, name: str | None = None) -> dict[str, str]:
        """Variables that make a client of the upstream's API (or of all) ask here: base URLs and the dummy keys."""
        raise NotImplementedError

    def start(self) -> Self:
        """Begin to listen. Raises InfrastructureError when the port is taken, UsageError when a key is missing."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop; requests under way are cut and recorded as interrupted. May be called again."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
