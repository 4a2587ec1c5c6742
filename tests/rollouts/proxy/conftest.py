"""A proxy before a service that a test scripts."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from trajectory_hub.rollouts.proxy import Exchange, ModelProxy, Upstream, read_exchanges

from .scripted import Act, Scripted, scripted

KEY = "real-key-of-the-service-5f2b8c"
TOKEN = "dummy-key-of-the-agent"


class World:
    """Service, proxy and record."""

    def __init__(self, service: Scripted, proxy: ModelProxy) -> None:
        self.service, self.proxy = service, proxy
        self.headers = {"authorization": f"Bearer {TOKEN}"}

    def exchanges(self) -> list[Exchange]:
        """What was recorded; closes the proxy."""
        self.proxy.close()
        return list(read_exchanges(self.proxy.record))


class Make(Protocol):
    """Makes a world."""

    def __call__(self, act: Act, *, upstream: dict[str, Any] | None = None, **more: Any) -> World: ...


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes the world around `act`; further arguments are those of the upstream `upstream` and of the proxy."""
    monkeypatch.setenv("KEY_OF_SERVICE", KEY)
    with ExitStack() as stack:

        def make(act: Act, *, upstream: dict[str, Any] | None = None, **more: Any) -> World:
            service = stack.enter_context(scripted(act))
            apis = {
                api: Upstream(api, service.url, "KEY_OF_SERVICE", **(upstream or {}))
                for api in ("openai", "anthropic", "gemini")
            }
            settings: dict[str, Any] = {"token": TOKEN, **more}
            proxy = ModelProxy(apis, tmp_path / "requests.jsonl", **settings)
            return World(service, stack.enter_context(proxy))

        yield make
