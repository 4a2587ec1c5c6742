"""The server of this machine against clients that are slow, broken or hostile."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from trajectory_hub.rollouts.loopback import Head, HttpServer, Limits, Refusal, Reply, Request, listen_on_loopback

LIMITS = Limits(
    head_bytes=4096,
    body_bytes=10_000,
    held_bytes=15_000,
    connections=20,
    head_s=1.0,
    idle_s=2.5,
    body_s=1.0,
    send_s=1.0,
)


class Echo:
    """Says what it was asked."""

    def __init__(self) -> None:
        self.asked = list[Request]()
        self.gone, self.cut_off = threading.Event(), threading.Event()
        self.server = HttpServer(listen_on_loopback("127.0.0.1", 0), self.handle, admit=self.admit, limits=LIMITS)

    def admit(self, head: Head) -> Refusal | None:
        return Refusal(403, b"no") if head.target == "/no" else None

    async def handle(self, request: Request, reply: Reply) -> None:
        self.asked.append(request)
        if request.head.target == "/wait":
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self.gone.set()
                raise
        if request.head.target == "/flood":
            await reply.start(200)
            try:
                while True:
                    await reply.send(b"x" * 65536)
            finally:
                self.cut_off.set()
        told = {"method": request.head.method, "target": request.head.target, "bytes": len(request.body)}
        await reply.whole(Refusal(200, json.dumps(told).encode()))


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    made.server.start()
    yield made
    made.server.close()


def connect(echo: Echo) -> socket.socket:
    host, _, port = echo.server.address.partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def talk(echo: Echo, data: bytes) -> bytes:
    """Send bytes and read until the server closes."""
    with connect(echo) as client:
        client.sendall(data)
        return read_all(client)


def read_all(client: socket.socket) -> bytes:
    answer = b""
    while True:
        try:
            data = client.recv(65536)
        except ConnectionError:
            return answer
        if not data:
            return answer
        answer += data


def works(echo: Echo) -> bool:
    return httpx.post(f"http://{echo.server.address}/", content=b"abc").json()["bytes"] == 3


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"431"),
        (b"GET /" + b"x" * 9000, b"431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", b"505"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10001\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", b"400"),
        (b"POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n", b"403"),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(echo: Echo, sent: bytes, status: bytes) -> None:
    answer = talk(echo, sent)
    assert answer.split(b" ")[1] == status
    assert answer.count(b"HTTP/1.1 ") == 1
    assert echo.asked == []
    assert works(echo)


def test_two_requests_in_one_body_stay_one(echo: Echo) -> None:
    """What could be smuggled behind a body is a request of its own, or none: framing is decided once."""
    inner = b"POST /smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    outer = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(inner)
    answer = talk(echo, outer + inner + b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200") == 2
    assert [request.head.target for request in echo.asked] == ["/", "/last"]
    assert echo.asked[0].body == inner


@pytest.mark.parametrize(
    "head",
    [
        b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
        b"GET http://elsewhere/ HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\r\n",
    ],
)
def test_tunnels_and_upgrades_lead_nowhere(echo: Echo, head: bytes) -> None:
    """The handler sees what was asked and answers like any other request; no tunnel is opened."""
    answer = talk(echo, head)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"101" not in answer.split(b"\r\n")[0]
    assert works(echo)


def test_slow_heads_and_bodies_end(echo: Echo) -> None:
    slow = [
        (b"GET / HT", b"408"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc", b"408"),
        (b"", b""),
    ]
    started = time.monotonic()
    for sent, status in slow:
        answer = talk(echo, sent)
        assert (answer.split(b" ")[1] if answer else b"") == status
    assert time.monotonic() - started < 60
    assert works(echo)


def test_trickling_a_head_does_not_prolong_it(echo: Echo) -> None:
    with connect(echo) as client:
        started = time.monotonic()
        for byte in b"GET / HTTP/1.1\r\nX: " + b"y" * 1000:
            try:
                client.sendall(bytes((byte,)))
            except ConnectionError:
                break
            time.sleep(0.02)
        assert time.monotonic() - started < 18
    assert works(echo)


def test_idle_connections_keep_nobody_out(echo: Echo) -> None:
    idle = [connect(echo) for _ in range(LIMITS.connections)]
    time.sleep(0.2)
    with pytest.raises(httpx.HTTPError):
        works(echo)
    time.sleep(LIMITS.idle_s + 1)
    assert works(echo)
    for client in idle:
        client.close()


def test_bodies_of_all_together_are_bounded(echo: Echo) -> None:
    head = b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n"
    with connect(echo) as first:
        first.sendall(head + b"x" * 9000)
        while not echo.asked:
            time.sleep(0.01)
        assert b" 503 " in talk(echo, head)
    assert echo.gone.wait(60)
    assert works(echo)


def test_a_client_that_goes_away_ends_its_request(echo: Echo) -> None:
    client = connect(echo)
    client.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    while not echo.asked:
        time.sleep(0.01)
    client.close()
    assert echo.gone.wait(60)


def test_a_client_that_does_not_read_is_cut_off(echo: Echo) -> None:
    with connect(echo) as client:
        client.sendall(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
        assert echo.cut_off.wait(60)
        answer = read_all(client)
    assert not answer.endswith(b"0\r\n\r\n")
    assert works(echo)


def test_requests_of_one_connection_are_answered_in_turn(echo: Echo) -> None:
    one = b"POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    last = b"HEAD /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n"
    answer = talk(echo, b"".join(one % number for number in range(5)) + last)
    assert [request.head.target for request in echo.asked] == [*(f"/{number}" for number in range(5)), "/last"]
    assert answer.count(b'"bytes": 3') == 5
    assert answer.endswith(b"\r\n\r\n")
