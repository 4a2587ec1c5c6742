"""The whole loop, far too short to make a model better: every stage runs, survives SIGKILL, and is told truthfully."""

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
from trajectory_hub.eval.experiment.model import Experiment, read_experiment
from trajectory_hub.rollouts.run_dir import read_episodes

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(2400)]

SHORT = (
    *(
        "micro",
        "micro-ci",
        "-c",
        "serving.engine=transformers",
        "-c",
        "practice.max_steps=30",
        "-c",
        "practice.until=9",
    ),
    *("-c", "tasks={train: 14, dev: 0, eval: 4, modules: 7}", "-c", "demonstrations.tasks=10"),
    *("-c", "demonstrations.graded=2", "-c", "rollouts.tasks=3", "-c", "rollouts.samples=6", "-c", "base.epochs=1"),
    *("-c", "rollout.vllm.max_tokens=24", "-c", "model.layers=1", "-c", "rollout.workers=4", "-c", "rollout.warm=2"),
)


def command(root: Path) -> list[str]:
    return [sys.executable, "-m", "trajectory_hub", "experiment", *SHORT, "-o", str(root)]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str], dict[str, str]]:
    """An experiment that was killed while its base model was at work, and then finished; the stages kept."""
    root = tmp_path_factory.mktemp("experiment") / "short"
    log = root.with_suffix(".log")
    with log.open("w") as said:
        begun = subprocess.Popen(command(root), stdout=said, stderr=said, start_new_session=True)
    deadline = time.monotonic() + 1200
    try:
        while not (root / "seed0" / "rollouts" / "stage.json").exists():
            assert begun.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.05)
    finally:
        with suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(begun.pid, signal.SIGKILL)
        begun.wait()
    kept = {str(path.parent.relative_to(root)): json.loads(path.read_text())["id"] for path in finished(root)}
    return root, subprocess.run(command(root), capture_output=True, text=True, check=False), kept


def finished(root: Path) -> list[Path]:
    return [path for path in root.rglob("stage.json") if json.loads(path.read_text())["finished"]]


def test_it_goes_on_where_it_was_killed(done: tuple[Path, Any, dict[str, str]]) -> None:
    root, finish, kept = done
    # Nothing can have become better, which is what this experiment is set up to show.
    assert finish.returncode == 0, finish.stderr[-3000:]
    assert f"Results: {root}" in finish.stderr and (root / "report" / "report.html").exists()
    assert {"tasks", "demonstrations", "tokenizer", "seed0/model", "seed0/base"} <= set(kept)
    for name, known in kept.items():
        assert json.loads((root / name / "stage.json").read_text())["id"] == known


def test_the_record_names_everything_there_is(done: tuple[Path, Any, Any]) -> None:
    root, *_ = done
    record = read_experiment(root)
    assert record.finished and record.seeds == [0]
    assert {tasks.name: tasks.count for tasks in record.tasks} == {"train": 14, "eval": 4}
    assert [arm.name for arm in record.arms] == ["base", "dpo", "selected", "random"]
    for arm in record.arms:
        (seed,) = arm.seeds
        assert (root / seed.checkpoint / "model.safetensors").exists()
        assert json.loads((root / str(seed.training)).read_text())["algorithm"] == arm.method
        (run,) = seed.runs
        episodes = [episode for episode in read_episodes(root / run) if episode.verdict is not None]
        assert len({episode.first.task_id for episode in episodes}) == 4
    assert {(gate.candidate, gate.base, gate.seed) for gate in record.gates} >= {
        ("dpo", "base", 0),
        ("selected", "random", 0),
    }
    assert all((root / gate.report).exists() and gate.decision == "NO-GO" for gate in record.gates)
    assert all(stage.seconds > 0 for stage in record.stages)


def test_selected_and_random_data_are_of_the_same_size(done: tuple[Path, Any, Any]) -> None:
    record = read_experiment(done[0])
    rows = {data.name: data.rows for data in record.data}
    assert rows["random"] == rows["selected"] and rows["demonstrations"] == 10


def test_a_changed_setting_is_refused_by_its_name(done: tuple[Path, Any, Any]) -> None:
    again = [*command(done[0]), "-c", "base.learning_rate=1e-5"]
    refused = subprocess.run(again, capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "learning_rate" in refused.stderr
    assert isinstance(read_experiment(done[0]), Experiment)
