"""A server that starts at once and tells its process and what it was sent: `small_server.py PORT [SECONDS_TO_LIVE]`.

On SIGUSR1, and at the end of its time, it ends with status 7.
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        counters = 'vllm:prompt_tokens_total{engine="0"} 10.0\nvllm:prompt_tokens_total{engine="1"} 5.0\n'
        self._answer((counters if self.path == "/metrics" else "ok").encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(body.get("seconds", 0))
        if body.get("die"):
            os._exit(1)
        told = {"pid": os.getpid(), "path": self.path, "session": self.headers.get("X-Session-ID"), "body": body}
        self._answer(json.dumps(told).encode())

    def _answer(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _end(*_: object) -> None:
    os._exit(7)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _end)
    if len(sys.argv) > 2:
        threading.Timer(float(sys.argv[2]), _end).start()
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
