"""A small slice of the catalogue becomes tasks in Docker, which the official tools accept."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.factory.catalogue import load_catalogue
from trajectory_hub.envs.factory.drafts import check_task
from trajectory_hub.envs.factory.workshop import Workshop
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
from trajectory_hub.envs.sources import read_task_repo
from trajectory_hub.envs.task import Task

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.timeout(1800)]

BUILD = [
    "tasks",
    "build",
    "--packages",
    "xmltodict",
    "--kind",
    "injected",
    "--limit",
    "4",
    "--max-workers",
    "1",
    "--json",
]


def trajhub(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trajectory_hub", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task repo whose build was killed once and went on."""
    folder = tmp_path_factory.mktemp("factory") / "tasks"
    command, log = [sys.executable, "-m", "trajectory_hub", *BUILD, "-o", str(folder)], folder.with_suffix(".log")
    with log.open("w") as said:
        begun = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
    deadline = time.monotonic() + 800
    try:
        while not list(folder.glob("tasks/*/task.yaml")):
            assert begun.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.05)
    finally:
        with suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(begun.pid, signal.SIGKILL)
        begun.wait()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("tasks/*/task.yaml")}
    report: dict[str, Any] = json.loads(trajhub(*BUILD, "-o", str(folder)).stdout)
    assert report["accepted"] == {"injected": 4, "release": 0}
    assert {path: path.stat().st_mtime_ns for path in before} == before
    return folder


@pytest.fixture(scope="module")
def tasks(repo: Path) -> list[Task]:
    return read_task_repo(repo)


def test_official_checks_find_nothing(repo: Path) -> None:
    checks: Any = importlib.import_module("swebench.task.checks")
    official: Any = importlib.import_module("swebench.task.repo")
    assert checks.check_task_repo(repo) == []
    rows = official.load_task_repo(repo)
    assert len(rows) == 4


def test_report_says_why_candidates_were_refused(repo: Path) -> None:
    report: dict[str, Any] = json.loads((repo / "build-report.json").read_text())
    total = report["totals"][0]
    assert total["accepted"] == 4
    assert total["tried"] == 4 + sum(total["reasons"].values())
    assert total["given"] > 100 and len(report["operators"]) >= 14


def test_tasks_record_where_they_come_from(tasks: list[Task]) -> None:
    for task in tasks:
        origin = task.provenance
        assert (origin.source, origin.licence, origin.seed) == ("injected", "MIT", 0)
        assert origin.origin and origin.origin.startswith("xmltodict-") and len(origin.sha256 or "") == 64
        assert origin.method and origin.method not in task.instance_id


def test_statements_tell_behaviour_and_not_the_change(tasks: list[Task]) -> None:
    for task in tasks:
        assert "What happens:" in task.problem_statement and "What is expected:" in task.problem_statement
        changed = [line[1:].strip() for line in task.patch.splitlines()[4:] if line[:1] in "+-" and len(line) > 13]
        assert [line for line in changed if line in task.problem_statement] == []


def test_image_shows_no_answer(engine: Engine, tasks: list[Task]) -> None:
    for task in tasks:
        with Sandbox(engine, SandboxConfig(image=task.require_image(), sanitize_history=False)) as sandbox:
            assert sandbox.run("git rev-list --all --count; git status --porcelain").text.split() == ["1"]
            for name in task.FAIL_TO_PASS:
                path, function = name.split("::")[0], name.split("::")[-1].split("[")[0]
                assert sandbox.run(f"grep -n 'def {function}(' {path}").text == ""
            found = sandbox.run("find / -xdev -name 'xmltodict*' -not -path '/proc/*' -not -path '/testbed/*'").text
            assert [line for line in found.split() if not line.endswith("dist-info")] == []
            caches = sandbox.run("find /testbed / -xdev -maxdepth 3 -name '*.whl' -o -path '/testbed/*' -name '*.pyc'")
            assert caches.text == ""
            assert sandbox.run("git log -1 --format=%an,%at").text.strip() == "Task Factory,946684800"


def test_image_is_made_again_from_the_repo_alone(engine: Engine, repo: Path, tasks: list[Task]) -> None:
    task = tasks[0]
    engine.client.images.remove(task.require_image(), force=True)
    done = trajhub("tasks", "validate", str(repo), "--filter", task.instance_id, "--json")
    assert json.loads(done.stdout) == [{"instance_id": task.instance_id, "valid": True, "reason": None}]


def test_a_task_that_does_not_hold_fails_validation(engine: Engine, tasks: list[Task]) -> None:
    broken = tasks[0].model_copy(update={"PASS_TO_PASS": (*tasks[0].PASS_TO_PASS, "tests/test_x.py::test_gone")})
    assert check_task(engine, tasks[0]) is None
    assert check_task(engine, broken) == "image: tests do not keep passing: 1"


def test_listing_and_showing(repo: Path, tasks: list[Task]) -> None:
    listed = json.loads(trajhub("tasks", "list", str(repo), "--json").stdout)
    assert [row["instance_id"] for row in listed] == [task.instance_id for task in tasks]
    shown = trajhub("tasks", "show", str(repo), tasks[0].instance_id).stdout
    assert tasks[0].patch not in shown and "What is expected" in shown
    assert tasks[0].base_commit in shown
    assert trajhub("tasks", "show", str(repo), "nonesuch", check=False).returncode == 2


def test_a_run_that_hangs_is_ended_and_the_workshop_goes_on(engine: Engine, tasks: list[Task]) -> None:
    package = load_catalogue().only(["xmltodict"]).packages[0]
    with Workshop(engine, tasks[0].require_image(), package) as workshop:
        hangs = {"tests/test_new.py": "def test_a():\n    while True: pass\n"}
        with workshop.changed({"tests/test_new.py": None}, hangs):
            assert workshop.test(["tests/test_new.py"], cpu_seconds=3).timed_out
        assert workshop.shell("ls tests/test_new.py").exit_code != 0
        workshop.put({"tests/test_new.py": "def test_a(): assert 1 == 2\n"})
        first = workshop.test(["tests/test_new.py"])
        workshop.put({"tests/test_new.py": "def test_a(): assert 1 == 1\n"})
        second = workshop.test(["tests/test_new.py"], trace=True)
    assert [run.statuses["tests/test_new.py::test_a"] for run in (first, second)] == ["FAILED", "PASSED"]
    assert first.failures["tests/test_new.py::test_a"].line == 1
    assert second.functions["tests/test_new.py::test_a"] == ["tests/test_new.py:1"]


def test_same_seed_same_tasks(repo: Path, tmp_path: Path) -> None:
    trajhub(*BUILD[:6], "--limit", "2", "--json", "-o", str(tmp_path / "again"))
    for home in (tmp_path / "again" / "tasks").iterdir():
        for file in home.rglob("*"):
            if file.is_file():
                assert file.read_bytes() == (repo / "tasks" / home.name / file.relative_to(home)).read_bytes(), file


def test_what_depends_on_the_clock_shows_on_a_slow_machine(engine: Engine, tiny_task: Task) -> None:
    package = load_catalogue().packages[0]
    with Workshop(engine, tiny_task.require_image(), package) as workshop, workshop.slowed():
        spent = workshop.shell("python3 -c 'sum(range(20_000_000))'").telemetry
    assert spent.cpu_s
    assert spent.wall_ms / 1000 / spent.cpu_s > 2.5
