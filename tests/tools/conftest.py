"""Every test of a tool runs twice: over a shell on this machine, and over the real sandbox in Docker."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.factory.catalogue import load_catalogue
from trajectory_hub.envs.images import ensure_python_image
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
from trajectory_hub.tools.base import SandboxProtocol, ToolContext, ToolResult
from trajectory_hub.tools.registry import ParsedCall, ToolRegistry

from .local_sandbox import LocalSandbox

FILES = {
    "README.md": "# Demo\n\nA calculator.\n",
    "src/calc.py": "def add(a, b):\n    return a - b\n\n\ndef double(a):\n\treturn add(a, a)\n",
    "src/other.py": "from calc import add\n\nprint(add(1, 2))\n",
    "a b/ü -x.txt": "needle one\nsecond\n",
    "-dash.txt": "needle two\n",
    "build/out.txt": "needle ignored\n",
    ".gitignore": "build/\n",
}


class Act(Protocol):
    """Call a tool by name."""

    def __call__(self, name: str, **arguments: Any) -> ToolResult: ...


@pytest.fixture(scope="session")
def docker_sandbox(engine: Engine) -> Iterator[Sandbox]:
    base = load_catalogue().base
    image = ensure_python_image(engine, base.image, base.suite, base.include)
    with Sandbox(engine, SandboxConfig(image=image, sanitize_history=False)) as sandbox:
        yield sandbox


@pytest.fixture(params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> SandboxProtocol:
    """A sandbox whose workdir is a git repository with one commit of `FILES`."""
    local = request.param == "local"
    chosen = LocalSandbox(str(tmp_path)) if local else request.getfixturevalue("docker_sandbox")
    fill(chosen)
    return chosen


def fill(sandbox: SandboxProtocol) -> None:
    root = shlex.quote(sandbox.workdir)
    cleared = sandbox.run(f"mkdir -p {root} && cd {root} && rm -rf -- .git .gitattributes .gitignore *")
    assert cleared.exit_code == 0, cleared.text
    for path, content in FILES.items():
        sandbox.write_file(f"{sandbox.workdir}/{path}", content.encode())
    who = "-c user.name=t -c user.email=t@t.invalid -c safe.directory='*'"
    made = sandbox.run(f"git init -q . && git add -A && git {who} commit -qm first && git log --oneline")
    assert made.exit_code == 0, made.text


@pytest.fixture
def context(sandbox: SandboxProtocol) -> ToolContext:
    return ToolContext(sandbox=sandbox)


@pytest.fixture
def act(context: ToolContext) -> Act:
    return caller(context)


def caller(context: ToolContext) -> Act:
    registry = ToolRegistry()

    def call(name: str, **arguments: Any) -> ToolResult:
        parsed = registry.parse(json.dumps({"name": name, "arguments": arguments}))
        assert isinstance(parsed, ParsedCall), parsed
        return parsed.run(context)

    return call


def text_of(sandbox: SandboxProtocol, path: str) -> str:
    """A file's content, read without the tools."""
    return sandbox.run(f"cat {shlex.quote(sandbox.workdir + '/' + path)}").text
