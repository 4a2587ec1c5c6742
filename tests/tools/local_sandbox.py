"""A sandbox without isolation: a real POSIX shell in a folder of this machine, for tests of the tools."""

import hashlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from trajectory_hub.tools.base import CommandResult, Telemetry


@dataclass
class LocalSandbox:
    """Satisfies `SandboxProtocol`; `env` replaces the environment, so that programs can be made absent."""

    workdir: str
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    default_timeout: float = 60.0
    commands: list[str] = field(default_factory=list[str])
    """Every command that was run."""

    def run(self, command: str, *, timeout: float | None = None, output_limit: int | None = None) -> CommandResult:
        self.commands.append(command)
        started, timed_out = time.monotonic(), False
        process = subprocess.Popen(
            ["sh", "-c", command],
            cwd=self.workdir,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout or self.default_timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, timed_out = process.communicate()[0], True
        return CommandResult(
            exit_code=None if timed_out else process.returncode,
            output=_head_and_tail(output, output_limit),
            total_bytes=len(output),
            sha256=hashlib.sha256(output).hexdigest(),
            timed_out=timed_out,
            telemetry=Telemetry(wall_ms=(time.monotonic() - started) * 1000),
        )

    def read_file(self, path: str, *, limit: int | None = None) -> bytes:
        with Path(self.workdir, path).open("rb") as stream:
            return stream.read() if limit is None else stream.read(limit)

    def write_file(self, path: str, data: bytes) -> None:
        target = Path(self.workdir, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def close(self) -> None:
        pass


def _head_and_tail(output: bytes, limit: int | None) -> bytes:
    if limit is None or len(output) <= limit:
        return output
    half = limit // 2
    return output[:half] + b"\n[... left out ...]\n" + output[-half:]
