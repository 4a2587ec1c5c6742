"""The commands, from tables to reports."""

import json
import re
from pathlib import Path

import pytest
from trajectory_hub.benchmarks.trace_tables import synthetic_run
from trajectory_hub.cli import app
from trajectory_hub.rollouts.steering.predictor import read_predictor
from typer.testing import CliRunner

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_run(tmp_path_factory.mktemp("runs") / "made", 4_000, 0)


def test_predicting_then_replaying(run: Path, tmp_path: Path) -> None:
    small = ["--folds", "2", "--resamples", "20", "--json"]
    done = RUNNER.invoke(app, ["trace", "predict", str(run), "-o", str(tmp_path / "p"), "--at", "5", *small])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["results"][0]["rows"] > 60 and {one["name"] for one in report["results"][0]["models"]} == {
        "baseline",
        "linear",
        "trees",
    }
    assert {"prediction.md", "prediction.html", "prediction.json", "predictor.json"} <= {
        path.name for path in (tmp_path / "p").iterdir()
    }
    predictor, _ = read_predictor(tmp_path / "p" / "predictor.json")
    assert predictor.head_at(5) is not None and len(predictor.tasks) == report["tasks"]
    wanted = ["--predictor", str(tmp_path / "p" / "predictor.json"), "-o", str(tmp_path / "q"), "--threshold", "0.3"]
    done = RUNNER.invoke(app, ["trace", "policies", str(run), *wanted, *small])
    assert done.exit_code == 0, done.output
    replayed = json.loads(done.stdout)
    assert replayed["judged_by_the_file"] == 0 and "per_usd_gain" in replayed["sweep"][0]["figures"]
    assert (tmp_path / "q" / "figures" / "policies-usd.svg").exists()
    told = (tmp_path / "q" / "policies.md").read_text()
    assert re.search(r"the most successes per (dollar|million tokens|minute) on the rest", told)


def test_simulating(run: Path, tmp_path: Path) -> None:
    few = ["-c", "arrivals.sessions=12", "-c", "seeds=2", "-c", "cluster.kv_tokens=2000000", "--json"]
    done = RUNNER.invoke(app, ["trace", "simulate", str(run), "-o", str(tmp_path), *few])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["sessions"] > 60 and report["seeds"] == 2
    assert all(one["figures"]["completion_mean_s"]["value"] > 0 for one in report["policies"])
    assert (tmp_path / "simulation.html").exists()


def test_what_cannot_be_is_said(run: Path, tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["trace", "predict", str(run), "-o", str(tmp_path), "--target", "weather"])
    assert done.exit_code != 0 and "should be one of success" in str(done.exception)
