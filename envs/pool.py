"""Containers started ahead, so that a reset does not wait for one."""

import threading
from collections import defaultdict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from ..errors import InfrastructureError
from .engine import Engine
from .sandbox import Sandbox, SandboxConfig

__all__ = ["SandboxPool"]

Warm = tuple[SandboxConfig, "Future[Sandbox]"]


class SandboxPool:
    """Keeps up to `size` unused sandboxes ready for the configurations that were announced with `prefetch`.

    A sandbox is handed out once and never comes back: whoever took it closes it. When the pool is full, the oldest
    unused sandbox gives way. Thread-safe.
    """

    def __init__(self, engine: Engine, size: int, *, workers: int = 2) -> None:
        self._engine = engine
        self._size = size
        self._lock = threading.Lock()
        self._warm: defaultdict[str, deque[Future[Sandbox]]] = defaultdict(deque)
        self._order: deque[str] = deque()
        self._closed = False
        self._starters = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="trajhub-pool")

    def prefetch(self, config: SandboxConfig) -> None:
        """Start one more sandbox of `config` in the background. Errors surface at the `acquire` that meets them."""
        if self._size < 1:
            return
        with self._lock:
            if self._closed:
                return
            surplus = self._evict() if len(self._order) >= self._size else None
            key = config.model_dump_json()
            self._warm[key].append(self._starters.submit(Sandbox, self._engine, config))
            self._order.append(key)
        if surplus is not None:
            self._starters.submit(_discard, surplus)

    def acquire(self, config: SandboxConfig) -> Sandbox:
        """A fresh sandbox of `config`: a warm one if there is, else started now. Raises as `Sandbox` does."""
        key = config.model_dump_json()
        with self._lock:
            waiting = self._warm[key]
            future = waiting.popleft() if waiting else None
            if future is not None:
                self._order.remove(key)
        return future.result() if future is not None else Sandbox(self._engine, config)

    def discard(self, sandbox: Sandbox) -> None:
        """Remove a used sandbox in the background."""
        with self._lock:
            if not self._closed:
                self._starters.submit(sandbox.close)
                return
        sandbox.close()

    def close(self) -> None:
        """Remove what was not used; idempotent."""
        with self._lock:
            self._closed = True
            unused = [future for waiting in self._warm.values() for future in waiting]
            self._warm.clear()
            self._order.clear()
        for future in unused:
            _discard(future)
        self._starters.shutdown(wait=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _evict(self) -> "Future[Sandbox]":
        return self._warm[self._order.popleft()].popleft()


def _discard(future: "Future[Sandbox]") -> None:
    if future.cancel():
        return
    try:
        future.result().close()
    except InfrastructureError:
        return
