"""Micro tasks: what they hold, that their splits share no word, and that they are real tasks in real images."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from swebench.task.checks import check_task_repo
from trajectory_hub.benchmarks.official import Case, ask
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.factory.drafts import check_task
from trajectory_hub.envs.factory.gitobjects import commit_id
from trajectory_hub.envs.grader import Grader
from trajectory_hub.envs.micro import FAMILIES, SPLITS, MicroConfig, build_micro, make_packages, words_of, write_micro
from trajectory_hub.envs.micro.build import ensure_micro_images
from trajectory_hub.envs.micro.images import LAYER
from trajectory_hub.envs.micro.packages import check_in_process, diff
from trajectory_hub.envs.micro.repository import git_files, layer
from trajectory_hub.envs.sources import expected_image, load_tasks
from trajectory_hub.errors import TaskError

SMALL = MicroConfig(train=14, dev=3, eval=12, modules=4, seed=7)  # names that no experiment has


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def test_no_word_of_one_split_occurs_in_the_tasks_of_another() -> None:
    words = {split: set(words_of(split)) for split in SPLITS}
    assert all(len(found) > 1000 for found in words.values())
    text = {
        split: "\n".join(
            data.decode() for package in make_packages(split, 200) for data in [*package.files.values(), b""]
        )
        for split in SPLITS
    }
    for split in SPLITS:
        used = set(re.findall(r"[a-z]+", text[split]))
        others = set[str]().union(*(words[other] for other in SPLITS if other != split))
        assert used & words[split] and not used & others


def test_every_family_fails_as_told_and_is_mended_by_its_right_line_only() -> None:
    modules = [module for package in make_packages("train", 60) for module in package.modules]
    assert {module.buggy.family.name for module in modules} == {family.name for family in FAMILIES}
    for module in modules:
        passed = check_in_process(module)
        told = f"test_{module.buggy.name}_as_told"
        assert all(passed["right"].values()) and len(passed["right"]) == 3
        assert [name for name, ok in passed["wrong"].items() if not ok] == [told]
        assert not passed["distractor"][told]
        assert module.source().count(module.buggy.line("wrong")) == 1


def test_the_same_seed_gives_the_same_packages_and_another_seed_others() -> None:
    one, same, other = (list(make_packages("dev", 12, modules=5, seed=seed)) for seed in (3, 3, 4))
    assert [package.digest for package in one] == [package.digest for package in same]
    assert not {package.name for package in one} & {package.name for package in other}
    assert [len(package.modules) for package in one] == [5, 5, 2]


def test_git_reads_the_repository_that_was_written_without_it(tmp_path: Path) -> None:
    package = next(make_packages("train", 10))
    write_files(tmp_path, package.files)
    write_files(tmp_path / ".git", git_files(package.files))

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert git("rev-parse", "HEAD") == package.base_commit == commit_id(package.files, ())
    assert git("status", "--porcelain") == "" and git("fsck", "--strict", "--unreachable") == ""
    task = package.tasks()[0]
    (tmp_path / "gold.patch").write_text(task.patch)
    git("apply", "gold.patch")
    assert (tmp_path / package.modules[0].path).read_text() == package.modules[0].source("right")


def test_a_layer_is_a_function_of_its_files() -> None:
    files = {"testbed/a.py": b"1\n", "opt/b/c.py": b"2\n"}
    assert layer(files) == layer(dict(reversed(files.items())))
    assert layer(files) != layer({**files, "testbed/a.py": b"3\n"})


def test_a_task_repo_reads_back_and_refuses_another_configuration(tmp_path: Path) -> None:
    done = write_micro(tmp_path / "micro", SMALL, "base:1")
    assert list(done) == ["train", "dev", "eval"]
    tasks = {split: load_tasks(str(folder)) for split, folder in done.items()}
    assert {split: len(found) for split, found in tasks.items()} == {"train": 14, "dev": 3, "eval": 12}
    task = tasks["eval"][0]
    assert task.missing() == () and task.image == expected_image(task.instance_id)
    assert task.extra["distractor"] and task.provenance.method in {family.name for family in FAMILIES}
    assert not {task.repo for task in tasks["train"]} & {task.repo for task in tasks["eval"]}
    home = done["eval"] / "tasks" / task.instance_id
    assert (home / "Dockerfile").read_text().startswith("FROM base:1\n") and (home / LAYER).exists()
    assert check_task_repo(done["eval"]) == []  # what the official tools find wrong with it
    before = (home / "task.yaml").stat().st_mtime_ns
    write_micro(tmp_path / "micro", SMALL, "base:1")
    assert (home / "task.yaml").stat().st_mtime_ns == before
    with pytest.raises(TaskError, match="another configuration"):
        write_micro(tmp_path / "micro", SMALL.model_copy(update={"seed": 1}), "base:1")


def test_the_runner_reports_as_pytest_does_and_fails_what_cannot_be_read(tmp_path: Path) -> None:
    runner = Path(sys.modules["trajectory_hub.envs.micro"].__path__[0]) / "microtest.py"
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(
        "import unittest\nclass Case(unittest.TestCase):\n    def setUp(self): self.x = 1\n"
        "    def test_x(self): self.assertEqual(self.x, 1)\n    def test_y(self): self.fail('no')\n"
        "def test_z(): assert 1 == 1\ndef test_exit(): raise SystemExit(0)\n"
    )
    (tmp_path / "tests" / "test_b.py").write_text("import absent\n")

    def run(*names: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [sys.executable, "-S", str(runner), *names], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()

    assert run("tests/test_a.py") == (
        1,
        [
            "PASSED tests/test_a.py::Case::test_x",
            "FAILED tests/test_a.py::Case::test_y - AssertionError: no",
            "PASSED tests/test_a.py::test_z",
            "FAILED tests/test_a.py::test_exit - SystemExit: 0",
        ],
    )
    code, lines = run()
    assert code == 1 and lines[-1] == "ERROR tests/test_b.py - ModuleNotFoundError: No module named 'absent'"


@pytest.fixture(scope="module")
def built(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few tasks with their images."""
    folder = tmp_path_factory.mktemp("micro")
    advanced = list[int]()
    build_micro(folder, SMALL, engine, advance=advanced.append)
    assert sum(advanced) == 8  # packages of 4, 4, 4, 2; 3; 4, 4, 4 tasks
    return folder


@pytest.mark.docker
def test_images_hold_what_the_tasks_say_and_are_made_once(engine: Engine, built: Path) -> None:
    tasks = load_tasks(str(built / "eval"))
    for task in tasks[:3]:
        assert check_task(engine, task) is None
    assert engine.image_id(tasks[0].require_image()) == engine.image_id(tasks[1].require_image())
    assert ensure_micro_images(engine, SMALL.packages("eval")) == 0


@pytest.mark.docker
def test_an_image_of_another_version_is_made_again(engine: Engine, built: Path) -> None:
    task, other = load_tasks(str(built / "eval"))[0], load_tasks(str(built / "dev"))[0]
    repository, _, tag = task.require_image().rpartition(":")
    engine.api.tag(other.require_image(), repository, tag, force=True)
    assert check_task(engine, task) is not None
    assert ensure_micro_images(engine, SMALL.packages("eval")) == 1
    assert check_task(engine, task) is None


@pytest.mark.docker
def test_the_trusted_grader_tells_the_right_line_from_the_distractor(engine: Engine, built: Path) -> None:
    package = next(iter(SMALL.packages("eval")))
    module = package.modules[0]
    task = next(task for task in load_tasks(str(built / "eval")) if task.instance_id == module.instance_id)
    grader = Grader(engine)
    right = grader.grade(task, task.patch)
    assert right.resolved and right.canaries is not None and right.canaries.state == "ran"
    assert grader.grade(task, diff(module.path, module.source(), module.source("distractor"))).resolved is False


@pytest.mark.docker
@pytest.mark.slow
def test_the_official_harness_says_the_same(built: Path, tmp_path: Path) -> None:
    module = next(iter(SMALL.packages("eval"))).modules[0]
    task = next(task for task in load_tasks(str(built / "eval")) if task.instance_id == module.instance_id)
    wrong = diff(module.path, module.source(), module.source("distractor"))
    cases = {"right": Case(task=task, patch=task.patch), "distractor": Case(task=task, patch=wrong)}
    answers = ask(cases, tmp_path, run_id="micro")
    assert {key: answer.outcome for key, answer in answers.items()} == {"right": "resolved", "distractor": "unresolved"}
