"""Joins a listening socket with a server at a socket in the file system, byte for byte."""

import asyncio
import socket
from contextlib import suppress

from ..loopback import LoopThread

__all__ = ["Relay"]

_CONNECTIONS = 256
_READ = 1 << 18


class Relay:
    """Relays connections in a thread of its own, between `start` and `close`."""

    def __init__(self, listening: socket.socket, path: str) -> None:
        self._socket, self._path = listening, path
        self._open = 0
        self._thread = LoopThread(self._main, "trajhub-relay")

    def start(self) -> None:
        """Begin to relay."""
        self._thread.start()

    def close(self) -> None:
        """Break off what is connected and stop; may be called again."""
        self._thread.stop()
        self._socket.close()

    async def _main(self) -> None:
        server = await asyncio.start_server(self._join, sock=self._socket, limit=_READ)
        async with server:
            await server.serve_forever()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= _CONNECTIONS:
            writer.transport.abort()
            return
        self._open += 1
        try:
            inner_reader, inner_writer = await asyncio.open_unix_connection(self._path, limit=_READ)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, inner_writer))
                group.create_task(_copy(inner_reader, writer))
        except (OSError, ExceptionGroup):
            pass  # one side is gone; the other is told below
        finally:
            self._open -= 1
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the end of `reader`, which ends `writer` too."""
    try:
        while data := await reader.read(_READ):
            writer.write(data)
            await writer.drain()
    finally:
        with suppress(OSError):
            writer.close()
