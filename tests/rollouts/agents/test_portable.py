"""A Python and a Node.js that an agent brings along: made in its house, at work in an image that has neither."""

import subprocess

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.factory.catalogue import load_catalogue
from trajectory_hub.envs.images import build_image, ensure_python_image
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
from trajectory_hub.rollouts.agents.house import FOLDER, ensure_installed
from trajectory_hub.rollouts.agents.install import TOOLS
from trajectory_hub.rollouts.agents.recipe import load_recipe

PLAIN = "trajhub/test-pythonless:1"
PYTHON = f"""
import ssl, sqlite3, subprocess, sys, tomli_w
assert subprocess.run(["sh", "-c", "command -v python3 || command -v node"], check=False).returncode != 0
maps = open("/proc/self/maps").read()
print(tomli_w.dumps({{"own": "{FOLDER}/python/lib/shared/libc.so.6" in maps, "prefix": sys.prefix}}))
"""
NODE = f"""
const maps = require("fs").readFileSync("/proc/self/maps", "utf8")
console.log(maps.includes("{FOLDER}/node/shared/libc.so.6"), require("child_process").execSync("echo theirs") + "")
"""


@pytest.mark.parametrize("name", list(TOOLS))
def test_the_scripts_are_sound_shell(name: str) -> None:
    checked = subprocess.run(["sh", "-n"], input=TOOLS[name], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_they_run_where_there_are_none(engine: Engine) -> None:
    base = load_catalogue().base
    house = ensure_python_image(engine, base.image, base.suite, base.include)
    changes = {
        "house": {"image": house, "suite": "of-no-release"},
        "install": f'portable-python {FOLDER} "tomli-w==1.2.0"\nportable-node {FOLDER} semver@7.7.2',
        "version_command": "",
    }
    recipe = load_recipe("openhands", changes)
    remove = "RUN rm -rf /opt/venv /usr/bin/python3* /usr/lib/python3*"
    build_image(engine, PLAIN, {"Dockerfile": f"FROM {house}\n{remove}\n".encode()})
    volume = None
    try:
        volume = ensure_installed(engine, recipe, PLAIN).volume
        assert volume is not None
        with Sandbox(engine, SandboxConfig(image=PLAIN, workdir="/", volumes={volume: FOLDER})) as sandbox:
            sandbox.write_file("/tmp/look.py", PYTHON.encode())
            sandbox.write_file("/tmp/look.js", NODE.encode())
            python = sandbox.run(f"{FOLDER}/venv/bin/python /tmp/look.py").text
            assert python.split("\n")[:2] == ["own = true", f'prefix = "{FOLDER}/venv"']
            assert sandbox.run(f"{FOLDER}/node/node /tmp/look.js").text.split() == ["true", "theirs"]
            on_path = f"PATH=$PATH:{FOLDER}/node {FOLDER}/bin/semver -r '>1.0' 0.9.0 1.2.3"
            assert sandbox.run(on_path).text.split() == ["1.2.3"]
    finally:
        if volume is not None:
            engine.remove_volume(volume)
        engine.client.images.remove(PLAIN, force=True)
