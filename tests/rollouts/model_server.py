"""A real model server for tests: vLLM on this machine's CPUs with a tiny random model (scripts/local_server.sh)."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx

SCRIPT = Path(__file__).parents[2] / "scripts" / "local_server.sh"


class Server:
    """A served model; `kill` ends it as an out-of-memory killer would."""

    def __init__(self, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.log = log
        with log.open("wb") as out:
            command = ["bash", str(SCRIPT), "serve", str(self.port)]
            self._process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)

    def wait(self, seconds: float = 300) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self.log.read_text()[-3000:]
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.5)
        raise AssertionError(self.log.read_text()[-3000:])

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
