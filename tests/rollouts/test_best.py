"""Best of n: chosen by score, never by verdict; what that is worth is estimated over all draws."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.cli import app
from trajectory_hub.envs.predictions import read_predictions
from trajectory_hub.errors import UsageError
from trajectory_hub.rollouts.best import best_of_n
from typer.testing import CliRunner

RUNS = Path(__file__).parents[1] / "data" / "runs-1.0"
TASK = "trajhub__tiny-1"


def rewritten(folder: Path, **changes: dict[str, Any]) -> None:
    """Change payloads of an episode's log, by event type; the chain is of no interest here."""
    log = folder / "events.jsonl"
    lines = list[str]()
    for line in log.read_text().splitlines():
        event = json.loads(line)
        event.pop("chain", None)
        event["payload"] |= changes.get(event["event_type"], {})
        lines.append(json.dumps(event))
    log.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """One task, five seeds: scores 0.1 to 0.5, resolved where the seed is 1 or 3."""
    run = tmp_path / "run"
    shutil.copytree(RUNS / "reference", run)
    shutil.rmtree(run / "episodes")
    for seed in range(5):
        folder = run / "episodes" / f"{TASK}--s{seed}--a1"
        shutil.copytree(RUNS / "reference" / "episodes" / f"{TASK}--s0--a1", folder)
        rewritten(
            folder,
            episode_end={"process_score": (seed + 1) / 10},
            verdict={"resolved": seed in (1, 3)},
            final_patch={"patch": f"patch of {seed}"},
        )
        log = folder / "events.jsonl"
        log.write_text(log.read_text().replace('"seed": 0', f'"seed": {seed}'))
    return run


def test_the_best_score_is_chosen_whatever_the_verdict(run: Path) -> None:
    (chosen,) = best_of_n(run).chosen
    assert (chosen.score, chosen.patch, chosen.resolved) == (0.5, "patch of 4", False)


def test_an_episode_without_a_patch_is_chosen_last(run: Path) -> None:
    rewritten(run / "episodes" / f"{TASK}--s4--a1", final_patch={"patch": ""})
    (chosen,) = best_of_n(run).chosen
    assert chosen.patch == "patch of 3"


def test_an_episode_that_failed_through_no_fault_of_the_agent_is_left_out(run: Path) -> None:
    rewritten(run / "episodes" / f"{TASK}--s4--a1", episode_end={"failure": "service"})
    found = best_of_n(run)
    assert (found.chosen[0].patch, found.candidates, found.excluded) == ("patch of 3", {TASK: 4}, 1)


def test_the_curve_is_the_mean_over_all_draws(run: Path) -> None:
    resolved = {0: False, 1: True, 2: False, 3: True, 4: False}
    for point in best_of_n(run).curve:
        draws = list(itertools.combinations(range(5), point.k))
        assert point.tasks == 1
        assert point.by_score == pytest.approx(sum(resolved[max(draw)] for draw in draws) / len(draws))
        assert point.any == pytest.approx(sum(any(resolved[i] for i in draw) for draw in draws) / len(draws))
    assert [point.k for point in best_of_n(run).curve] == [1, 2, 3, 4, 5]


def test_the_command_writes_predictions_that_the_grader_takes(run: Path) -> None:
    done = CliRunner().invoke(app, ["runs", "best", str(run), "--json"])
    told = json.loads(done.stdout)
    assert told["chosen"][0]["episode"] == f"{TASK}--s4--a1"
    assert read_predictions(told["predictions"]) == {TASK: "patch of 4"}
    rows = [json.loads(line) for line in (run / "best.jsonl").read_text().splitlines()]
    assert rows == [{"instance_id": TASK, "model_name_or_path": "reference", "model_patch": "patch of 4"}]


def test_a_layer_that_has_not_scored_and_a_run_without_episodes_are_refused(run: Path) -> None:
    with pytest.raises(UsageError, match="has not scored"):
        best_of_n(run, "judge@1:m")
    shutil.rmtree(run / "episodes")
    with pytest.raises(UsageError, match="no finished episode"):
        best_of_n(run)
