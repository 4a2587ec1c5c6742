"""The command line as a whole: help, JSON, exit codes, messages."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from trajectory_hub.cli import app
from typer.testing import CliRunner


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


ALL = list(commands(typer.main.get_command(app)))
LEAVES = [(path, command) for path, command in ALL if not hasattr(command, "commands")]


def trajhub(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trajectory_hub", *args]
    environment = {**os.environ, **env}
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False, env=environment)


def test_the_commands_are_these() -> None:
    assert {" ".join(path) for path, _ in LEAVES} >= {
        "clean",
        "doctor",
        "rollout",
        "runs list",
        "runs show",
        "tasks build",
        "tasks list",
        "tasks show",
        "tasks validate",
    }


def test_help_shows_every_command_by_what_it_is_for() -> None:
    root: Any = typer.main.get_command(app)
    shown_there = [command for path, command in ALL if len(path) == 1 or (len(path) == 2 and path[0] == "trace")]
    assert all(command.rich_help_panel for command in shown_there)
    names: list[str] = root.list_commands(typer.Context(root))
    assert sorted(names) == sorted({path[0] for path, _ in ALL if path})
    assert names.index("tasks") < names.index("rollout") < names.index("check") < names.index("train")


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    for flag in ("-h", "--help"):
        shown = CliRunner().invoke(app, [*path, flag])
        assert shown.exit_code == 0, shown.output
        assert "Usage" in shown.output


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_every_command_reports_json(path: tuple[str, ...], command: Any) -> None:
    assert any("--json" in parameter.opts for parameter in command.params)


def test_version() -> None:
    assert trajhub("--version").stdout.startswith("trajhub 0.")


@pytest.mark.parametrize("args", [["nonsense"], ["doctor", "--nonsense"], ["tasks", "nonsense"], ["rollout", "x", "y"]])
def test_wrong_usage_exits_2(args: list[str]) -> None:
    done = trajhub(*args)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_message_is_printed_for_what_cannot_be_done() -> None:
    done = trajhub("clean", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 3
    assert done.stderr.startswith("trajhub: no Docker API answers")
    assert "quickstart.sh" in done.stderr
    assert "Traceback" not in done.stderr


def test_traceback_on_request() -> None:
    done = trajhub("clean", DOCKER_HOST="unix:///nowhere/docker.sock", TRAJHUB_TRACEBACK="1")
    assert "Traceback" in done.stderr


def test_doctor_without_an_engine_exits_3_and_says_what_to_do() -> None:
    done = trajhub("doctor", "--no-network", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 3
    line = next(line for line in done.stdout.splitlines() if line.startswith("engine "))
    assert "fail" in line
    assert "quickstart.sh" in line


@pytest.mark.docker
def test_doctor_on_this_machine() -> None:
    done = trajhub("doctor", "--no-network", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["usable"]) == (0, True)
    checks = {check["name"]: check for check in report["checks"]}
    assert {"python", "engine", "storage driver", "control groups", "limits", "disk", "memory"} <= set(checks)
    assert all(check["mend"] for check in checks.values() if check["status"] == "fail")
    assert checks["engine"]["status"] == "ok"


@pytest.mark.docker
def test_doctor_asks_the_network_and_survives_its_absence() -> None:
    done = trajhub("doctor", "--json", PIP_INDEX_URL="http://127.0.0.1:9/simple")
    report = json.loads(done.stdout)
    index = next(check for check in report["checks"] if check["name"] == "package index")
    assert (index["status"], done.returncode) == ("warn", 0)
    assert "PIP_INDEX_URL" in index["mend"]


def test_interrupt_exits_130() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts and never answers
        command = [sys.executable, "-m", "trajectory_hub", "clean"]
        environment = {**os.environ, "DOCKER_HOST": f"tcp://127.0.0.1:{server.getsockname()[1]}"}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        server.settimeout(120)
        connection, _ = server.accept()
        try:
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()
            connection.close()
    assert process.returncode == 130
    assert "Traceback" not in said
