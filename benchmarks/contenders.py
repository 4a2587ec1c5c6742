"""The ways of running a command in a container that `benchmarks/steps.py` compares, behind one protocol."""

# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# The peers are no dependencies of this package.

import asyncio
import json
import logging
import os
import tempfile
import time
from typing import Any, Protocol

from trajectory_hub.envs.config import EnvConfig
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.pool import SandboxPool
from trajectory_hub.envs.registration import make_env
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
from trajectory_hub.envs.task import Provenance, Task

__all__ = ["Contender", "Env", "Floor", "MiniSweAgent", "RawSandbox", "SweRex", "bench_task"]


class Contender(Protocol):
    """Something that runs commands in a container of its own."""

    name: str

    def open(self) -> None:
        """Start the container."""
        ...

    def run(self, command: str, timeout: float = 60.0) -> Any:
        """Run a command to its end or its deadline."""
        ...

    def close(self) -> None:
        """Remove the container."""
        ...


def bench_task(image: str, workdir: str) -> Task:
    """The task whose image the benchmark uses."""
    return Task(
        instance_id="bench__bench-1",
        repo="bench/bench",
        base_commit="",
        image=image,
        workdir=workdir,
        problem_statement="Nothing to solve.",
        provenance=Provenance(source="task_repo"),
    )


class Floor:
    """One attached shell and a marker line after each command: no limits, no telemetry, no deadline, no safety."""

    name = "attached shell"

    def __init__(self, engine: Engine, image: str, workdir: str) -> None:
        self._engine, self._image, self._workdir = engine, image, workdir

    def open(self) -> None:
        api = self._engine.api
        host = api.create_host_config(init=True)
        made = api.create_container(self._image, ["sleep", "infinity"], host_config=host, labels=self._engine.labels())
        self._id = made["Id"]
        api.start(self._id)
        entered = api.exec_create(self._id, ["sh"], stdin=True, workdir=self._workdir)
        self._attached = api.exec_start(entered["Id"], socket=True)
        self._sock = self._attached._sock

    def run(self, command: str, timeout: float = 60.0) -> bytes:
        self._sock.sendall(f"{command}\nprintf '\\nEND%d\\n' $?\n".encode())
        seen = b""
        while b"\nEND" not in seen:
            seen += self._sock.recv(1 << 16)
        return seen

    def close(self) -> None:
        self._attached._response.close()
        self._sock.close()
        self._engine.remove(self._id)


class RawSandbox:
    """Our sandbox without the environment around it."""

    name = "sandbox.run"

    def __init__(self, engine: Engine, image: str, workdir: str) -> None:
        self._engine, self._config = engine, SandboxConfig(image=image, workdir=workdir)

    def open(self) -> None:
        self._sandbox = Sandbox(self._engine, self._config)

    def run(self, command: str, timeout: float = 60.0) -> Any:
        return self._sandbox.run(command, timeout=timeout)

    def close(self) -> None:
        self._sandbox.close()


class Env:
    """`SWEBench-v0` as its users get it: the `shell` tool, reward and record included."""

    name = "env.step"

    def __init__(self, engine: Engine, image: str, workdir: str, *, warm: bool = False) -> None:
        self._task = bench_task(image, workdir)
        self._engine = engine
        self._warm = warm
        self.name = "env.step (warm)" if warm else "env.step"
        self._record = tempfile.mkdtemp(prefix="trajhub-bench-")
        self._config = EnvConfig(max_steps=1_000_000, observation_limit=1 << 40, time_limit=86_400, warm=int(warm))
        self._pool: SandboxPool | None = None

    def open(self) -> None:
        self._pool = SandboxPool(self._engine, int(self._warm))
        self.env = make_env(
            tasks=[self._task], config=self._config, engine=self._engine, pool=self._pool, record=self._record
        )
        self.env.reset()

    def reset(self) -> None:
        """Another episode."""
        self.env.reset()

    def run(self, command: str, timeout: float = 60.0) -> Any:
        arguments = {"command": command, "timeout": timeout}
        return self.env.step(json.dumps({"name": "shell", "arguments": arguments}))

    def close(self) -> None:
        self.env.close()
        if self._pool is not None:
            self._pool.close()


class MiniSweAgent:
    """mini-swe-agent's Docker environment, as it comes."""

    name = "mini-swe-agent"

    def __init__(self, image: str, workdir: str) -> None:
        os.environ.setdefault("MSWEA_SILENT_STARTUP", "1")
        from minisweagent.environments.docker import DockerEnvironment

        self._make: Any = lambda: DockerEnvironment(image=image, cwd=workdir)

    def open(self) -> None:
        self._environment = self._make()

    def run(self, command: str, timeout: float = 60.0) -> Any:
        return self._environment.execute({"command": command}, timeout=int(max(timeout, 1)))

    def close(self) -> None:
        """Its own clean-up, waited for: it leaves `docker stop` to a shell in the background."""
        import subprocess

        container = self._environment.container_id
        self._environment.cleanup()
        while subprocess.run(["docker", "inspect", container], capture_output=True, check=False).returncode == 0:
            time.sleep(0.01)


class SweRex:
    """swe-rex's Docker deployment, its server already installed in the image."""

    def __init__(self, image: str, *, check: str = "silent") -> None:
        logging.disable(logging.INFO)
        from swerex.deployment.docker import DockerDeployment

        self.name = "swe-rex" if check == "silent" else f"swe-rex (check={check})"
        self._check = check
        self._make: Any = lambda: DockerDeployment(image=image, pull="never", remove_container=True)
        self._loop = asyncio.new_event_loop()

    def open(self) -> None:
        from swerex.runtime.abstract import CreateBashSessionRequest

        self._deployment = self._make()
        self._wait(self._deployment.start())
        self._wait(self._deployment.runtime.create_session(CreateBashSessionRequest()))
        self.run("cd /testbed")

    def run(self, command: str, timeout: float = 60.0) -> Any:
        from swerex.runtime.abstract import BashAction

        action: Any = BashAction(command=command, timeout=timeout, check=self._check)  # pyright: ignore
        return self._wait(self._deployment.runtime.run_in_session(action))

    def close(self) -> None:
        self._wait(self._deployment.stop())

    def _wait(self, task: Any) -> Any:
        return self._loop.run_until_complete(task)
