"""The proxy: listens on this machine, and asks model services on behalf of an agent."""

import socket as sockets
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ...errors import UsageError
from ...rewards.service.usage import PriceTable, Usage, default_prices
from ..loopback import HttpServer, Limits, listen_on_loopback
from .budget import Budget, Ledger
from .masking import Masker
from .recorder import Recorder
from .serving import Serving
from .upstream import Api, Service, Upstream

__all__ = ["ModelProxy"]

_LIMITS = Limits(body_bytes=1 << 26, held_bytes=1 << 29, send_s=600.0)
_NO_KEY = "not-needed"
_VARIABLES: dict[Api, tuple[str, str, str]] = {
    "openai": ("OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY"),
    "anthropic": ("ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY"),
    "gemini": ("GOOGLE_GEMINI_BASE_URL", "", "GEMINI_API_KEY"),
}


class ModelProxy:
    """Listens in a thread of its own, between `start` and `close` or as a context manager.

    The allow-list is the routes of the upstreams; everything else is answered 403, and recorded. The key that the agent
    gives is replaced by the service's, which the agent never sees and no record holds.
    """

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        record: Path,
        *,
        token: str | None = None,
        socket: sockets.socket | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        prices: PriceTable | None = None,
        budget: Budget | None = None,
        bodies: bool = True,
    ) -> None:
        """`token`: what the agent must give as its API key. A path that two upstreams serve goes to the first;
        `/<name>/v1/…` names one. `prices` None: the default table. `bodies` False: nothing that was said is recorded.
        A `socket` that listens already is taken instead of a port.

        Raises UsageError for upstreams that cannot be, a key that is missing, an address that others reach or a record
        in use; InfrastructureError when the port is taken.
        """
        if not upstreams:
            raise UsageError("a proxy needs an upstream")
        self._services = [Service.of(name, upstream) for name, upstream in upstreams.items()]
        self.record = record
        self.token = token
        self._ledger = Ledger(budget or Budget(), prices or default_prices())
        listening = socket or listen_on_loopback(host, port)
        try:
            masker = Masker(service.key for service in self._services if service.key)
            self._recorder = Recorder(record, masker, bodies=bodies)
            self._serving = Serving(self._services, token, self._ledger, self._recorder, _LIMITS.body_bytes)
            self._server = HttpServer(
                listening,
                self._serving.handle,
                admit=self._serving.admit,
                limits=_LIMITS,
                around=self._serving,
                name="trajhub-proxy",
            )
        except BaseException:
            listening.close()
            raise

    @property
    def url(self) -> str:
        """`http://host:port`, without a path."""
        return f"http://{self._server.address}"

    @property
    def usage(self) -> Usage:
        """Tokens used so far, as far as the services said."""
        return self._ledger.usage

    @property
    def cost_usd(self) -> float:
        """Dollars spent so far, as far as prices are known."""
        return self._ledger.cost_usd

    @property
    def requests(self) -> int:
        """Requests passed on so far that make a model write; every try counts."""
        return self._ledger.requests

    def environment(self, name: str | None = None) -> dict[str, str]:
        """Variables that make clients ask here: base URLs, and keys that are worth nothing elsewhere.

        Of the upstream `name`; None: of the first of every API. Raises UsageError for a name that there is not.
        """
        chosen = [service for service in self._services if name in (None, service.name)]
        if not chosen:
            raise UsageError(f"there is no upstream {name}; there are {', '.join(s.name for s in self._services)}")
        variables = dict[str, str]()
        for service in reversed(chosen):
            url, path, key = _VARIABLES[service.upstream.api]
            prefix = "" if name is None else f"/{name}"
            variables |= {url: f"{self.url}{prefix}{path}", key: self.token or _NO_KEY}
        return variables

    def start(self) -> Self:
        """Begin to serve."""
        self._server.start()
        return self

    def close(self) -> None:
        """Stop; requests under way are cut and recorded as interrupted. May be called again."""
        self._server.close()
        self._recorder.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
