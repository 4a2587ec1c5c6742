"""The examples of `docs/tables.md` run as they are written."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import RECORDED

PAGE = (Path(__file__).parents[3] / "docs" / "tables.md").read_text()
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("docs")
    for name, run in (("mine", "random"), ("theirs", "reference")):
        shutil.copytree(RECORDED / run, where / "runs" / name)
    return where


@pytest.mark.parametrize(("language", "text"), BLOCK.findall(PAGE))
def test_examples_of_the_page_run(folder: Path, language: str, text: str) -> None:
    command = shlex.join([sys.executable, "-m", "trajectory_hub"])
    script = text.replace("trajhub trace", f"{command} trace")
    script = "\n".join(line for line in script.splitlines() if not line.startswith("pip install"))
    shown = ["bash", "-euc", script] if language == "bash" else [sys.executable, "-c", text]
    done = subprocess.run(shown, cwd=folder, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 2
