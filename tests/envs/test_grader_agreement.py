"""Our verdicts are those of the official harness, and the patches that show it are what they claim to be."""

import json
import subprocess
from pathlib import Path

import pytest
from trajectory_hub.benchmarks import agreement
from trajectory_hub.envs.patches import changed_paths
from trajectory_hub.envs.sources import write_task_repo
from trajectory_hub.envs.task import Provenance, Task

BEFORE = (
    "import os\n\n\ndef total(values):\n    result = 0\n    for value in values:\n        result -= value\n"
    "    return result\n"
)
AFTER = BEFORE.replace("-=", "+=").replace("import os\n", "import os\nimport sys\n")


def git(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, cwd=folder, input=stdin, capture_output=True, text=True, check=False)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", ".")
    (tmp_path / "tool.py").write_text(BEFORE)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    return tmp_path


@pytest.fixture
def task(repo: Path) -> Task:
    (repo / "tool.py").write_text(AFTER)
    patch = git(repo, "diff").stdout
    git(repo, "checkout", "-q", ".")
    here = Provenance(source="dataset")
    return Task(instance_id="a__b-1", repo="a/b", base_commit="HEAD", patch=patch, provenance=here)


@pytest.mark.parametrize("variant", [0, 1])
def test_a_wrong_patch_applies_and_leaves_the_bug(repo: Path, task: Task, variant: int) -> None:
    patch = agreement.wrong(task, variant)
    assert changed_paths(patch) == changed_paths(task.patch)
    done = git(repo, "apply", "-", stdin=patch)
    assert done.returncode == 0, done.stderr
    changed = (repo / "tool.py").read_text()
    assert changed != BEFORE
    assert "result -= value" in changed
    assert "import sys" not in changed


@pytest.mark.parametrize("variant", [0, 1])
def test_an_unapplicable_patch_is_refused_by_every_tool(repo: Path, task: Task, variant: int) -> None:
    (repo / "p.diff").write_text(agreement.unapplicable(task, variant))
    for command in (["git", "apply"], ["git", "apply", "--3way"], ["git", "apply", "--reject"]):
        assert subprocess.run([*command, "p.diff"], cwd=repo, capture_output=True, check=False).returncode != 0
    assert (repo / "tool.py").read_text() == BEFORE


@pytest.mark.docker
@pytest.mark.slow
def test_one_command_shows_that_both_graders_agree(tmp_path: Path, tiny_task: Task) -> None:
    folder = write_task_repo([tiny_task], tmp_path / "tasks", dockerfiles={tiny_task.instance_id: "FROM scratch\n"})
    assert agreement.main([str(folder), "-o", str(tmp_path / "out")]) == 0
    result = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert (result["tasks"], result["cases"], result["differing"]) == (1, 4, [])
    assert {(one["kind"], one["official"]) for one in result["comparisons"]} == {
        ("reference", "resolved"),
        ("empty", "empty_patch"),
        ("wrong", "unresolved"),
        ("does-not-apply", "error"),
    }
    assert all(one["same_tests"] for one in result["comparisons"])
