"""A Python that an agent brings along: made in its house, at work in an image that has none."""

import subprocess

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.factory.catalogue import load_catalogue
from trajectory_hub.envs.images import build_image, ensure_python_image
from trajectory_hub.rollouts.agents.house import PORTABLE_PYTHON
from trajectory_hub.rollouts.agents.install import ensure_installed
from trajectory_hub.rollouts.agents.recipe import load_recipe

PLAIN = "trajhub/test-pythonless:1"
PROGRAM = """
import ssl, sqlite3, subprocess, sys, tomli_w
assert subprocess.run(["sh", "-c", "command -v python3"], check=False).returncode != 0
maps = open("/proc/self/maps").read()
print(tomli_w.dumps({"own": "/opt/trajhub-agent/python/lib/shared/libc.so.6" in maps, "prefix": sys.prefix}))
"""


def test_the_script_is_sound_shell() -> None:
    checked = subprocess.run(["sh", "-n"], input=PORTABLE_PYTHON, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_runs_where_there_is_no_python(engine: Engine) -> None:
    base = load_catalogue().base
    house = ensure_python_image(engine, base.image, base.suite, base.include)
    changes = {
        "house": {"image": house, "suite": "of-no-release"},
        "install": 'portable-python /opt/trajhub-agent "tomli-w==1.2.0"',
        "version_command": "",
    }
    recipe = load_recipe("openhands", changes)
    remove = "RUN rm -rf /opt/venv /usr/bin/python3* /usr/lib/python3*"
    build_image(engine, PLAIN, {"Dockerfile": f"FROM {house}\n{remove}\n".encode()})
    installed = ensure_installed(engine, recipe, PLAIN)
    try:
        assert ensure_installed(engine, recipe, PLAIN) == installed
        command = ["/opt/trajhub-agent/venv/bin/python", "-c", PROGRAM]
        said = engine.client.containers.run(installed.image, command, remove=True, network_mode="none")
        assert said.decode().split("\n")[:2] == ["own = true", 'prefix = "/opt/trajhub-agent/venv"']
    finally:
        for image in (installed.image, PLAIN):
            engine.client.images.remove(image, force=True)
