"""A model service behind the proxy: what may be asked of it, where, and with whose key."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from ...errors import UsageError

__all__ = ["Api", "Dialect", "Route", "Service", "Target", "Upstream", "find_target"]

Api = Literal["openai", "anthropic", "gemini"]
Dialect = Literal[
    "openai.chat",
    "openai.completions",
    "openai.responses",
    "openai.models",
    "anthropic.messages",
    "anthropic.count_tokens",
    "gemini.generate",
    "other",
]
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where requests of one API go, and with whose key."""

    api: Api
    base_url: str
    """For example `https://api.anthropic.com` or `http://127.0.0.1:8000/v1`."""
    key_env: str | None = None
    """The variable of this process's environment that holds the key; None: the service wants none."""
    models: tuple[str, ...] = ()
    """Globs of the models that may be asked; empty: all."""
    routes: tuple[str, ...] = ()
    """Allowed besides the API's own, for example `POST /v1/embeddings`."""
    connect_s: float = 10.0
    idle_s: float = 600.0
    """How long the service may be silent, before its first byte and between two."""
    complete_usage: bool = True
    """Streams of chat completions are asked for their usage when the agent did not; it is told of it only if it did."""


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that may be asked."""

    method: str
    path: re.Pattern[str]
    dialect: Dialect

    @property
    def generates(self) -> bool:
        """Whether it makes a model write, which is what budgets are for."""
        return self.dialect not in ("openai.models", "anthropic.count_tokens", "other")


def _route(method: str, path: str, dialect: Dialect) -> Route:
    return Route(method, re.compile(path), dialect)


_ROUTES: dict[Api, tuple[Route, ...]] = {
    "openai": (
        _route("POST", "/v1/chat/completions", "openai.chat"),
        _route("POST", "/v1/completions", "openai.completions"),
        _route("POST", "/v1/responses", "openai.responses"),
        _route("GET", f"/v1/models(?:/{_NAME}(?:/{_NAME})?)?", "openai.models"),
    ),
    "anthropic": (
        _route("POST", "/v1/messages", "anthropic.messages"),
        _route("POST", "/v1/messages/count_tokens", "anthropic.count_tokens"),
    ),
    "gemini": (
        _route("POST", f"/v1(?:beta)?/models/(?P<model>{_NAME}):(?:generate|streamGenerate)Content", "gemini.generate"),
    ),
}
_KEY_HEADERS: dict[Api, tuple[str, str]] = {
    "openai": ("authorization", "Bearer "),
    "anthropic": ("x-api-key", ""),
    "gemini": ("x-goog-api-key", ""),
}


@dataclass(frozen=True, slots=True)
class Service:
    """An upstream, ready to be asked."""

    name: str
    upstream: Upstream
    root: str
    """Scheme, host and what of the base URL comes before the API's own paths."""
    routes: tuple[Route, ...]
    key: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, name: str, upstream: Upstream, environment: Mapping[str, str] = os.environ) -> "Service":
        """Raises UsageError for an address or a route that is none, and for a key that is not there."""
        if not re.fullmatch(_NAME, name):
            raise UsageError(f"{name!r} cannot name an upstream; use letters, digits, dots, dashes")
        extra = tuple(_extra_route(text) for text in upstream.routes)
        key = None
        if upstream.key_env is not None:
            key = environment.get(upstream.key_env, "").strip() or None
            if key is None:
                raise UsageError(f"upstream {name}: the environment has no {upstream.key_env}; put the key there")
            if not key.isascii() or not key.isprintable():
                raise UsageError(f"upstream {name}: {upstream.key_env} holds no key, but something that no header can")
        return cls(name, upstream, _root(name, upstream.base_url), _ROUTES[upstream.api] + extra, key)

    @property
    def local(self) -> bool:
        """Whether it runs on this machine, so that no proxy of the environment is on the way."""
        host = urlsplit(self.root).hostname or ""
        try:
            return host == "localhost" or ip_address(host).is_loopback
        except ValueError:
            return False

    def match(self, method: str, path: str) -> "Target | None":
        """What a request asks for, if it may. Paths are compared as sent: nothing in them is decoded or resolved."""
        for route in self.routes:
            if route.method == method and (found := route.path.fullmatch(path)):
                return Target(self, route, path, found.groupdict().get("model"))
        return None

    def may_ask(self, model: str | None) -> bool:
        """Whether this model is allowed."""
        allowed = self.upstream.models
        return not allowed or (model is not None and any(fnmatchcase(model, glob) for glob in allowed))

    def key_header(self) -> dict[str, str]:
        """The header that carries the key."""
        if self.key is None:
            return {}
        name, scheme = _KEY_HEADERS[self.upstream.api]
        return {name: scheme + self.key}


@dataclass(frozen=True, slots=True)
class Target:
    """What one request asks for."""

    service: Service
    route: Route
    path: str
    """As the service knows it."""
    model: str | None = None
    """Where the path names it."""


def find_target(services: Sequence[Service], method: str, target: str) -> Target | None:
    """Of the upstream that the path names first, else of the first that has the path; None for what is not allowed."""
    path = target.partition("?")[0]
    named = [service for service in services if path.startswith(f"/{service.name}/")]
    tries = [(service, path[len(service.name) + 1 :]) for service in named] + [(service, path) for service in services]
    return next((found for service, rest in tries if (found := service.match(method, rest)) is not None), None)


def _extra_route(text: str) -> Route:
    method, _, path = text.partition(" ")
    if method not in ("GET", "POST", "DELETE") or not re.fullmatch(r"(?:/[A-Za-z0-9._:*-]+)+", path) or ".." in path:
        raise UsageError(f"{text!r} is no route; write for example 'POST /v1/embeddings' (`*` is one part of a path)")
    return _route(method, _NAME.join(map(re.escape, path.split("*"))), "other")


def _root(name: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise UsageError(f"upstream {name}: {url!r} is no base URL; write for example https://api.openai.com")
    path = parts.path.rstrip("/").removesuffix("/v1").removesuffix("/v1beta")
    return f"{parts.scheme}://{parts.netloc}{path}"
