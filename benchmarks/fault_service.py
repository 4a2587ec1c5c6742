"""A model's service that fails as it is told: a real HTTP server on this machine, asked by our real client."""

import json
import socket
import struct
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Answer", "Seen", "call", "closed_port", "service", "text"]


@dataclass(slots=True)
class Answer:
    """What the service does with a request."""

    status: int = 200
    body: Any = None
    """Sent as JSON; bytes are sent as they are."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: bool = False
    """Close the connection in the middle."""
    delay: float = 0.0
    """Seconds before anything is sent."""


@dataclass
class Seen:
    """What the service was sent."""

    url: str = ""
    """Where it is, with `/v1`."""
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    keys: list[str | None] = field(default_factory=list[str | None])
    """The `Authorization` of each request."""


def _completion(message: Mapping[str, Any], usage: Mapping[str, int] | None) -> Answer:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    said = usage or {"prompt_tokens": 100, "completion_tokens": 10}
    return Answer(body={"model": "m", "choices": [choice], "usage": said})


def text(content: str) -> Answer:
    """An answer that calls no tool."""
    return _completion({"content": content}, None)


def call(name: str, usage: Mapping[str, int] | None = None, **arguments: Any) -> Answer:
    """An answer that calls a tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return _completion({"tool_calls": [{"id": "c", "type": "function", "function": function}]}, usage)


@contextmanager
def service(answers: Sequence[Answer]) -> Generator[Seen]:
    """A service that gives the answers in order, the last one again and again."""
    seen, left, lock = Seen(), list(answers), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            seen.keys.append(self.headers.get("Authorization"))
            with lock:
                answer = left.pop(0) if len(left) > 1 else left[0]
            time.sleep(answer.delay)
            data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data) + (100 if answer.cut else 0)))
            self.end_headers()
            self.wfile.write(data)
            if answer.cut:
                # A reset, not an orderly end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is printed."""

        def handle(self) -> None:
            with suppress(ConnectionError, ValueError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    seen.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> str:
    """The URL of a service that nobody runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
