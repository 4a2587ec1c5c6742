"""No container outlives its run, whatever killed the run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest
from trajectory_hub.envs.engine import Engine, Owner
from trajectory_hub.envs.images import build_image
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
from trajectory_hub.envs.task import Task

pytestmark = pytest.mark.docker

_PROGRAM = """
import sys, time
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
sandbox = Sandbox(Engine(), SandboxConfig(image=sys.argv[1]))
print(sandbox.container_id, flush=True)
sandbox.run("sleep 1000", timeout=1000)
"""


def _killed_owner(image: str) -> str:
    """Start a process that owns a sandbox with a command running in it, SIGKILL it; the container's id."""
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, image], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    container_id = process.stdout.readline().strip()
    time.sleep(0.3)  # its command may have begun by then, or not
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return container_id


def _ids(engine: Engine) -> set[str]:
    return {box["Id"] for box in engine.containers()}


def test_the_next_start_removes_what_a_killed_process_left(engine: Engine, tiny_task: Task) -> None:
    container_id = _killed_owner(tiny_task.require_image())
    assert container_id in _ids(engine)
    assert container_id in engine.sweep()
    assert container_id not in _ids(engine)


def test_clean_removes_what_a_killed_process_left_and_nothing_else(engine: Engine, tiny_task: Task) -> None:
    container_id = _killed_owner(tiny_task.require_image())
    with Sandbox(engine, SandboxConfig(image=tiny_task.require_image())) as mine:
        command = [sys.executable, "-m", "trajectory_hub", "clean", "--json"]
        dry = json.loads(subprocess.run([*command, "--dry-run"], capture_output=True, check=True).stdout)
        assert container_id[:12] in {box["id"] for box in dry["containers"]}
        assert container_id in _ids(engine)
        done = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        assert container_id[:12] in {box["id"] for box in done["containers"]}
        assert container_id not in _ids(engine)
        assert mine.run("echo mine").text == "mine\n"


def test_an_owner_is_known_by_more_than_its_number() -> None:
    me = Owner.current()
    assert Owner.parse(str(me)) is not None
    assert me.here
    assert me.alive
    other = Owner(me.host, me.pid, "1")
    assert other.here
    assert not other.alive
    assert not Owner("elsewhere:pid:[1]", me.pid, me.started).here
    assert Owner.parse("something else") is None


def test_a_zombie_owns_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    started = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    owner = Owner(Owner.current().host, child.pid, started)
    assert owner.alive
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not collected
    assert not owner.alive
    child.stdin.close()
    child.wait()


def test_an_image_is_removed_unless_a_container_has_it(engine: Engine) -> None:
    name = f"trajhub/test-removed:{uuid4().hex[:12]}"
    build_image(engine, name, {"Dockerfile": b"FROM scratch\nCOPY a /a\n", "a": name.encode()})
    container = engine.client.containers.create(name, ["/a"])
    assert name in engine.image_names("trajhub/test-removed")
    assert not engine.remove_image(name)
    container.remove()
    assert engine.remove_image(name)
    assert engine.remove_image(name), "somebody else may have been quicker"
    assert name not in engine.image_names("trajhub/test-removed")
