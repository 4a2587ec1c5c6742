"""One process, several Docker engines: a second daemon, with its own images and containers, beside the usual one."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError, EngineUnavailable
from trajectory_hub.rollouts import load_config, run_rollout
from trajectory_hub.rollouts.config import read_overrides

pytestmark = [pytest.mark.docker, pytest.mark.slow]
HERE = "unix:///var/run/docker.sock"


@pytest.fixture(scope="module")
def second(engine: Engine, tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Another daemon, with the tiny task's image."""
    folder = tmp_path_factory.mktemp("engine")
    url = f"unix://{folder}/docker.sock"
    # In a network of its own: a daemon without a bridge removes the one of the daemon beside it.
    command = [
        "unshare",
        "--net",
        "dockerd",
        "-H",
        url,
        "--data-root",
        f"{folder}/data",
        "--exec-root",
        f"{folder}/exec",
    ]
    command += ["-p", f"{folder}/pid", "--bridge", "none", "--iptables=false"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as daemon:
        other = _reached(url, folder / "log")
        image = engine.client.images.get(tiny_task.require_image())
        other.api.load_image(image.save(named=True))
        yield other
        other.close()
        daemon.terminate()
        daemon.wait(timeout=180)
    shutil.rmtree(folder, ignore_errors=True)


def _reached(url: str, log: Path) -> Engine:
    deadline = time.monotonic() + 180
    while True:
        try:
            return Engine(url, timeout=120)
        except EngineUnavailable:
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.25)


def started(engine: Engine, since: float) -> int:
    """Containers of ours that an engine has started since then."""
    window = {"since": int(since), "until": int(time.time()) + 1, "decode": True}
    chosen = {"type": "container", "event": "start", "label": "trajhub.owner"}
    return sum(1 for _ in engine.api.events(filters=chosen, **window))


def test_episodes_are_spread_over_engines(
    engine: Engine, second: Engine, three_tasks: list[Task], tmp_path: Path
) -> None:
    run, began = tmp_path / "two-engines", time.time()
    config = load_config(read_overrides(["tasks=tiny", "policy=reference", "seeds=2", "workers=4", "grade=true"]))
    summary = run_rollout(run, config, tasks=three_tasks, host=[HERE, str(second.url)])
    assert summary.outcomes == {"resolved": 6}
    assert summary.earlier_attempts == 0
    assert started(second, began) >= 3
    left = [box for one in (engine, second) for box in one.containers()]
    assert not [box for box in left if box["Labels"].get("trajhub.run") == run.name]


def test_engines_that_cannot_be_used_are_named(three_tasks: list[Task], tmp_path: Path) -> None:
    config = load_config({"tasks": "tiny", "policy": "random", "workers": 4})
    with pytest.raises(ConfigError, match="are one and the same engine: name each once"):
        run_rollout(tmp_path / "twins", config, tasks=three_tasks, host=[HERE, "unix:///run/docker.sock"])
    with pytest.raises(EngineUnavailable, match="the engine unix:///nowhere: no Docker API answers"):
        run_rollout(tmp_path / "none", config, tasks=three_tasks, host=[HERE, "unix:///nowhere"])
    assert not (tmp_path / "twins").exists()
