"""An event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

__all__ = ["LoopThread"]


class LoopThread:
    """Runs one coroutine until `stop`; the coroutine is then cancelled, and everything it left is too."""

    def __init__(self, main: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._main = main
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Cancel what runs and wait for its end; may be called again."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._cancel)
            self._thread.join()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._guarded())

    async def _guarded(self) -> None:
        self._task = asyncio.current_task()
        with suppress(asyncio.CancelledError):
            await self._main()
