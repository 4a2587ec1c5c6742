"""A model that does two steps at once and waits at a gate before the third: what is then going on, a test decides."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .faulty import message

COMMANDS = ("echo one > one.txt", "echo two > two.txt", "echo three > three.txt")
HELD_AT = 2
"""Steps done when the model is asked what it does not answer before the gate is open."""


class Gate:
    """Where requests wait."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.policy = ""
        """For `--policy`."""
        self._arrived, self._held = threading.Condition(), 0

    def wait_for(self, count: int, seconds: float = 180) -> None:
        """Until so many episodes have come to the gate."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self._held >= count, seconds), f"only {self._held} of {count} came"

    def passing(self, done: int) -> None:
        """Called for a request after so many steps."""
        if done == HELD_AT:
            with self._arrived:
                self._held += 1
                self._arrived.notify_all()
            self.opened.wait(250)


@contextmanager
def gated() -> Generator[Gate]:
    """A model whose gate is closed."""
    gate = Gate()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            done = sum(one["role"] == "tool" for one in body["messages"])
            gate.passing(done)
            call = ("shell", json.dumps({"command": COMMANDS[done]})) if done < len(COMMANDS) else ("submit", "{}")
            data = json.dumps(message(None, [call]).body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError, ValueError):  # who asked may have been killed
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    gate.policy = f"chat:m-1@http://127.0.0.1:{server.server_port}/v1"
    try:
        yield gate
    finally:
        gate.opened.set()
        server.shutdown()
        server.server_close()
        thread.join()
