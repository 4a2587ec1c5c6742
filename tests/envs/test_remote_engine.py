"""An engine on another machine: reached over TCP, its control groups seen only from inside the containers."""

import socket
import threading
import uuid
from collections.abc import Iterator

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
from trajectory_hub.envs.task import Task

pytestmark = pytest.mark.docker


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        target.close()


def _serve(listener: socket.socket, links: list[socket.socket]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        daemon = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        daemon.connect("/var/run/docker.sock")
        links += [client, daemon]
        for pair in ((client, daemon), (daemon, client)):
            threading.Thread(target=_pump, args=pair, daemon=True).start()


@pytest.fixture
def tcp_engine() -> Iterator[Engine]:
    """The engine of this machine, as it would be reached on another: by an address and a port."""
    links: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, links), daemon=True).start()
        engine = Engine(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        yield engine
        engine.close()
        listener.shutdown(socket.SHUT_RDWR)
    for link in links:
        link.close()


def test_a_sandbox_works_over_tcp_and_measures_from_inside(
    tcp_engine: Engine, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a daemon elsewhere reports as the container's process is, here, nobody's.

    def nobody(*_: object) -> None:
        return None

    monkeypatch.setattr("trajectory_hub.envs.telemetry.host_account", nobody)
    with Sandbox(tcp_engine, SandboxConfig(image=tiny_task.require_image(), pids=64, memory_mb=256)) as sandbox:
        assert not sandbox.telemetry_on_host
        busy = sandbox.run("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exit 3")
        assert busy.exit_code == 3
        assert busy.telemetry.cpu_s is not None
        assert 0.02 < busy.telemetry.cpu_s < 20
        assert busy.telemetry.memory_bytes
        assert busy.telemetry.sources["cpu"].endswith("-inside")
        assert busy.telemetry.sources["memory_peak"].endswith("since the sandbox began")
        killed = sandbox.run("python3 -c 'x = bytearray(10**9)'")
        assert killed.oom_killed
        flood = sandbox.run("head -c 50000000 /dev/zero")
        assert flood.total_bytes == 50_000_000
        assert sandbox.run("sleep 100", timeout=1).timed_out
        sandbox.write_file("x", b"\0\xff" * 100_000)
        assert sandbox.read_file("x") == b"\0\xff" * 100_000


def test_a_volume_is_read_over_tcp_and_not_written(tcp_engine: Engine, tiny_task: Task) -> None:
    name = f"trajhub-test-{uuid.uuid4().hex[:12]}"
    tcp_engine.api.create_volume(name)
    try:
        image = tiny_task.require_image()
        with Sandbox(tcp_engine, SandboxConfig(image=image, volumes={name: "/opt/shared"})) as sandbox:
            assert sandbox.run("ls -d /opt/shared").text == "/opt/shared\n"
            assert "Read-only file system" in sandbox.run("touch /opt/shared/x").text
            assert not tcp_engine.remove_volume(name)
    finally:
        assert tcp_engine.remove_volume(name)
