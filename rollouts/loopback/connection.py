"""One connection of the HTTP server: requests read within limits, one after another, and answered."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import responses

import h11

from .messages import Head, Limits, Refusal, Request

__all__ = ["Admit", "Connection", "Handler", "Held", "Reply"]

_READ = 1 << 16
_RATE = 1 << 16
"""Bytes a second that a body must come with, beyond its first seconds."""
_PIPELINED = 1 << 16
"""Bytes of requests to come that are read while one is answered."""
_LINGER = 1 << 20


@dataclass(slots=True)
class Held:
    """Bytes of bodies that a server holds."""

    bytes: int = 0


class _Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


class Reply:
    """How a handler answers. Every method raises ConnectionError when whoever asked is gone or reads no more."""

    def __init__(self, connection: h11.Connection, writer: asyncio.StreamWriter, limits: Limits) -> None:
        self._http, self._writer, self._limits = connection, writer, limits
        self.started = False
        """Whether a status was sent."""
        self.was_cut = False
        self.gone = False
        """Whether a handler was cancelled because whoever asked is gone, and not because the server ends."""

    async def start(self, status: int, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send status and headers; without `content-length` the body goes in chunks."""
        encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
        self.started = True
        await self._send(h11.Response(status_code=status, headers=encoded, reason=responses.get(status, "").encode()))

    async def send(self, data: bytes) -> None:
        """Send a piece of the body at once."""
        if data:
            await self._send(h11.Data(data=data))

    async def end(self) -> None:
        """Nothing comes after this."""
        await self._send(h11.EndOfMessage())

    async def whole(self, answer: Refusal) -> None:
        """Send an answer in one piece."""
        headers = {**answer.headers, "content-length": str(len(answer.body))}
        await self.start(answer.status, headers.items())
        await self.send(answer.body)
        await self.end()

    def cut(self) -> None:
        """Break the connection off in the middle, so that whoever asked knows that the answer is not whole."""
        self.was_cut = True
        self._writer.transport.abort()

    async def _send(self, event: "h11.Response | h11.Data | h11.EndOfMessage") -> None:
        if self._http.our_state is h11.ERROR:
            raise ConnectionResetError("whoever asked does not speak HTTP any more")
        data = self._http.send(event)
        if data:
            self._writer.write(data)
        try:
            async with asyncio.timeout(self._limits.send_s):
                await self._writer.drain()
        except TimeoutError:
            self.cut()
            raise ConnectionAbortedError("whoever asked does not read the answer") from None


Handler = Callable[[Request, Reply], Awaitable[None]]
Admit = Callable[[Head], Refusal | None]


class Connection:
    """Serves one connection until it ends."""

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        handler: Handler,
        admit: Admit,
        limits: Limits,
        held: Held,
    ) -> None:
        self._reader, self._writer = streams
        self._handler, self._admit, self._limits, self._held = handler, admit, limits, held
        self._piece = min(_READ, limits.head_bytes)
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)

    async def serve(self) -> None:
        """Answer requests until either side has had enough."""
        try:
            while await self._one():
                self._http.start_next_cycle()
        except (OSError, TimeoutError, h11.LocalProtocolError):
            pass  # whoever asked is gone, or takes longer than anybody needs
        finally:
            self._writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await self._writer.wait_closed()

    async def _one(self) -> bool:
        """Read and answer one request; whether another may follow."""
        reply = Reply(self._http, self._writer, self._limits)
        held = 0
        try:
            head = await self._head()
            if head is None:
                return False
            body = await self._body(head)
            held = len(body)
            self._held.bytes += held
            await self._answer(Request(head, body), reply)
        except _Refused as refused:
            await self._refuse(reply, refused.refusal)
        except h11.RemoteProtocolError as error:
            await self._refuse(reply, Refusal(error.error_status_hint or 400, b"not a request\n"))
        finally:
            self._held.bytes -= held
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE and not reply.was_cut

    async def _refuse(self, reply: Reply, refusal: Refusal) -> None:
        """Answer, and read on a little: closing with unread bytes would take the answer away again."""
        if reply.started or self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        headers = {**refusal.headers, "connection": "close"}
        await reply.whole(Refusal(refusal.status, refusal.body, headers))
        with suppress(OSError, TimeoutError):
            self._writer.write_eof()
            async with asyncio.timeout(2):
                left = _LINGER
                while left > 0 and (data := await self._reader.read(_READ)):
                    left -= len(data)

    async def _head(self) -> Head | None:
        """The next head; None at the end of the connection. Raises _Refused."""
        event = self._http.next_event()
        if event is h11.NEED_DATA and not self._http.trailing_data[0]:
            async with asyncio.timeout(self._limits.idle_s):
                self._http.receive_data(await self._reader.read(self._piece))
        try:
            async with asyncio.timeout(self._limits.head_s):
                while event is h11.NEED_DATA or event is h11.PAUSED:
                    event = self._http.next_event()
                    if event is h11.NEED_DATA:
                        self._http.receive_data(await self._reader.read(self._piece))
        except TimeoutError:
            raise _Refused(Refusal(408, b"the head of the request did not come\n")) from None
        if not isinstance(event, h11.Request):
            return None
        if event.http_version not in (b"1.0", b"1.1"):
            raise _Refused(Refusal(505, b"this version is not spoken here\n"))
        head = _head_of(event)
        refusal = self._admit(head)
        if refusal is not None:
            raise _Refused(refusal)
        return head

    async def _body(self, head: Head) -> bytes:
        """The body. Raises _Refused for one that is too large or too slow, or whose length is told twice."""
        names = [name for name, _ in head.headers]
        if "transfer-encoding" in names and "content-length" in names:
            raise _Refused(Refusal(400, b"two lengths of one body\n"))
        self._check_size(int(head.header("content-length") or 0))
        if self._http.they_are_waiting_for_100_continue:
            self._writer.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        pieces, size = list[bytes](), 0
        loop = asyncio.get_running_loop()
        start = loop.time() + self._limits.body_s
        try:
            async with asyncio.timeout_at(start) as deadline:
                while not isinstance(event := self._http.next_event(), h11.EndOfMessage):
                    if isinstance(event, h11.Data):
                        size += len(event.data)
                        self._check_size(size)
                        pieces.append(bytes(event.data))
                        deadline.reschedule(start + size / _RATE)
                    elif event is h11.NEED_DATA:
                        self._http.receive_data(await self._reader.read(_READ))
                    else:
                        raise ConnectionResetError("gone in the middle of a body")
        except TimeoutError:
            raise _Refused(Refusal(408, b"the body of the request did not come\n")) from None
        return b"".join(pieces)

    def _check_size(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise _Refused(Refusal(413, f"more than {self._limits.body_bytes} bytes\n".encode()))
        if self._held.bytes + size > self._limits.held_bytes:
            raise _Refused(Refusal(503, b"too much at once\n", {"retry-after": "1"}))

    async def _answer(self, request: Request, reply: Reply) -> None:
        """Let the handler answer; it is cancelled when whoever asked goes away."""
        work = asyncio.ensure_future(self._handler(request, reply))
        gone = asyncio.ensure_future(self._gone())
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reply.gone = gone.done() and not work.done()
            gone.cancel()
            if not work.done():
                work.cancel()
            await _settle(work, gone)
        if not work.cancelled() and (problem := work.exception()) is not None:
            raise problem

    async def _gone(self) -> None:
        """Returns when the other side closed; keeps a little of what it sends ahead."""
        ahead = 0
        while ahead < _PIPELINED:
            data = await self._reader.read(_READ)
            if not data:
                return
            ahead += len(data)
            self._http.receive_data(data)
        await asyncio.Event().wait()


def _head_of(event: h11.Request) -> Head:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers)
    return Head(event.method.decode("latin-1"), event.target.decode("latin-1"), headers)


async def _settle(*tasks: "asyncio.Future[None]") -> None:
    """Wait for the end of tasks, whatever it is."""
    pending: Sequence[asyncio.Future[None]] = [task for task in tasks if not task.done()]
    if pending:
        await asyncio.wait(pending)
