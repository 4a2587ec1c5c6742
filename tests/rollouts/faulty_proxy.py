"""A proxy before a real server that does to chosen requests what networks and services do."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx


@dataclass(frozen=True)
class Fault:
    """What happens to a request instead of being answered."""

    status: int | None = None
    """Answered with this, the server is not asked."""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    delay: float = 0.0
    """Seconds before the real answer is passed on."""
    cut: bool = False
    """The real answer breaks off in the middle."""


@dataclass
class Proxy:
    """What the proxy saw."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Bodies of completion requests, in order."""


Plan = Callable[[int, dict[str, Any]], Fault | None]
"""What happens to the completion request of that number, from 0."""


@contextmanager
def proxied(root: str, plan: Plan) -> Generator[Proxy]:
    """Stand before the server at `root`."""
    proxy, lock = Proxy(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on(httpx.get(root + self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fault = None
            if self.path.endswith("/completions"):
                with lock:
                    number = len(proxy.asked)
                    proxy.asked.append(json.loads(body))
                fault = plan(number, proxy.asked[number])
            if fault is not None and fault.status is not None:
                self._answer(fault.status, b'{"error": {"message": "a fault"}}', fault.headers)
                return
            headers = {"Content-Type": "application/json"}
            answer = httpx.post(root + self.path, content=body, headers=headers, timeout=120)
            self._pass_on(answer, fault)

        def _pass_on(self, answer: httpx.Response, fault: Fault | None = None) -> None:
            time.sleep(fault.delay if fault else 0)
            self._answer(answer.status_code, answer.content, {}, cut=bool(fault and fault.cut))

        def _answer(self, status: int, data: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if cut else data)
            if cut:
                # A reset, not an orderly end; the connection is open until this handler ends.
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError, ValueError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
