"""One URL for several replicas: each request goes to the least loaded, each conversation where its prefix is cached.

A request may name its conversation in the header `X-Session-ID`; its requests then stay with one replica, whose prefix
cache holds what was said, unless that one is down or much busier than another. A request whose replica dies is given
to another one: nothing was answered yet, so nothing is answered twice. Answers are passed on whole, streams included.
"""

import asyncio
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import responses
from typing import Protocol

import httpx

from ...errors import InfrastructureError
from .metrics import counters_in, page_of, total

__all__ = ["Backend", "Router"]

_HEAD_LIMIT = 1 << 16
_BODY_LIMIT = 1 << 28
_SESSIONS = 20_000
_SLACK = 8
"""Requests under way by which a conversation's replica may be ahead of the least loaded one."""
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host", "expect"}


class Backend(Protocol):
    """What the router needs to know of a replica."""

    root: str

    @property
    def ready(self) -> bool:
        """Whether it can be asked."""
        ...


@dataclass(slots=True)
class _Seat:
    backend: Backend
    busy: int = 0


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict[str, str])


class Router:
    """Listens on `host:port` in a thread of its own, between `start` and `stop`."""

    def __init__(self, host: str, port: int, backends: Sequence[Backend]) -> None:
        self.host, self.port = host, port
        self._seats = [_Seat(backend) for backend in backends]
        self._sessions = OrderedDict[str, _Seat]()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._problem: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="trajhub-router", daemon=True)

    def start(self) -> None:
        """Begin to listen. Raises InfrastructureError when the port is taken."""
        self._thread.start()
        self._listening.wait()
        if self._problem is not None:
            raise InfrastructureError(f"cannot listen on {self.host}:{self.port}: {self._problem.strerror}")

    def stop(self) -> None:
        """Stop listening; what is under way is dropped."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._end = asyncio.Event()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=256)
        async with httpx.AsyncClient(timeout=None, limits=limits, trust_env=False) as self._client:
            try:
                server = await asyncio.start_server(self._connection, self.host, self.port, limit=_HEAD_LIMIT)
            except OSError as error:
                self._problem = error
                return
            finally:
                self._listening.set()
            await self._end.wait()
            server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Requests of one connection, one after another."""
        try:
            while (request := await _read(reader)) is not None:
                answer = await self._answer_unless_gone(request, reader)
                if answer is None:
                    return
                writer.write(_encode(answer))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # whoever asked is gone, or does not speak HTTP
        finally:
            writer.close()

    async def _answer_unless_gone(self, request: _Request, reader: asyncio.StreamReader) -> _Answer | None:
        """The answer; None, and the replica is told to stop, when whoever asked has gone."""
        work = asyncio.ensure_future(self._answer(request))
        while True:
            done, _ = await asyncio.wait({work}, timeout=0.25)
            if done:
                return work.result()
            if reader.at_eof():
                work.cancel()
                return None

    async def _answer(self, request: _Request) -> _Answer:
        if request.path == "/health":
            alive = any(seat.backend.ready for seat in self._seats)
            return _Answer(200 if alive else 503, b"")
        if request.path == "/metrics":
            return await self._metrics()
        if request.path == "/replicas":
            shown = [{"url": s.backend.root, "ready": s.backend.ready, "busy": s.busy} for s in self._seats]
            return _Answer(200, json.dumps(shown).encode(), {"content-type": "application/json"})
        return await self._forward(request)

    async def _forward(self, request: _Request) -> _Answer:
        session, tried = request.headers.get("x-session-id"), list[_Seat]()
        while (seat := self._choose(session, tried)) is not None:
            tried.append(seat)
            seat.busy += 1
            try:
                return await self._ask(seat, request)
            except httpx.HTTPError:
                continue
            finally:
                seat.busy -= 1
        said = {"error": {"message": "no replica answers; one that died is being restarted", "code": 503}}
        return _Answer(503, json.dumps(said).encode(), {"content-type": "application/json", "retry-after": "1"})

    async def _ask(self, seat: _Seat, request: _Request) -> _Answer:
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        url = seat.backend.root + request.path
        answer = await self._client.request(request.method, url, headers=headers, content=request.body)
        kept = {name: value for name, value in answer.headers.items() if name not in _HOP}
        return _Answer(answer.status_code, answer.content, kept)

    def _choose(self, session: str | None, tried: Sequence[_Seat]) -> _Seat | None:
        """The replica to ask next; None when all were tried or none is up."""
        up = [seat for seat in self._seats if seat.backend.ready and seat not in tried]
        if not up:
            return None
        least = min(up, key=lambda seat: seat.busy)
        if session is None:
            return least
        home = self._sessions.get(session)
        if home not in up or home.busy > least.busy + _SLACK:
            home = least
        self._sessions[session] = home
        self._sessions.move_to_end(session)
        if len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return home

    async def _metrics(self) -> _Answer:
        """The sum of the counters of all replicas."""
        parts = list[dict[str, float]]()
        for seat in self._seats:
            try:
                parts.append(counters_in((await self._client.get(f"{seat.backend.root}/metrics", timeout=5)).text))
            except httpx.HTTPError:
                continue
        return _Answer(200, page_of(total(parts)).encode(), {"content-type": "text/plain; version=0.0.4"})


async def _read(reader: asyncio.StreamReader) -> _Request | None:
    """The next request; None at the end of the connection. Raises ValueError for what is none."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = dict[str, str]()
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    if "transfer-encoding" in headers or not 0 <= length <= _BODY_LIMIT:
        raise ValueError("a request without its length")
    return _Request(method, path, headers, await reader.readexactly(length))


def _encode(answer: _Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, '')}", f"content-length: {len(answer.body)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body
