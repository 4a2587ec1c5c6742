"""Fixtures of the sandbox tests: a bare image without bash, git or Python, and an engine of its own to kill."""

import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import EngineUnavailable

BARE = "trajhub/test-bare:1"
_PROGRAMS = ("dash", "cat", "head", "ls", "mkdir", "sleep", "setsid", "rm", "wc")


def _bare_root() -> bytes:
    """A root file system of a POSIX shell and a handful of programs, taken from this machine with their libraries."""
    paths: set[Path] = set()
    for program in _PROGRAMS:
        found = shutil.which(program)
        assert found, f"this machine has no {program}"
        paths.add(Path(found).resolve())
    for program in list(paths):
        listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
        paths |= {Path(word) for word in listed.split() if word.startswith("/")}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("tmp", "repo", "proc", "dev", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            archive.addfile(entry)
        for path in sorted(paths):
            entry = archive.gettarinfo(str(path.resolve()), arcname=_inside(path))
            with path.resolve().open("rb") as file:
                archive.addfile(entry, file)
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "dash"
        archive.addfile(link)
    return buffer.getvalue()


def _inside(path: Path) -> str:
    return f"bin/{path.name}" if path.name in _PROGRAMS else str(path).lstrip("/")


@pytest.fixture(scope="session")
def bare_root() -> bytes:
    """A tar of a file system that holds little more than a POSIX shell."""
    return _bare_root()


@pytest.fixture(scope="session")
def bare_image(engine: Engine, bare_root: bytes) -> str:
    """An image without bash, git or Python."""
    engine.api.import_image_from_data(bare_root, repository=BARE.split(":")[0], tag=BARE.split(":")[1])
    return BARE


@pytest.fixture(params=["debian", "bare"])
def sandbox(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Sandbox]:
    """A small sandbox: on a full image with bash, and on one with nothing but a POSIX shell."""
    if request.param == "debian":
        task: Task = request.getfixturevalue("tiny_task")
        config = SandboxConfig(image=task.require_image(), memory_mb=256, pids=64, disk_mb=64, command_timeout=60)
    else:
        image: str = request.getfixturevalue("bare_image")
        config = SandboxConfig(image=image, workdir="/repo", memory_mb=256, pids=64, disk_mb=64, command_timeout=60)
    with Sandbox(engine, config) as made:
        yield made


@pytest.fixture
def debian(engine: Engine, tiny_task: Task) -> Iterator[Sandbox]:
    """A small sandbox of the tiny task."""
    config = SandboxConfig(
        image=tiny_task.require_image(), base_commit=tiny_task.base_commit, memory_mb=256, pids=64, disk_mb=64
    )
    with Sandbox(engine, config) as made:
        yield made


class PrivateEngine:
    """A Docker daemon of the test's own, which it may kill; its containerd is a service apart, as everywhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/docker.sock"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._containerd: subprocess.Popen[bytes] | None = None

    def start(self) -> Engine:
        """Start the daemon (again) and connect to it."""
        if shutil.which("dockerd") is None or os.geteuid() != 0:
            pytest.skip("a daemon that may be killed needs `dockerd` and root")
        if self._containerd is None:
            folders = [f"--root={self.folder}/c/root", f"--state={self.folder}/c/state"]
            self._containerd = self._spawn("containerd", f"--address={self.folder}/c.sock", *folders)
        (self.folder / "docker.pid").unlink(missing_ok=True)
        # In a network of its own: a daemon without a bridge removes the one of the daemon beside it.
        self._daemon = self._spawn(
            "unshare",
            "--net",
            "dockerd",
            f"--host={self.url}",
            f"--containerd={self.folder}/c.sock",
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/docker.pid",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                return Engine(self.url)
            except EngineUnavailable:
                time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text()[-3000:])

    def kill(self) -> None:
        """The daemon dies without a word."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGKILL)
        self._daemon.wait()

    def stop(self) -> None:
        """Stop the daemon and everything of it."""
        for process in (self._daemon, self._containerd):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(timeout=60)

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)


@pytest.fixture
def private_engine() -> Iterator[PrivateEngine]:
    """A daemon beside the real one. Its folder has a short name: sockets allow no long ones."""
    folder = Path(tempfile.mkdtemp(prefix="tj", dir="/tmp"))
    private = PrivateEngine(folder)
    yield private
    private.stop()
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]
    for mount in reversed(mounts):
        subprocess.run(["umount", mount], check=False)
    shutil.rmtree(folder, ignore_errors=True)
