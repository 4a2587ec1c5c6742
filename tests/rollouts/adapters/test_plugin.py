"""Somebody else's adapter, in a package of its own, is used without touching our code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from trajectory_hub.rollouts.events import EpisodeEndEvent
from trajectory_hub.rollouts.log import read_events

from .reading_runs import payloads
from .recorded import write

PLUGIN = Path(__file__).parents[3] / "docs" / "examples" / "adapter-plugin"
SESSION = [
    {"tinyagent": 1, "session": "s1", "task": "mend the parser", "model": "tiny-7b", "at": 1772359200.0},
    {"ask": "mend the parser", "at": 1772359201.0},
    {"say": "I look at the file.", "tokens": [120, 16], "at": 1772359203.5},
    {"run": "cat parser.py", "at": 1772359203.6},
    {"out": "def parse(): ...", "status": 0, "at": 1772359203.9},
    {"dance": True, "at": 1772359204.0},
    {"bye": "done", "at": 1772359210.0},
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example package is installed, apart from everything else."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PLUGIN, folder / "source")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--target", str(folder / "site"), str(folder / "source")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_the_example_package_is_found_and_reads_its_format(installed: Path, tmp_path: Path) -> None:
    write(tmp_path / "session.log", SESSION)
    command = [sys.executable, "-m", "trajectory_hub", "trace", "ingest", "session.log", "-o", "run", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["total"]["records"] == len(SESSION) and report["formats"]["tinyagent"]["dance"]["unread"] == 1
    (log,) = (tmp_path / "run").rglob("events.jsonl")
    events = list(read_events(log))
    assert payloads(events, "tool_result")[0].observation == "def parse(): ..."
    end = events[-1]
    assert isinstance(end, EpisodeEndEvent) and end.payload.usage.input_tokens == 120
    assert next(event for event in events if event.event_type == "tool_result").duration_ms == pytest.approx(300)


def test_without_the_package_the_file_is_of_no_known_format(tmp_path: Path) -> None:
    write(tmp_path / "session.log", SESSION)
    command = [sys.executable, "-m", "trajectory_hub", "trace", "ingest", "session.log", "-o", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "session.log is of no known format" in done.stderr
