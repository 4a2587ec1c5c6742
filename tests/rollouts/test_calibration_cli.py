"""`trajhub calibrate` and `trajhub agreement` on recorded runs, with labels kept as annotators' saves are."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trajectory_hub.cli import app
from trajectory_hub.errors import UsageError
from trajectory_hub.rewards.config import load_config
from trajectory_hub.rewards.human.labels import PairAnswer, PairItem, Save, StepAnswer, StepItem
from trajectory_hub.rewards.human.store import LabelStore
from trajectory_hub.rollouts.calibration import calibrate_runs
from trajectory_hub.rollouts.calibration_data import PROCESS_SCORE, read_scored
from trajectory_hub.rollouts.score_log import StepScoreRow, write_scores
from trajectory_hub.rollouts.trajectory import Trajectory, read_trajectories
from typer.testing import CliRunner

RUNS = Path(__file__).parents[1] / "data" / "runs-1.0"
JUDGE = "judge@1:somebody"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The recorded runs, and each episode of theirs again as one of five other tasks, so that tasks can be held out."""
    folder = tmp_path_factory.mktemp("runs")
    for run in ("reference", "random"):
        shutil.copytree(RUNS / run, folder / run)
        for episode in sorted((folder / run / "episodes").iterdir()):
            for number in range(3, 7):
                name = episode.name.replace("trajhub__tiny-1", f"trajhub__tiny-{number}")
                if name != episode.name:
                    text = (episode / "events.jsonl").read_text().replace("trajhub__tiny-1", f"trajhub__tiny-{number}")
                    (episode.parent / name).mkdir()
                    (episode.parent / name / "events.jsonl").write_text(text)
    return [folder / "reference", folder / "random"]


def item_of(found: Trajectory, step: int) -> StepItem:
    header = found.header
    return StepItem.of(run_id=header.run_id, episode_id=header.episode_id, task_id=header.task_id, step=step)


def label(path: Path, runs: list[Path], noise: float = 0.15, share: float = 0.8) -> Path:
    """Two people label most steps near what the rules say, and prefer the better process."""
    rng = np.random.default_rng(0)
    with LabelStore(path) as store:
        wholes: dict[str, list[Trajectory]] = {}
        for found in (found for run in runs for found in read_trajectories(run)):
            wholes.setdefault(found.header.task_id, []).append(found)
            for step, reward in zip(found.steps, found.rewards, strict=True):
                item = item_of(found, step.index)
                store.register([item])
                for person in ("ann", "bob"):
                    if reward is not None and rng.random() < share:
                        values = {
                            c.criterion: None
                            if c.score is None
                            else round(float(np.clip(c.score + rng.normal(0, noise), 0, 1)) * 4) / 4
                            for c in reward.criteria
                        }
                        save(store, item, person, StepAnswer(values=values))
        for task, alike in wholes.items():
            one, other = alike[0], alike[-1]
            pair = PairItem.of(
                task, (one.header.run_id, one.header.episode_id), (other.header.run_id, other.header.episode_id)
            )
            store.register([pair])
            first_is_a = pair.episode_a == one.header.episode_id and pair.run_a == one.header.run_id
            better = (one.process_score or 0) > (other.process_score or 0)
            save(store, pair, "ann", PairAnswer(chosen="a" if better == first_is_a else "b"))
    return path


def save(store: LabelStore, item: StepItem | PairItem, person: str, answer: StepAnswer | PairAnswer) -> None:
    store.save(
        Save(key=f"{item.item_id}-{person}", item_id=item.item_id, annotator=person, created=Save.now(), answer=answer)
    )


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory, runs: list[Path]) -> Path:
    return label(tmp_path_factory.mktemp("labels") / "labels.sqlite", runs)


def judge(run: Path, noise: float) -> None:
    """A judge that says what the rules say, more or less."""
    rng = np.random.default_rng(1)
    rows = [
        StepScoreRow.model_validate(
            {
                "episode_id": found.header.episode_id,
                "task_id": found.header.task_id,
                "step": reward.step,
                "layer": JUDGE,
                "reward": None,
                "criteria": {
                    c.criterion: {
                        "score": None if c.score is None else float(np.clip(c.score + rng.normal(0, noise), 0, 1))
                    }
                    for c in reward.criteria
                },
            }
        )
        for found in read_trajectories(run)
        for reward in found.rewards
        if reward is not None
    ]
    write_scores(run, JUDGE, rows)


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(each) for each in args])


def test_the_whole_command_on_recorded_runs(runs: list[Path], labels: Path, tmp_path: Path) -> None:
    done = run("calibrate", *runs, "--labels", labels, "-o", tmp_path / "out", "--resamples", 300)
    assert done.exit_code == 0, done.output
    assert "GO: Pearson's r of rules@1 is 0.9" in done.stdout
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "calibration.json", "figures", "report.html", "report.md", "rubric.yaml",
    }  # fmt: skip
    assert {path.name for path in (out / "figures").iterdir()} == {"correlation.svg", "refit.svg", "reliability.svg"}
    assert f"Results: {tmp_path / 'out' / 'report.html'}" in done.stderr
    load_config(tmp_path / "out" / "rubric.yaml")
    found = json.loads((tmp_path / "out" / "calibration.json").read_text())
    assert found["gate"]["decision"] == "GO"
    assert (found["tasks"], found["annotators"]) == (6, ["ann", "bob"])
    assert found["preferences"][PROCESS_SCORE]["accuracy"]["value"] > 0.9
    assert "GO: Pearson's r" in (tmp_path / "out" / "report.md").read_text()


def test_json_is_what_is_written_and_the_report_lies_in_the_first_run(runs: list[Path], labels: Path) -> None:
    done = run("calibrate", *runs, "--labels", labels, "--resamples", 300, "--json")
    assert done.exit_code == 0, done.output
    told, kept = json.loads(done.stdout), json.loads((runs[0] / "calibration" / "calibration.json").read_text())
    assert told["gate"] == kept["gate"]
    assert all(Path(path).is_file() for path in told["files"])
    assert kept["command"].split()[0] == "trajhub"


def test_a_layer_below_the_gate_exits_1_and_a_judge_s_scores_count(
    runs: list[Path], labels: Path, tmp_path: Path
) -> None:
    for each in runs:
        judge(each, noise=0.5)
    try:
        done = run("calibrate", *runs, "--labels", labels, "-o", tmp_path, "--resamples", 300, "--layer", JUDGE)
        assert done.exit_code == 1, done.output
        assert f"NO-GO: Pearson's r of {JUDGE}" in done.stdout
        found = json.loads((tmp_path / "calibration.json").read_text())
        assert {each["layer"] for each in found["comparisons"]} == {"rules@1", JUDGE, "combination"}
        assert set(found["refit"]["weights_after"]["layers"]["tool_choice"]) == {"rules@1", JUDGE}
        assert f"mean reward of {JUDGE}" in found["preferences"]
    finally:
        for each in runs:
            shutil.rmtree(each / "scores")


def recorded_weights(run: Path) -> dict[str, dict[str, float]]:
    """By criterion, the weight of each rule as the logs have it."""
    found: dict[str, dict[str, float]] = {}
    for reward in (reward for each in read_trajectories(run) for reward in each.rewards if reward is not None):
        for record in reward.criteria:
            found.setdefault(record.criterion, {}).update({rule["rule"]: rule["weight"] for rule in record.rules})
    return found


def test_recorded_weights_give_back_what_the_runs_recorded(runs: list[Path]) -> None:
    """Rule scores weighed again are the recorded scores, where no decisive rule settled them."""
    compared = settled = 0
    for each in runs:
        weights = recorded_weights(each)
        wanted = {(found.header.run_id, found.header.episode_id) for found in read_trajectories(each)}
        for episode in read_scored([each], wanted, load_config().weights):
            for step in episode.steps:
                settled += len(step.settled)
                for name, rules in step.rules.items():
                    if name not in step.settled:
                        mean = sum(weights[name][r] * s for r, s in rules.items()) / sum(
                            weights[name][r] for r in rules
                        )
                        assert mean == pytest.approx(step.layers["rules@1"][name], abs=1e-5)
                        compared += 1
    assert compared > 500
    assert settled > 0


def test_two_runs_of_one_name_are_not_mixed(runs: list[Path], labels: Path, tmp_path: Path) -> None:
    shutil.copytree(runs[0], tmp_path / "copy")
    with pytest.raises(UsageError, match="are both called 'reference'"):
        calibrate_runs([runs[0], tmp_path / "copy"], labels, load_config())


def test_few_labels_exit_2_and_say_what_is_needed(tmp_path: Path) -> None:
    path = label(tmp_path / "few.sqlite", [RUNS / "random"], share=0.1)
    command = [sys.executable, "-m", "trajectory_hub", "calibrate", str(RUNS / "random"), "--labels", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 2
    assert "at least 10 are needed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (RUNS / "random" / "calibration").exists()


def test_an_empty_and_a_missing_label_file(tmp_path: Path) -> None:
    LabelStore(tmp_path / "empty.sqlite").close()
    with pytest.raises(UsageError, match="holds no label of a step; `trajhub label"):
        calibrate_runs([RUNS / "random"], tmp_path / "empty.sqlite", load_config())
    with pytest.raises(UsageError, match="there is no label file"):
        calibrate_runs([RUNS / "random"], tmp_path / "none.sqlite", load_config())
    assert not (tmp_path / "none.sqlite").exists()


def test_recorded_runs_of_two_tasks_are_calibrated_but_not_refitted(tmp_path: Path) -> None:
    two = [RUNS / "reference", RUNS / "random"]
    path = label(tmp_path / "labels.sqlite", two)
    done = run("calibrate", *two, "--labels", path, "-o", tmp_path / "out", "--resamples", 300)
    assert done.exit_code == 0, done.output
    assert "The weights were not refitted: the labels cover 2 tasks" in done.stdout
    assert "The labels come from only 8 trajectories: intervals are rough." in done.stdout
    assert not (tmp_path / "out" / "rubric.yaml").exists()


def test_agreement_shows_every_measure(labels: Path) -> None:
    done = run("agreement", labels, "--resamples", 300, "--limit", 2)
    assert done.exit_code == 0, done.output
    for said in (
        "raw agreement",
        "Fleiss' kappa",
        "Krippendorff's alpha, ordinal",
        "Cohen's kappa, quadratic: ann and bob",
    ):
        assert said in done.stdout
    assert "goal_progress: " in done.stdout
    told = json.loads(run("agreement", labels, "--resamples", 300, "--json").stdout)
    assert [each["criterion"] for each in told["criteria"]][-1] == "preference"
    assert all(len(each["disagreements"]) <= 5 for each in told["criteria"])
    alpha = told["criteria"][0]["krippendorff_alpha"]["interval"]
    assert alpha["low"] < alpha["value"] < alpha["high"]


def test_agreement_of_nothing_is_nothing(tmp_path: Path) -> None:
    LabelStore(tmp_path / "empty.sqlite").close()
    done = run("agreement", tmp_path / "empty.sqlite")
    assert (done.exit_code, done.stdout) == (0, "Labels: none\n")
