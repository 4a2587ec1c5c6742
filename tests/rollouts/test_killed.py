"""Runs in a process of their own that is interrupted or killed: nothing is lost, nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.task import Task
from trajectory_hub.rollouts.events import EpisodeEndEvent, ToolResultEvent
from trajectory_hub.rollouts.log import read_events

pytestmark = pytest.mark.docker

SCRIPT = """
- {name: shell, arguments: {command: "sleep 0.2; echo one > one.txt"}}
- {name: shell, arguments: {command: "sleep 0.2; echo two > two.txt"}}
- {name: shell, arguments: {command: "sleep 0.2; echo three > three.txt"}}
- {name: shell, arguments: {command: "sleep %s"}}
"""


@pytest.fixture
def tasks_file(tmp_path: Path, three_tasks: Sequence[Task]) -> Path:
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(task_row(task)) + "\n" for task in three_tasks))
    return path


def task_row(task: Task) -> dict[str, Any]:
    row = task.model_dump(mode="json", exclude={"provenance", "extra", "pro", "workdir", "network"})
    return row | {"FAIL_TO_PASS": json.dumps(row["FAIL_TO_PASS"]), "PASS_TO_PASS": json.dumps(row["PASS_TO_PASS"])}


class Cli:
    """`trajhub rollout` of the three tasks, one step of which takes `pause` seconds."""

    def __init__(self, tmp_path: Path, tasks: Path) -> None:
        self.run_dir = tmp_path / f"run-{uuid4().hex}"  # others may test on the same engine
        self._script = tmp_path / "script.yaml"
        self._command = [sys.executable, "-m", "trajectory_hub", "rollout", "--tasks", str(tasks)]
        self._command += [
            "--policy",
            f"scripted:{self._script}",
            "-o",
            str(self.run_dir),
            "--max-workers",
            "2",
            "--json",
        ]

    def start(self, pause: float) -> "subprocess.Popen[str]":
        self._script.write_text(SCRIPT % pause)
        return subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self) -> dict[str, Any]:
        with subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            out, error = process.communicate(timeout=250)
        assert process.returncode == 0, error
        return json.loads(out)

    def steps(self) -> dict[str, int]:
        """Finished steps on disk, by episode."""
        logs = self.run_dir.glob("episodes/*/events.jsonl")
        return {log.parent.name: sum(isinstance(e, ToolResultEvent) for e in read_events(log)) for log in logs}

    def unfinished(self) -> int:
        """Episodes whose log has no end."""
        logs = self.run_dir.glob("episodes/*/events.jsonl")
        return sum(not any(isinstance(e, EpisodeEndEvent) for e in read_events(log)) for log in logs)

    def wait_for_steps(self, count: int) -> None:
        deadline = time.monotonic() + 180
        while sum(self.steps().values()) < count:
            assert time.monotonic() < deadline, f"only {self.steps()}"
            time.sleep(0.02)


@pytest.fixture
def cli(tmp_path: Path, tasks_file: Path) -> Iterator[Cli]:
    yield Cli(tmp_path, tasks_file)


def containers(engine: Engine, run: str) -> list[str]:
    return [box["Id"] for box in engine.containers() if box["Labels"].get("trajhub.run") == run]


def test_after_sigkill_every_finished_step_is_there_and_the_run_resumes(cli: Cli, engine: Engine) -> None:
    with cli.start(pause=2) as process:  # far longer than it takes to see the third step and to kill
        cli.wait_for_steps(3)
        before = cli.steps()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    after, unfinished = cli.steps(), cli.unfinished()
    assert sum(after.values()) >= sum(before.values()) >= 3
    assert containers(engine, cli.run_dir.name), "killed in the middle, it should have left containers"
    summary = cli.finish()
    assert [(row["outcome"], row["steps"]) for row in summary["rows"]] == [("submitted", 5)] * 3
    assert summary["earlier_attempts"] == unfinished, after
    assert containers(engine, cli.run_dir.name) == []
    again = cli.finish()
    assert again["rows"] == summary["rows"]


def test_ctrl_c_tears_down_and_marks_what_was_interrupted(cli: Cli, engine: Engine) -> None:
    with cli.start(pause=120) as process:
        cli.wait_for_steps(6)  # both workers are in the long step, or about to be
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, error = process.communicate(timeout=110)
    assert process.returncode == 130, error
    assert time.monotonic() - began < 100, "the step that was under way takes two minutes"
    assert json.loads(out)["excluded"] == {"interrupted": 2}
    assert containers(engine, cli.run_dir.name) == []
    assert "resumes" in error
    for log in cli.run_dir.glob("episodes/*/events.jsonl"):
        assert '"stop_reason":"interrupted"' in log.read_text()


def test_a_second_ctrl_c_ends_at_once(cli: Cli, engine: Engine) -> None:
    with cli.start(pause=120) as process:
        cli.wait_for_steps(6)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    for container in containers(engine, cli.run_dir.name):
        engine.remove(container)


def test_two_processes_cannot_work_on_one_run(cli: Cli) -> None:
    with cli.start(pause=100) as process:
        cli.wait_for_steps(1)
        with cli.start(pause=100) as second:
            _, error = second.communicate(timeout=90)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=90)
    assert second.returncode == 2
    assert f"another process ({process.pid}) works on" in error
