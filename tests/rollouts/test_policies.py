"""The built-in policies that need no model."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError
from trajectory_hub.rollouts.events import ToolCallEvent
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.policies.scripted import ScriptedPolicy
from trajectory_hub.rollouts.run_dir import read_episodes

from ..conftest import TINY_REPO
from .conftest import RunTasks


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def rename(tree: Path) -> None:
    (tree / "shapes" / "area.py").rename(tree / "shapes" / "surface.py")


def remove(tree: Path) -> None:
    (tree / "shapes" / "area.py").unlink()


def add(tree: Path) -> None:
    (tree / "shapes" / "deep").mkdir()
    (tree / "shapes" / "deep" / "volume.py").write_text("def cube(a: float) -> float:\n    return a**3\n")


def no_newline(tree: Path) -> None:
    path = tree / "shapes" / "area.py"
    path.write_text(path.read_text().rstrip("\n") + "  # the end")


def binary(tree: Path) -> None:
    (tree / "logo.bin").write_bytes(bytes(range(256)))


def spread(tree: Path) -> None:
    path = tree / "shapes" / "area.py"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("# first\n" + "".join(lines) + "\n\n# last\n")


@pytest.mark.docker
@pytest.mark.parametrize("change", [rename, remove, add, no_newline, binary, spread])
def test_the_reference_policy_makes_any_change(
    change: Callable[[Path], None], run_tasks: RunTasks, tiny_task: Task, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(TINY_REPO / "tree", tree, ignore=shutil.ignore_patterns("__pycache__"))
    git(tree, "init", "-q")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "base")
    change(tree)
    git(tree, "add", "-A")
    wanted = git(tree, "write-tree").strip()
    task = tiny_task.model_copy(update={"patch": git(tree, "diff", "--cached", "--binary", "-M")})
    run_tasks(tasks=[task])
    (episode,) = read_episodes(tmp_path / "run")
    git(tree, "reset", "-q", "--hard")
    git(tree, "clean", "-fdq")
    git(tree, "apply", "--index", str(episode.folder / "patch.diff"))
    assert git(tree, "write-tree").strip() == wanted


@pytest.mark.docker
def test_the_reference_policy_needs_a_reference_patch(run_tasks: RunTasks, tiny_task: Task) -> None:
    with pytest.raises(ConfigError, match="has no reference patch"):
        run_tasks(tasks=[tiny_task.model_copy(update={"patch": ""})])


@pytest.mark.docker
def test_the_random_policy_repeats_itself_by_seed(run_tasks: RunTasks, tiny_task: Task, tmp_path: Path) -> None:
    actions = dict[int, list[str]]()
    for place in ("one", "two"):
        run_tasks("policy=random", "seeds=3", tasks=[tiny_task])
        for episode in read_episodes(tmp_path / "run"):
            events = read_events(episode.folder / "events.jsonl")
            made = [event.payload.action for event in events if isinstance(event, ToolCallEvent)]
            assert actions.setdefault(episode.first.seed or 0, made) == made
        (tmp_path / "run").rename(tmp_path / place)
    assert len({tuple(made) for made in actions.values()}) == 3


def test_a_script_may_differ_by_task(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text("default: [{name: submit}]\nspecial: ['plain text', {name: shell, arguments: {command: ls}}]\n")
    first = ScriptedPolicy.load(path)
    path.write_text(path.read_text().replace("ls", "pwd"))
    assert ScriptedPolicy.load(path).version != first.version


@pytest.mark.parametrize("text", ["{", "12", "- {nam: shell}", "- {name: shell, arguments: 3}"])
def test_a_script_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"script\.yaml"):
        ScriptedPolicy.load(path)
