"""Sandboxes on Podman's compatible socket: a service of the test's own, beside whatever else runs here."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from trajectory_hub.envs.container import Container
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
from trajectory_hub.errors import EngineUnavailable, SandboxLost

pytestmark = pytest.mark.docker
IMAGE = "localhost/trajhub-bare:1"


def _needed() -> str | None:
    """What a service of Podman's lacks here."""
    if os.geteuid() != 0:
        return "a private Podman service needs root"
    absent = [name for name in ("podman", "conmon") if shutil.which(name) is None]
    return f"this machine has no {' and no '.join(absent)}" if absent else None


@pytest.fixture(scope="module")
def podman(bare_root: bytes) -> Iterator[Engine]:
    """An engine that Podman answers for, with the bare image; nothing of it is left behind."""
    if why := _needed():
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp(prefix="tj", dir="/tmp"))
    (folder / "containers.conf").write_text('[engine]\nevents_logger = "file"\n')
    runtime = ("--runtime", "runc") if shutil.which("runc") else ()
    command = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", *runtime]
    command += ["--cgroup-manager", "cgroupfs", "--network-config-dir", f"{folder}/net"]
    environment = {**os.environ, "CONTAINERS_CONF": f"{folder}/containers.conf"}
    (folder / "bare.tar").write_bytes(bare_root)
    subprocess.run([*command, "import", f"{folder}/bare.tar", IMAGE], env=environment, check=True, capture_output=True)
    url = f"unix://{folder}/podman.sock"
    with (folder / "log").open("wb") as log:
        service = subprocess.Popen(
            [*command, "system", "service", "--time=0", url], env=environment, stdout=log, stderr=log
        )
    try:
        engine = _reached(url, folder / "log")
        yield engine
        engine.close()
    finally:
        service.terminate()
        service.wait(timeout=120)
        subprocess.run([*command, "rm", "--all", "--force"], env=environment, check=False, capture_output=True)
        subprocess.run(["umount", f"{folder}/root/overlay"], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _reached(url: str, log: Path) -> Engine:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            return Engine(url)
        except EngineUnavailable:
            time.sleep(0.1)
    raise AssertionError(log.read_text()[-3000:])


@pytest.fixture
def sandbox(podman: Engine) -> Iterator[Sandbox]:
    config = SandboxConfig(image=IMAGE, workdir="/repo", memory_mb=256, pids=64, disk_mb=64, command_timeout=60)
    with Sandbox(podman, config) as made:
        yield made


def test_it_is_podman_that_answers(podman: Engine) -> None:
    assert podman.podman
    assert podman.client.version()["Components"][0]["Name"] == "Podman Engine"


def test_commands_files_and_what_they_cost(sandbox: Sandbox) -> None:
    result = sandbox.run("echo out; exit 3")
    assert (result.output, result.exit_code) == (b"out\n", 3)
    sandbox.write_file("a.bin", bytes(range(256)))
    assert sandbox.read_file("a.bin") == bytes(range(256))
    spent = sandbox.run("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done").telemetry
    assert spent.cpu_s is not None and spent.cpu_s > 0
    assert spent.memory_peak_bytes is not None and spent.memory_peak_bytes > 0


def test_a_deadline_ends_all_that_was_started_and_the_sandbox_goes_on(sandbox: Sandbox) -> None:
    result = sandbox.run("(trap '' TERM; sleep 300) & sleep 300", timeout=1)
    assert result.timed_out
    assert sandbox.run("echo alive").output == b"alive\n"
    assert b"sleep 300" not in sandbox.run("cat /proc/[0-9]*/cmdline | head -c 10000").output.replace(b"\0", b" ")


def test_limits_hold(sandbox: Sandbox) -> None:
    flood = sandbox.run("head -c 20000000 /dev/zero", output_limit=1000)
    assert (flood.total_bytes, flood.truncated) == (20_000_000, True)
    forks = sandbox.run("i=0; while [ $i -lt 200 ]; do sleep 30 & i=$((i+1)); done; wait", timeout=5)
    assert forks.pids_limited or forks.timed_out
    assert sandbox.run("echo alive").output == b"alive\n"


def test_one_that_was_removed_by_others_is_replaced(podman: Engine, sandbox: Sandbox) -> None:
    (box,) = podman.containers()
    podman.api.remove_container(box["Id"], force=True)
    assert sandbox.run("echo x").recovered == "replaced"
    assert sandbox.run("echo alive").output == b"alive\n"


def test_a_volume_is_filled_by_one_and_read_by_others(podman: Engine) -> None:
    podman.api.create_volume("shared", labels={"trajhub.test": "1"})
    config = SandboxConfig(image=IMAGE, workdir="/repo", memory_mb=256, volumes={"shared": "/opt/shared"})
    image = podman.require_image(IMAGE)
    box = Container(podman, config, image, filling="filler")
    try:
        channel = box.open_channel()
        reply = channel.command(b"echo whole >/opt/shared/mark", 1000)
        assert channel.wait(reply, 30) and reply.status == "0"
        channel.close()
        with pytest.raises(SandboxLost, match="already in use"):
            Container(podman, config, image, filling="filler")
    finally:
        box.remove()
    with Sandbox(podman, config) as sandbox:
        assert sandbox.run("cat /opt/shared/mark").output == b"whole\n"
        assert sandbox.run("echo x >/opt/shared/mark").exit_code != 0
        assert sandbox.run("cat /opt/shared/mark").output == b"whole\n"
        assert not podman.remove_volume("shared")
    assert [one["Name"] for one in podman.volumes("trajhub.test")] == ["shared"]
    assert podman.remove_volume("shared") and not podman.has_volume("shared")


def test_nothing_is_left(podman: Engine) -> None:
    assert podman.containers() == []
