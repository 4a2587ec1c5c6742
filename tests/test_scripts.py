"""What the scripts say when something is missing: what it is, how to get it, and exit code 3."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


class Checkout:
    """A copy of the scripts beside the project's settings, with programs of its own in front of the real ones."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        shutil.copytree(ROOT / "scripts", self.root / "scripts")
        shutil.copy(ROOT / "pyproject.toml", self.root)
        self.programs = folder / "programs"
        self.programs.mkdir()

    def program(self, name: str, script: str) -> None:
        """Put a shell script in front of a program."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def install(self, extras: str, *, prefix: str = "") -> None:
        """Pretend that the environment was made; its Python is the real one, run by way of `prefix`."""
        binaries = self.root / ".venv" / "bin"
        binaries.mkdir(parents=True)
        python = binaries / "python"
        python.write_text(f'#!/bin/sh\nexec {prefix} {sys.executable} "$@"\n')
        python.chmod(0o755)
        digest = hashlib.sha256((self.root / "pyproject.toml").read_bytes()).hexdigest()
        (self.root / ".venv" / ".trajhub-installed").write_text(f"{extras} {self.root} {digest}  -\n")

    def run(self, script: str = "quickstart.sh", **env: str) -> subprocess.CompletedProcess[str]:
        """Run a script, its output and errors together."""
        environment = {key: value for key, value in os.environ.items() if key not in ("DOCKER_HOST", "PYTHON")}
        environment |= {"PATH": f"{self.programs}:{environment['PATH']}", **env}
        return subprocess.run(
            ["bash", str(self.root / "scripts" / script)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_no_python(checkout: Checkout) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        checkout.program(name, "exit 1")
    done = checkout.run()
    assert done.returncode == 3
    assert "no Python 3.11 or later" in done.stdout
    assert "PYTHON=/path/to/python3.11" in done.stdout


def test_no_package_index(checkout: Checkout) -> None:
    done = checkout.run(
        PYTHON=sys.executable, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0", UV_HTTP_RETRIES="0"
    )
    assert done.returncode == 3, done.stdout
    assert "dependencies could not be installed" in done.stdout
    assert "PIP_INDEX_URL" in done.stdout


def test_no_room(checkout: Checkout) -> None:
    checkout.program("df", "echo header; echo disk 100 99 1000 99% /")
    done = checkout.run(PYTHON=sys.executable)
    assert done.returncode == 3
    assert "0 GiB free" in done.stdout
    assert "make room" in done.stdout


@pytest.mark.parametrize(("script", "extras"), [("quickstart.sh", "[eval]"), ("test.sh", "[dev]")])
def test_named_engine_does_not_answer(checkout: Checkout, script: str, extras: str) -> None:
    checkout.install(extras)
    done = checkout.run(script, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 3
    assert "is up to date" in done.stdout
    assert "DOCKER_HOST is unix:///nowhere/docker.sock, and nothing answers there" in done.stdout


def test_named_browser_is_not_there(checkout: Checkout) -> None:
    checkout.install("[dev]")
    done = checkout.run("test.sh", TRAJHUB_CHROMIUM="/nowhere/chromium")
    assert done.returncode == 3
    assert "TRAJHUB_CHROMIUM is /nowhere/chromium, and there is no such program" in done.stdout


def test_a_browser_that_is_there_is_used(checkout: Checkout) -> None:
    checkout.install("[dev]")
    checkout.program("chromium", "exit 99")
    checkout.program("apt-get", "echo must not be called; exit 99")
    done = checkout.run("test.sh", DOCKER_HOST="unix:///nowhere/docker.sock", TRAJHUB_CHROMIUM="")
    assert done.returncode == 3
    assert str(checkout.programs / "chromium") in done.stdout
    assert "must not be called" not in done.stdout


def test_no_engine_and_no_root(checkout: Checkout) -> None:
    checkout.install("[eval]", prefix="env DOCKER_HOST=unix:///nowhere/docker.sock")
    checkout.program("id", "case $1 in -u) echo 1000;; *) echo someone;; esac")
    checkout.program("apt-get", "echo must not be called >&2; exit 99")
    done = checkout.run()
    assert done.returncode == 3
    assert "root" in done.stdout
    assert "docker" in done.stdout
    assert "must not be called" not in done.stdout


@pytest.mark.docker
def test_an_engine_that_answers_is_used_as_it_is(checkout: Checkout) -> None:
    checkout.install("[eval]")
    for name in ("dockerd", "systemctl", "apt-get"):
        checkout.program(name, f"echo {name} must not be called; exit 99")
    checkout.program("df", "echo header; echo disk 100 99 1000 99% /")  # stops it before it builds tasks
    done = checkout.run()
    assert done.returncode == 3, done.stdout
    assert "answers" in done.stdout
    assert "trajhub/python:3.11-" in done.stdout
    assert "must not be called" not in done.stdout
