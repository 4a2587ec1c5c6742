"""An HTTP/1.1 server for programs on this machine that need not be friendly.

h11 reads and writes the protocol; here are the limits: size and time of heads and bodies, bytes held by all requests
together, connections. A request is refused by its head, before its body is read, where `admit` says so. Requests of a
connection are answered one after another; a handler whose client goes away is cancelled at once.
"""

import asyncio
import socket
from contextlib import AbstractAsyncContextManager, nullcontext, suppress

from .connection import Admit, Connection, Handler, Held
from .messages import Head, Limits, Refusal
from .sockets import address_of
from .thread import LoopThread

__all__ = ["HttpServer"]

_AT_ONCE = 64
"""Connections accepted before others get their turn."""
_PAUSE_S = 0.1


class HttpServer:
    """Serves a listening socket of this machine in a thread of its own, between `start` and `close`.

    Raises UsageError for a socket that other machines reach.
    """

    def __init__(
        self,
        listening: socket.socket,
        handler: Handler,
        *,
        admit: Admit | None = None,
        limits: Limits | None = None,
        around: AbstractAsyncContextManager[object] | None = None,
        name: str = "trajhub-http",
    ) -> None:
        """`around` is entered in the loop before the first request, and left after the last."""
        self.address = address_of(listening)
        self.limits = limits or Limits()
        self._socket, self._handler, self._admit = listening, handler, admit or _everybody
        self._around = around or nullcontext()
        self._held = Held()
        self._open = set[asyncio.Task[None]]()
        self._thread = LoopThread(self._main, name)

    def start(self) -> None:
        """Begin to serve."""
        self._socket.setblocking(False)
        self._thread.start()

    def close(self) -> None:
        """Stop; what is under way is cancelled, and has ended when this returns. May be called again."""
        self._thread.stop()
        self._socket.close()

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._around:
            loop.add_reader(self._socket, self._accept, loop)
            try:
                await asyncio.Event().wait()
            finally:
                loop.remove_reader(self._socket)
                await self._end_all()

    async def _end_all(self) -> None:
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)

    def _accept(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, _ = self._socket.accept()
            except OSError as error:
                if not isinstance(error, BlockingIOError | ConnectionError):
                    # Out of descriptors: some come back when others are done.
                    loop.remove_reader(self._socket)
                    loop.call_later(_PAUSE_S, loop.add_reader, self._socket, self._accept, loop)
                return
            self._welcome(client, loop)

    def _welcome(self, client: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        if len(self._open) >= self.limits.connections:
            client.close()
            return
        task = loop.create_task(self._serve(client))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, client: socket.socket) -> None:
        client.setblocking(False)
        with suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        streams = await asyncio.open_connection(sock=client, limit=1 << 17)
        await Connection(streams, self._handler, self._admit, self.limits, self._held).serve()


def _everybody(_: Head) -> Refusal | None:
    return None
