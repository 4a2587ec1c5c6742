"""An HTTP server that answers chat requests as a test tells it, for faults a real server cannot produce on demand."""

import json
import socket
import struct
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What to answer; `cut` closes the connection in the middle of the answer."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: bool = False
    delay: float = 0.0
    """Seconds before the answer."""


@dataclass
class Seen:
    """What the server was sent."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    keys: list[str | None] = field(default_factory=list[str | None])


def message(
    content: str | None = None, calls: Sequence[tuple[str, str]] = (), usage: dict[str, Any] | None = None
) -> Reply:
    """A completion with tool calls of (name, raw arguments)."""
    tool_calls = [
        {"id": f"call-{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(calls)
    ]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, "tool_calls": tool_calls},
        "finish_reason": "tool_calls" if calls else "stop",
    }
    said = {"prompt_tokens": 100, "completion_tokens": 10} if usage is None else usage
    return Reply(body={"model": "m-1", "choices": [choice], "usage": said})


@contextmanager
def serving(*replies: Reply) -> Generator[Seen]:
    """Give the replies in order, the last one again and again."""
    seen, left, lock = Seen(), list(replies), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            seen.bodies.append(json.loads(self.rfile.read(length)))
            seen.keys.append(self.headers.get("Authorization"))
            with lock:
                reply = left.pop(0) if len(left) > 1 else left[0]
            time.sleep(reply.delay)
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data) + (100 if reply.cut else 0)))
            self.end_headers()
            self.wfile.write(data)
            if reply.cut:
                # A reset, not an orderly end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:
            pass

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
