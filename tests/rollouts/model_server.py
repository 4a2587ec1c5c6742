"""Real model servers for tests: vLLM on this machine's CPUs with a tiny random model (scripts/local_server.sh)."""

import os
import signal
import socket
import subprocess
import time
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Self

import httpx
from trajectory_hub.rollouts.serving import ModelServer, ServeConfig
from trajectory_hub.rollouts.serving.guard import descendants

SCRIPT = Path(__file__).parents[2] / "scripts" / "local_server.sh"


RECIPE = SCRIPT.parents[1] / "tests" / "support" / "tiny_model.py"
STRICT = (
    *("--tool-strict-level", "parameter"),
    *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
)
"""Arguments that make even random weights give valid calls at the chat endpoint."""


@cache
def installed() -> tuple[str, Path]:
    """Python of an environment with vLLM, and the tiny model's folder; both are made when they are not there."""
    done = subprocess.run(["bash", str(SCRIPT), "install"], check=True, timeout=800, capture_output=True, text=True)
    python = done.stdout.strip()
    return python, Path(python).parents[2] / f"tiny-{sha256(RECIPE.read_bytes()).hexdigest()[:8]}"


class Served:
    """The tiny model, served as `trajhub serve` does it."""

    def __init__(self, logs: Path) -> None:
        python, model = installed()
        config = ServeConfig(
            model=str(model),
            name="tiny",
            python=python,
            dtype="float32",
            max_model_len=8192,
            kv_cache_gib=1,
            tool_parser="hermes",
            backoff=0.1,
            extra_args=STRICT,
        )
        self.model = ModelServer(config, logs=logs)
        self.url = self.model.base_url

    def __enter__(self) -> Self:
        self.model.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.model.close()

    def halt(self) -> None:
        """Stop all of vLLM's processes where they are; `kill` ends that."""
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def kill(self) -> None:
        """End vLLM's first process as an out-of-memory killer would; the watcher starts another."""
        os.kill(self._processes()[0], signal.SIGKILL)

    def _processes(self) -> list[int]:
        (replica,) = self.model.replicas
        assert replica.pid is not None
        return descendants(replica.pid)

    def post(self, path: str, **body: object) -> dict[str, object]:
        """Ask the server for something."""
        answer = httpx.post(f"{self.model.root}{path}", json={"model": "tiny", **body}, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()


class Server:
    """The script itself; `kill` ends it as an out-of-memory killer would."""

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
