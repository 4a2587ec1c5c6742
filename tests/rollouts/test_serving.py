"""What keeps servers alive, and what ends them, shown with one that starts at once. For vLLM see test_vllm.py."""

import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from trajectory_hub.errors import ConfigError, InfrastructureError
from trajectory_hub.rollouts.serving import ModelServer, ServeConfig
from trajectory_hub.rollouts.serving.checkpoint import check_model, check_weights
from trajectory_hub.rollouts.serving.config import load_serve_config
from trajectory_hub.rollouts.serving.environment import Launch, VllmEnvironment, find_vllm, launch_of
from trajectory_hub.rollouts.serving.guard import descendants
from trajectory_hub.rollouts.serving.metrics import counters_in, page_of
from trajectory_hub.rollouts.serving.replica import Replica, State
from trajectory_hub.rollouts.serving.router import Router

SMALL = Path(__file__).with_name("small_server.py")
CONFIG = ServeConfig(model="m", backoff=0.05, restarts=2, start_timeout=90)


def free_port() -> int:
    """One below those that the kernel gives away, which nobody takes while a server is restarted."""
    while True:
        with suppress(OSError), socket.create_server(("127.0.0.1", random.randrange(20_000, 32_000))) as probe:
            return int(probe.getsockname()[1])


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not come about in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Told(list[str]):
    """What was said of replicas."""


@pytest.fixture
def told() -> Told:
    return Told()


Start = Callable[..., Replica]


@pytest.fixture
def start(tmp_path: Path, told: Told) -> Iterator[Start]:
    """Start a small server as a replica; all are stopped at the end."""
    started = list[Replica]()

    def begin(*arguments: str, config: ServeConfig = CONFIG) -> Replica:
        port, number = free_port(), len(started)
        launch = Launch(command=(sys.executable, str(SMALL), str(port), *arguments), variables={})
        log = tmp_path / f"{number}.log"
        replica = Replica(number, f"http://127.0.0.1:{port}", launch, log, config, told.append)
        started.append(replica)
        replica.start()
        return replica

    yield begin
    for replica in started:
        replica.stop()


def family(replica: Replica) -> list[int]:
    return descendants(replica.pid) if replica.pid else []


def test_a_replica_that_dies_is_restarted_at_the_same_address(start: Start, told: Told) -> None:
    replica = start()
    until(lambda: replica.state is State.UP)
    (first,) = family(replica)
    os.kill(first, signal.SIGKILL)
    until(lambda: replica.starts == 2 and replica.state is State.UP)
    assert told[0].startswith("replica 0 died by signal 9; restart 1 of 2 in 0.05 s")
    assert httpx.get(f"{replica.root}/health").text == "ok"
    assert family(replica) != [first]
    replica.stop()
    assert replica.state is State.STOPPED
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{replica.root}/health")


def test_a_guard_that_is_killed_takes_nothing_of_the_server_along_into_the_open(start: Start) -> None:
    replica = start()
    until(lambda: replica.state is State.UP)
    (server,) = family(replica)
    assert replica.pid is not None
    os.kill(replica.pid, signal.SIGKILL)
    until(lambda: replica.starts == 2 and replica.state is State.UP)
    assert not alive(server)


def end(replica: Replica, life: int) -> None:
    """It dies when it was up for a while in that life."""
    until(lambda: replica.starts == life and replica.state is State.UP)
    time.sleep(0.3)
    (server,) = family(replica)
    os.kill(server, signal.SIGUSR1)


def test_after_too_many_deaths_a_replica_is_given_up(start: Start, told: Told) -> None:
    replica = start()
    for life in (1, 2, 3):
        end(replica, life)
    until(lambda: replica.state is State.FAILED)
    assert replica.starts == 3, "one start and two restarts"
    assert [sentence.split("; ")[1][:7] for sentence in told] == ["restart", "restart", "given u"]
    assert "ended with status 7" in told[0]


def test_deaths_long_ago_do_not_count(start: Start, told: Told) -> None:
    replica = start(config=CONFIG.model_copy(update={"healthy_after": 0.1}))
    for life in (1, 2, 3, 4):
        end(replica, life)
    until(lambda: replica.starts == 5)
    assert {sentence.split("; ")[1] for sentence in told} == {f"restart 1 of 2 in 0.05 s ({replica.log})"}


def test_a_server_that_never_comes_up_is_not_tried_again(start: Start, told: Told) -> None:
    replica = start("0")
    until(lambda: replica.state is State.FAILED)
    assert (replica.starts, len(told)) == (1, 1)


def test_a_server_that_hangs_is_killed_and_restarted(start: Start, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trajectory_hub.rollouts.serving.replica._CHECK_SECONDS", 0.1)
    monkeypatch.setattr("trajectory_hub.rollouts.serving.replica._GRACE", 0.2)
    replica = start(config=CONFIG.model_copy(update={"hang_timeout": 2.5}))
    until(lambda: replica.state is State.UP)
    (server,) = family(replica)
    os.kill(server, signal.SIGSTOP)
    until(lambda: replica.starts == 2 and replica.state is State.UP)
    assert "did not answer for 2.5 s" in told[0]
    assert not alive(server)


OWNER = """
import subprocess, sys, time
guard, grace = sys.argv[1], sys.argv[2]
script = "sleep 301 & setsid sh -c 'sleep 302 & wait' & (trap '' TERM; sleep 303; sleep 304) & wait"
command = [sys.executable, "-I", guard, grace, "sh", "-c", script]
process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_its_owner_whatever_kills_that(number: int) -> None:
    guard = Path(sys.modules["trajectory_hub.rollouts.serving.guard"].__file__ or "")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(guard), "0.5"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    try:
        until(lambda: len(descendants(pid)) >= 6)
        everyone = [pid, *descendants(pid)]
        owner.send_signal(number)
        until(lambda: not any(map(alive, everyone)))
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()


# The router -----------------------------------------------------------------------------------------------------------


class Backend:
    """A replica as the router sees it."""

    def __init__(self, replica: Replica) -> None:
        self.root = replica.root
        self.replica = replica

    @property
    def ready(self) -> bool:
        return self.replica.state is State.UP


Routed = Callable[..., tuple[str, list[Replica]]]


@pytest.fixture
def routed(start: Start) -> Iterator[Routed]:
    """A router before so many small servers: its address and the servers."""
    routers = list[Router]()

    def begin(count: int, config: ServeConfig = CONFIG) -> tuple[str, list[Replica]]:
        replicas = [start(config=config) for _ in range(count)]
        until(lambda: all(replica.state is State.UP for replica in replicas))
        router = Router("127.0.0.1", free_port(), [Backend(replica) for replica in replicas])
        router.start()
        routers.append(router)
        return f"http://127.0.0.1:{router.port}", replicas

    yield begin
    for router in routers:
        router.stop()


def ask(client: httpx.Client, url: str, session: str | None = None, **body: Any) -> dict[str, Any]:
    headers = {"X-Session-ID": session} if session else {}
    answer = client.post(f"{url}/v1/completions", json=body, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_requests_spread_over_the_least_loaded(routed: Routed) -> None:
    url, replicas = routed(2)
    pids = list[int]()
    with httpx.Client() as client:
        threads = [threading.Thread(target=lambda: pids.append(ask(client, url, seconds=2)["pid"])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(pids.count(family(replica)[0]) for replica in replicas) == [4, 4]


def test_a_conversation_stays_where_its_prefix_is_cached(routed: Routed) -> None:
    url, _ = routed(2)
    with httpx.Client() as client:
        homes = {ask(client, url, "one")["pid"] for _ in range(6)}
        assert len(homes) == 1
        slow = threading.Thread(target=lambda: ask(client, url, "one", seconds=3))
        slow.start()
        until(lambda: sum(seat["busy"] for seat in client.get(f"{url}/replicas").json()) == 1)
        assert ask(client, url, "one")["pid"] in homes, "although the other one is idle"
        assert ask(client, url, "two")["pid"] not in homes, "a new one goes to the idle one"
        slow.join()
        told = ask(client, url, "one", prompt=[1, 2])
    assert (told["session"], told["path"], told["body"]) == ("one", "/v1/completions", {"prompt": [1, 2]})


def test_a_request_whose_replica_dies_is_answered_by_another(routed: Routed) -> None:
    url, replicas = routed(2)
    with httpx.Client() as client:
        home = ask(client, url, "s")["pid"]
        answers = list[dict[str, Any]]()
        waiting = threading.Thread(target=lambda: answers.append(ask(client, url, "s", seconds=2.5)))
        waiting.start()
        until(lambda: sum(seat["busy"] for seat in client.get(f"{url}/replicas").json()) == 1)
        os.kill(home, signal.SIGKILL)
        waiting.join()
        assert answers[0]["pid"] != home
        until(lambda: all(replica.state is State.UP for replica in replicas))


def test_without_any_replica_it_says_when_to_come_back(routed: Routed) -> None:
    url, (replica,) = routed(1)
    replica.stop()
    answer = httpx.post(f"{url}/v1/completions", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert httpx.get(f"{url}/health").status_code == 503


def test_counters_are_those_of_all_replicas(routed: Routed) -> None:
    url, _ = routed(2)
    assert counters_in(httpx.get(f"{url}/metrics").text) == {"prompt_tokens": 30.0}
    assert counters_in(page_of({"prefix_cache_hits": 12.0})) == {"prefix_cache_hits": 12.0}


def test_what_nobody_waits_for_is_given_up(routed: Routed) -> None:
    url, _ = routed(1)
    with httpx.Client() as client, pytest.raises(httpx.ReadTimeout):
        client.post(f"{url}/v1/completions", json={"seconds": 600}, timeout=0.3)
    until(lambda: all(seat["busy"] == 0 for seat in httpx.get(f"{url}/replicas").json()))


def test_what_is_no_http_is_no_harm(routed: Routed) -> None:
    url, _ = routed(1)
    port = int(url.rpartition(":")[2])
    for garbage in (b"hello\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", b"\x16\x03\x01", b"A" * 100_000):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(10) == b""
    assert httpx.get(f"{url}/health").status_code == 200


def test_a_port_that_is_taken_is_said_so(routed: Routed) -> None:
    url, _ = routed(1)
    router = Router("127.0.0.1", int(url.rpartition(":")[2]), [])
    with pytest.raises(InfrastructureError, match="cannot listen on"):
        router.start()


def test_who_listens_at_a_server_s_port_is_not_taken_for_it(routed: Routed, tmp_path: Path) -> None:
    """Health checks would be answered by somebody else. The Python has no vLLM, and is not started."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho \'{"distribution": "vllm", "version": "0.33.0"}\'\n')
    python.chmod(0o755)
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    taken = int(routed(1)[0].rpartition(":")[2])
    server = ModelServer(ServeConfig(model=str(tmp_path), port=taken, python=str(python)), logs=tmp_path / "logs")
    with pytest.raises(InfrastructureError, match=r"cannot listen on .*choose another --port"):
        server.__enter__()
    assert not (tmp_path / "logs").exists()


# How vLLM is started --------------------------------------------------------------------------------------------------

CPU = VllmEnvironment(python="/v/bin/python", version="0.32.0", build="cpu")
GPU = VllmEnvironment(python="/v/bin/python", version="0.33.0", build="gpu")


def test_the_cpu_build_is_started_by_its_module_with_its_own_settings(tmp_path: Path) -> None:
    launch = launch_of(ServeConfig(model=str(tmp_path), threads=2, kv_cache_gib=1), CPU, 8001, host="127.0.0.1")
    assert launch.command[:3] == ("/v/bin/python", "-m", "vllm.entrypoints.openai.api_server")
    assert "--enforce-eager" in launch.command
    assert launch.command[launch.command.index("--block-size") + 1] == "32"
    assert launch.variables["VLLM_CPU_KVCACHE_SPACE"] == "1"
    assert launch.variables["OMP_NUM_THREADS"] == "2"
    assert launch.variables["HF_HUB_OFFLINE"] == "1", "a folder needs no hub"


@pytest.mark.parametrize(
    ("settings", "vllm", "alone"),
    [({"threads": 1}, CPU, True), ({}, CPU, False), ({"threads": 2, "tensor_parallel": 2}, CPU, False),
     ({"threads": 1}, GPU, False)],
)  # fmt: skip
def test_where_threads_are_not_bound_the_engine_works_without_a_second_process(
    settings: dict[str, Any], vllm: VllmEnvironment, alone: bool
) -> None:
    launch = launch_of(ServeConfig(model="org/name", **settings), vllm, 8001, host="127.0.0.1")
    assert ("uni" in launch.command) == alone == ("VLLM_ENABLE_V1_MULTIPROCESSING" in launch.variables)


def test_replicas_share_the_gpus_out(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ServeConfig(model="org/name", replicas=2, tensor_parallel=2, gpu_memory=0.5, extra_args=("--x", "1"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    launches = [launch_of(config, GPU, 8001, host="127.0.0.1", index=index) for index in range(2)]
    assert [launch.variables["CUDA_VISIBLE_DEVICES"] for launch in launches] == ["4,5", "6,7"]
    assert launches[0].command[-2:] == ("--x", "1")
    assert "--enforce-eager" not in launches[0].command
    assert "HF_HUB_OFFLINE" not in launches[0].variables
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    with pytest.raises(ConfigError, match="names 3"):
        launch_of(config, GPU, 8001, host="127.0.0.1", index=1)


def test_without_vllm_it_says_how_to_get_one() -> None:
    with pytest.raises(ConfigError, match=r"found no vLLM.*looked at .*local_server\.sh install"):
        find_vllm(ServeConfig(model="m", python=sys.executable))


@pytest.mark.parametrize("model", ["/nowhere/model", "./model", "~/model", "runs/serving/model"])
def test_a_path_with_no_model_is_refused_before_anything_starts(model: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"no model at {model}"):
        ModelServer(ServeConfig(model=model), logs=tmp_path)


def test_a_folder_that_is_no_checkpoint_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "training.json").touch()
    with pytest.raises(ConfigError, match=r"has no config.json, but training.json"):
        ModelServer(ServeConfig(model=str(tmp_path)), logs=tmp_path / "logs")


def _shard(path: Path, size: int = 16) -> None:
    """A safetensors file of one tensor."""
    header = json.dumps(
        {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}
    )
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(size))


def test_half_a_checkpoint_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    _shard(tmp_path / "model-00001-of-00002.safetensors")
    check_model(str(tmp_path))
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    second = tmp_path / "model-00002-of-00002.safetensors"
    with pytest.raises(ConfigError, match=r"model-00002-of-00002\.safetensors is missing"):
        check_model(str(tmp_path))
    for size, said in ((9, r"is not whole: it has [\d,]+ bytes of"), (16, "")):
        _shard(second, size)
        with pytest.raises(ConfigError, match=said) if said else nullcontext():
            check_model(str(tmp_path))
    second.write_bytes(b"\0" * 5)
    with pytest.raises(ConfigError, match="is no safetensors file"):
        check_model(str(tmp_path))
    (tmp_path / "model.safetensors.index.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        check_model(str(tmp_path))


def test_a_folder_above_a_checkpoint_and_adapters_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"no config\.json, but .*checkpoint has one"):
        check_model(str(tmp_path))
    with pytest.raises(ConfigError, match="but no weights"):
        check_weights(str(tmp_path / "checkpoint"))
    with pytest.raises(ConfigError, match="no tokenizer in"):
        ModelServer(ServeConfig(model=str(tmp_path / "checkpoint")), logs=tmp_path / "logs")
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="adapters only"):
        check_model(str(tmp_path))


def test_settings_come_from_files_and_values(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("model: other\nreplicas: 3\n")
    config = load_serve_config([str(file), "restarts=1"], {"model": "a/b"})
    assert (config.model, config.served_name, config.replicas, config.restarts) == ("a/b", "b", 3, 1)
    with pytest.raises(ConfigError, match="replica: Extra inputs"):
        load_serve_config(["replica=2"], {"model": "m"})
