"""A container without network reaches the proxy and the receiver, and nothing else."""

import io
import json
import os
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import InfrastructureError, UsageError
from trajectory_hub.rollouts.otlp import LogRecord, OtlpReceiver, read_otlp
from trajectory_hub.rollouts.proxy import ModelProxy, Upstream, listen_in_container, read_exchanges

from .scripted import scripted, wait_for

pytestmark = [pytest.mark.docker]

PROXY, HTTP, GRPC = 8300, 4318, 4317
ASK = """
import json, sys, urllib.request
url, key, body = sys.argv[1:]
headers = {"authorization": "Bearer " + key, "content-type": "application/json"}
with urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers), timeout=60) as answer:
    print(answer.status, answer.read().decode())
"""
REACH = """
import json, socket, sys
found = {}
for name, host, port in json.loads(sys.argv[1]):
    try:
        if port is None:
            found[name] = "reached" if socket.getaddrinfo(host, 80) else "none"
        elif port == 0:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(3); s.connect(host); found[name] = "reached"
        else:
            with socket.create_connection((host, port), timeout=3):
                found[name] = "reached"
    except OSError as error:
        found[name] = type(error).__name__
print(json.dumps(found))
"""


@pytest.fixture
def container(engine: Engine, tiny_task: Task) -> Iterator[Any]:
    """A container as a sandbox is: no network, no privileges."""
    assert tiny_task.image is not None
    running = engine.client.containers.run(
        tiny_task.image,
        ["sleep", "3000"],
        detach=True,
        network_mode="none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        labels={"trajhub.test": "namespace"},
    )
    running.reload()
    yield running
    running.remove(force=True)


def inside(container: Any, *words: str) -> str:
    """What a program in the container says, by way of a file: the SDK loses what arrives with the head of an answer,
    and hears of a status after its stream's end.
    """
    container.exec_run(["sh", "-c", '"$@" >/tmp/said 2>&1; printf "%d" $? >>/tmp/said', "sh", *words])
    chunks, _ = container.get_archive("/tmp/said")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        (member,) = archive.getmembers()
        file = archive.extractfile(member)
        said = file.read().decode() if file else ""
    assert said.endswith("0"), said
    return said[:-1]


def python(container: Any, code: str, *arguments: str) -> str:
    return inside(container, "/opt/venv/bin/python", "-c", code, *arguments)


def test_a_container_without_network_reaches_these_ports_and_nothing_else(
    container: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_SERVICE", "the-real-key-of-the-service")
    pid = container.attrs["State"]["Pid"]
    answer = json.dumps({"id": "c1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}).encode()
    with (
        scripted(lambda talk: talk.answer(answer)) as service,
        ModelProxy(
            {"local": Upstream("openai", service.url, "KEY_OF_SERVICE")},
            tmp_path / "requests.jsonl",
            token="dummy",
            socket=listen_in_container(pid, PROXY),
        ) as proxy,
        OtlpReceiver(
            tmp_path,
            token="secret",
            http_socket=listen_in_container(pid, HTTP),
            grpc_socket=listen_in_container(pid, GRPC),
        ) as receiver,
    ):
        assert proxy.url == f"http://127.0.0.1:{PROXY}"
        assert receiver.grpc_target == f"127.0.0.1:{GRPC}"
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
        assert python(container, ASK, f"{proxy.url}/v1/chat/completions", "dummy", body).startswith("200 ")
        record = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "from inside"}}]}]}]}
        assert python(container, ASK, f"{receiver.http_url}/v1/logs", "secret", json.dumps(record)).startswith("200 ")
        targets = [
            ("proxy", "127.0.0.1", PROXY),
            ("otlp", "127.0.0.1", HTTP),
            ("grpc", "127.0.0.1", GRPC),
            ("the service itself", "127.0.0.1", service.port),
            ("any other port", "127.0.0.1", 22),
            ("the bridge of the engine", "172.17.0.1", service.port),
            ("metadata of clouds", "169.254.169.254", 80),
            ("an address of the internet", "1.1.1.1", 53),
            ("names", "example.com", None),
            ("the engine", "/var/run/docker.sock", 0),
        ]
        found = json.loads(python(container, REACH, json.dumps(targets)))
    assert [name for name, result in found.items() if result == "reached"] == ["proxy", "otlp", "grpc"]
    assert len(found) == len(targets)
    (exchange,) = read_exchanges(tmp_path / "requests.jsonl")
    assert exchange.usage.total == 4
    assert service.talks[0].headers["authorization"] == "Bearer the-real-key-of-the-service"
    assert [record.body for record in read_otlp(tmp_path) if isinstance(record, LogRecord)] == ["from inside"]
    environment = inside(container, "cat", "/proc/1/environ")
    assert "PATH=" in environment and "the-real-key" not in environment


def networks() -> set[str]:
    """Of all threads of this process; one that is just ending has none."""
    found = (os.path.realpath(task) for task in Path("/proc/self/task").glob("*/ns/net"))
    return {path.rpartition("/")[2] for path in found if "net:[" in path}


def test_this_process_stays_in_its_own_network(container: Any) -> None:
    own = Path("/proc/self/ns/net")
    before = own.readlink()
    with listen_in_container(container.attrs["State"]["Pid"], 0) as inside:
        port = inside.getsockname()[1]
        assert own.readlink() == before
        wait_for(lambda: networks() == {str(before)})
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=3)
    assert all(thread.name != "trajhub-namespace" for thread in threading.enumerate())


def test_a_port_has_one_listener(container: Any) -> None:
    pid = container.attrs["State"]["Pid"]
    with listen_in_container(pid, 9000), pytest.raises(InfrastructureError, match="in use"):
        listen_in_container(pid, 9000)


def test_processes_that_cannot_be_entered_are_refused() -> None:
    with pytest.raises(UsageError, match="--network none"):
        listen_in_container(os.getpid(), 0)
    with pytest.raises(InfrastructureError, match="process of this machine"):
        listen_in_container(2**22 - 1, 0)
