"""The volume that holds an agent: filled once for an engine, by one process, whole; read and never written after."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from trajectory_hub.envs.container import Container, SandboxConfig
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.grader import Grader
from trajectory_hub.envs.images import ensure_python_image
from trajectory_hub.envs.prepare import HOUSES
from trajectory_hub.envs.sandbox import Sandbox
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import DiskFull, InfrastructureError, SandboxLost, VolumeMissing
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.agents.house import FOLDER, Installed, ensure_installed, house_name
from trajectory_hub.rollouts.agents.install import TOOLS
from trajectory_hub.rollouts.agents.recipe import Recipe, load_recipe
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.run_dir import read_episodes

from .conftest import RunAgent, small_agent

pytestmark = pytest.mark.docker

# Its version tells one installation from another.
INSTALL = f"echo 1.$(date +%s).$(date +%N) >{FOLDER}/version"
VERSION = f"cat {FOLDER}/version"
PROGRAM = """
import sys
from trajectory_hub.envs.engine import Engine
from trajectory_hub.rollouts.agents.house import ensure_installed
from trajectory_hub.rollouts.agents.recipe import Recipe
ensure_installed(Engine(), Recipe.model_validate_json(sys.argv[1]), sys.argv[2])
"""


@pytest.fixture
def recipe(engine: Engine) -> Iterator[Recipe]:
    """A recipe that nobody else has; its house is removed afterwards."""
    made = _recipe(engine, INSTALL)
    yield made
    _forget(engine, made)


def _recipe(engine: Engine, install: str, **changes: Any) -> Recipe:
    from trajectory_hub.envs.factory.catalogue import load_catalogue

    base = load_catalogue().base
    house = {"image": ensure_python_image(engine, base.image, base.suite, base.include), "suite": "of-no-release"}
    own = f"{install} # {uuid.uuid4()}"
    return load_recipe("command", {"install": own, "version_command": VERSION, "house": house, **changes})


def _forget(engine: Engine, recipe: Recipe) -> None:
    name = house_name(recipe)
    assert name is not None and engine.remove_volume(name)


def _config(installed: Installed, task: Task) -> SandboxConfig:
    assert installed.volume is not None
    return SandboxConfig(image=task.require_image(), volumes={installed.volume: FOLDER}, memory_mb=256)


def test_it_is_made_once(engine: Engine, tiny_task: Task, recipe: Recipe) -> None:
    heard = list[str]()
    first = ensure_installed(engine, recipe, tiny_task.require_image(), heard.append)
    again = ensure_installed(engine, recipe, tiny_task.require_image(), heard.append)
    assert (first.volume, again) == (house_name(recipe), first)
    assert len([note for note in heard if "once for this engine" in note]) == 1
    assert not [box for box in engine.containers() if f"/{first.volume}" in box["Names"]]


def test_two_at_once_make_one(engine: Engine, tiny_task: Task) -> None:
    recipe = _recipe(engine, f"sleep 1; {INSTALL}")
    engines = [Engine() for _ in range(3)]
    try:
        with ThreadPoolExecutor(3) as pool:
            image = tiny_task.require_image()
            waiting = [pool.submit(ensure_installed, one, recipe, image) for one in engines]
            found = [one.result() for one in waiting]
        assert len(set(found)) == 1
    finally:
        for one in engines:
            one.close()
        _forget(engine, recipe)


def test_a_half_filled_one_is_filled_anew(engine: Engine, tiny_task: Task, recipe: Recipe) -> None:
    name = house_name(recipe)
    assert name is not None
    engine.api.create_volume(name, labels={HOUSES: recipe.name})
    image = tiny_task.require_image()
    config = SandboxConfig(image=image, workdir="/", volumes={name: FOLDER})
    container = Container(engine, config, engine.require_image(image), filling=name)
    try:
        channel = container.open_channel()
        # A folder that nobody may write to, as packages have them, and a mark that was cut off.
        half = f"cd {FOLDER} && mkdir -p a/b && touch a/b/c && chmod 500 a/b a && echo '{{\"ver' >.trajhub-house.json"
        reply = channel.command(half.encode(), 1000)
        assert channel.wait(reply, 30) and reply.status == "0"
        channel.close()
        with pytest.raises(SandboxLost, match="already in use"):
            Container(engine, config, engine.require_image(image), filling=name)
    finally:
        container.remove()
    installed = ensure_installed(engine, recipe, image)
    with Sandbox(engine, _config(installed, tiny_task)) as sandbox:
        assert sandbox.run(f"ls -A {FOLDER}").text.split() == [".trajhub-house.json", "version"]
        assert sandbox.run(VERSION).text.strip() == installed.version


def test_what_a_killed_process_left_is_taken_over(engine: Engine, tiny_task: Task) -> None:
    # NO_PROXY is one of the settings that an install step is told: here it says who is to be slow.
    recipe = _recipe(engine, f'[ "$NO_PROXY" != slow ] || {{ touch {FOLDER}/half; sleep 600; }}; {INSTALL}')
    name, image = house_name(recipe), tiny_task.require_image()
    command = [sys.executable, "-c", PROGRAM, recipe.model_dump_json(), image]
    slow = subprocess.Popen(command, env={**os.environ, "NO_PROXY": "slow"})
    try:
        assert name is not None
        _until_half_filled(engine, name, slow)
        slow.send_signal(signal.SIGKILL)
        slow.wait()
        installed = ensure_installed(engine, recipe, image)
        with Sandbox(engine, _config(installed, tiny_task)) as sandbox:
            assert sandbox.run(f"ls {FOLDER}").text.split() == ["version"]
    finally:
        slow.kill()
        slow.wait()
        _forget(engine, recipe)


def _until_half_filled(engine: Engine, name: str, process: "subprocess.Popen[bytes]") -> None:
    from docker.errors import APIError, NotFound

    for _ in range(1200):
        assert process.poll() is None
        for box in engine.containers():
            if f"/{name}" in box["Names"]:
                with contextlib.suppress(NotFound, APIError):
                    engine.api.get_archive(box["Id"], f"{FOLDER}/half")
                    return
        time.sleep(0.1)
    raise AssertionError("it was never begun")


@pytest.mark.parametrize(
    ("install", "error", "told"),
    [
        ("echo no such package >&2; exit 3", InfrastructureError, r"status 3; correct the recipe's .*no such package"),
        ("touch /opt/elsewhere", InfrastructureError, rf"left nothing in {FOLDER}"),
        (f"echo x >{FOLDER}/a; echo x >/dev/full", DiskFull, "no space left on the engine's disk while installing"),
    ],
)
def test_a_step_that_fails_says_why_and_leaves_nothing(
    engine: Engine, tiny_task: Task, install: str, error: type[Exception], told: str
) -> None:
    recipe = _recipe(engine, f"{install}\n")
    try:
        for _ in range(2):
            with pytest.raises(error, match=f"(?s){told}"):
                ensure_installed(engine, recipe, tiny_task.require_image())
            assert not engine.has_volume(house_name(recipe) or "")
    finally:
        _forget(engine, recipe)


def test_a_change_of_the_tools_is_another_house_for_those_that_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["mini-swe-agent", "codex", "command"]
    before = [house_name(load_recipe(name)) for name in names]
    monkeypatch.setitem(cast("dict[str, str]", TOOLS), "portable-python", "exit 1")
    after = [house_name(load_recipe(name)) for name in names]
    assert before[2] is None and [a == b for a, b in zip(before, after, strict=True)] == [False, True, True]


def test_an_agent_reads_its_house_and_cannot_change_it(
    run_small: RunAgent, tmp_path: Path, engine: Engine, tiny_task: Task
) -> None:
    work = (
        f"{VERSION}; touch {FOLDER}/mine; mount -o remount,rw {FOLDER}; echo >{FOLDER}/version; rm -rf {FOLDER}/version"
    )
    recipe = _recipe(engine, f"echo 4.5.6 >{FOLDER}/version", command=f"{work}; {VERSION}")
    try:
        run_small(None, recipe=recipe.model_dump(mode="json"), grade=True)
        (episode,) = read_episodes(tmp_path / "run")
        said = (episode.folder / "artifacts" / "output.txt").read_text().splitlines()
        assert (said[0], said[-1], episode.first.agent_version) == ("4.5.6", "4.5.6", "4.5.6")
        assert sum("Read-only file system" in line for line in said) == 3
        start = next(iter(read_events(episode.folder / "events.jsonl"))).payload
        assert isinstance(start, payloads.EpisodeStart)
        assert start.sandbox["image"] == tiny_task.image and start.sandbox["volumes"] == {house_name(recipe): FOLDER}
        assert "volumes" not in start.limits, "a replay has no house"
        with Grader(engine).sandbox(tiny_task) as judge:
            assert judge.run(f"test -e {FOLDER}").exit_code == 1
    finally:
        _forget(engine, recipe)


def test_a_house_in_use_is_kept_by_clean(engine: Engine, tiny_task: Task, recipe: Recipe) -> None:
    installed = ensure_installed(engine, recipe, tiny_task.require_image())
    command = [sys.executable, "-m", "trajectory_hub", "clean", "--images", "--dry-run", "--json"]

    def cleaned() -> dict[str, Any]:
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    with Sandbox(engine, _config(installed, tiny_task)):
        assert installed.volume in cleaned()["volumes_in_use"]
        assert installed.volume is not None and not engine.remove_volume(installed.volume)
    assert installed.volume in cleaned()["volumes"]


def test_a_house_that_went_away_is_missed(engine: Engine, tiny_task: Task) -> None:
    with pytest.raises(VolumeMissing, match="the same `trajhub run` again"):
        Sandbox(engine, SandboxConfig(image=tiny_task.require_image(), volumes={"trajhub-agent-gone": FOLDER}))
    assert not engine.has_volume("trajhub-agent-gone")


@pytest.mark.parametrize("volumes", [{"/etc": FOLDER}, {"../x": FOLDER}, {"a/b": FOLDER}, {"": FOLDER}])
def test_no_folder_of_the_host_can_be_mounted(volumes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no name of a volume"):
        SandboxConfig(image="any", volumes=volumes)


@pytest.mark.parametrize("path", ["relative", "/", "/opt/../etc", "/opt/", ""])
def test_a_volume_has_a_plain_place(path: str) -> None:
    with pytest.raises(ValueError, match="no absolute path"):
        SandboxConfig(image="any", volumes={"some-volume": path})


def test_a_recipe_that_installs_nothing_has_none(engine: Engine, tiny_task: Task) -> None:
    recipe = load_recipe("command", {"version_command": "echo 7.8"})
    assert ensure_installed(engine, recipe, tiny_task.require_image()) == Installed(volume=None, version="7.8")
    assert small_agent()["install"] == ""
