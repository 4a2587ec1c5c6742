"""The documentation is complete, current, and its examples run."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.sources import write_task_repo
from trajectory_hub.envs.task import Task

from .rollouts.model_server import installed

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *(ROOT / "rewards").glob("*.md")]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "generate.py"))


@pytest.mark.parametrize("page", ["docs/cli.md", "docs/api.md"])
def test_reference_is_current(generator: dict[str, Any], page: str) -> None:
    wanted: str = generator["PAGES"][page]()
    assert (ROOT / page).read_text() == wanted, "run `python docs/generate.py`"


def test_every_command_and_option_is_explained(generator: dict[str, Any]) -> None:
    unexplained = list[str]()
    for path, command in generator["commands"]():
        if not command.help:
            unexplained.append(path)
        for parameter in command.params:
            if not getattr(parameter, "help", None) and parameter.name not in ("help",):
                unexplained.append(f"{path} {parameter.opts}")
    assert unexplained == []


def test_every_public_name_is_explained(generator: dict[str, Any]) -> None:
    bare = re.findall(r"^- `\w+`: *$", generator["api_page"](), re.MULTILINE)
    assert bare == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    assert [page.name for page in PAGES if f"{page.name})" not in index and page.name != "index.md"] == []


def examples() -> list[Any]:
    """The Python examples of each page: one program, since later ones may build on earlier ones."""
    found = [(page, EXAMPLE.findall(page.read_text())) for page in PAGES]
    served = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(1000)]
    return [
        pytest.param("\n".join(code), id=page.name, marks=served if page.name == "serving.md" else ())
        for page, code in found
        if code
    ]


def test_there_are_examples() -> None:
    assert {param.id for param in examples()} >= {"README.md", "environment.md", "tools.md", "tasks.md", "rewards.md"}


@pytest.fixture(scope="module")
def task_repo(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "tasks"
    write_task_repo([tiny_task], folder, dockerfiles={tiny_task.instance_id: "FROM scratch\n"})
    return folder


@pytest.mark.docker
@pytest.mark.parametrize("code", examples())
def test_examples_run(code: str, task_repo: Path, tmp_path: Path) -> None:
    """Each page in a process and a folder of its own, with a tiny task and a recorded run; warnings are errors."""
    environment = {**os.environ, "TRAJHUB_TASKS": str(task_repo)}
    if '"my-model"' in code:
        environment["TRAJHUB_VLLM_PYTHON"], model = installed()
        (tmp_path / "my-model").symlink_to(model)
    (tmp_path / "tasks").symlink_to(task_repo)
    shutil.copytree(ROOT / "tests" / "data" / "runs-1.0" / "random", tmp_path / "runs" / "mine")
    (tmp_path / "my-rubric.yaml").symlink_to(ROOT / "configs" / "rubric.yaml")
    script = tmp_path / "example.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900 if "my-model" in code else 280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
