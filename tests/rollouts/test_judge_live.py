"""A judge in live rollouts: by configuration, shared by all environments, recorded in the log."""

import json
from pathlib import Path

import pytest
from trajectory_hub.cli import app
from trajectory_hub.errors import ConfigError
from trajectory_hub.rewards.config import load_config as load_rubric
from trajectory_hub.rewards.scores import CRITERIA
from trajectory_hub.rollouts import load_config, read_trajectories
from trajectory_hub.rollouts.config import read_overrides
from trajectory_hub.rollouts.judging import rule_scores
from trajectory_hub.rollouts.run_dir import read_manifest
from typer.testing import CliRunner

from ..rewards.judging import answer
from .conftest import RunTasks
from .faulty import Reply, serving

pytestmark = pytest.mark.docker


def test_steps_are_judged_while_they_happen_and_judging_the_record_costs_nothing(
    run_tasks: RunTasks, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with serving(answer(0.9)) as seen:
        judge = f"rubric.judge.models=[gpt-4o@{seen.url}]"
        summary = run_tasks(judge, "rubric.layers.combine=weighted", "workers=3", "limit=2", "seeds=2")
        assert summary.excluded == {}
        asked = len(seen.bodies)
        done = CliRunner().invoke(app, ["judge", str(run), "--model", f"gpt-4o@{seen.url}", "--json"])
        assert len(seen.bodies) == asked, "the record shows a judge what the live step showed it"
    told = json.loads(done.stdout)
    assert (told["requests"], told["cache_hit_share"], told["steps"]) == (
        0,
        1.0,
        sum(row.steps or 0 for row in summary.rows),
    )
    trajectories = list(read_trajectories(run))
    assert asked < told["steps"], "equal steps of two seeds were asked about once"
    for trajectory in trajectories:
        rules = rule_scores(trajectory, load_rubric())
        for reward, ruled in zip(trajectory.rewards, rules, strict=True):
            assert reward is not None
            record = (reward.model_extra or {})["record"]
            assert record["answers"][0]["cost_usd"] == pytest.approx(0.00035)
            for one in reward.criteria:
                parts = (one.model_extra or {})["parts"]
                assert [part["layer"].split("@")[0] for part in parts] == ["rules", "judge"]
                assert parts[1]["score"] == 0.9
                assert ruled[one.criterion].score == parts[0]["score"], "what the rules said can be told apart again"
    config = read_manifest(run)["config"]["rubric"]
    assert config["layers"]["combine"] == "weighted"
    assert set(config["criteria"]) == set(CRITERIA)


def test_a_judge_that_fails_does_not_harm_the_episode(run_tasks: RunTasks, tmp_path: Path) -> None:
    with serving(Reply(503, b"busy")) as seen:
        judge = f"rubric.judge={{models: [m@{seen.url}], request: {{retries: 0}}, give_up_after: 2}}"
        summary = run_tasks(judge, "rubric.layers.combine=judge", "limit=1")
    assert summary.excluded == {}
    (row,) = summary.rows
    assert row.outcome == "submitted"
    assert len(seen.bodies) == 2, "after two failures in a row nobody was asked any more"
    (trajectory,) = read_trajectories(tmp_path / "run")
    last = trajectory.rewards[-1]
    assert last is not None
    assert {str(one.layer).split("@")[0] for one in last.criteria} == {"rules"}
    assert "failed 2 requests in a row" in str(last.criteria[0].model_extra)


def test_the_rubric_of_a_run_comes_from_a_file_or_from_single_values(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("criteria: {goal_progress: {weight: 1, rules: {localises: 1}}}\n")
    config = load_config(read_overrides(["tasks=x", f"rubric={mine}"]))
    assert config.rubric is not None
    assert list(config.rubric.criteria) == ["goal_progress"]
    changed = load_config(read_overrides(["tasks=x", "rubric.criteria.tool_choice.weight=0.5"]))
    assert changed.rubric is not None
    assert changed.rubric.criteria["tool_choice"].weight == 0.5
    assert len(changed.rubric.criteria) == 5
    assert load_config({"tasks": "x"}).rubric is None
    with pytest.raises(ConfigError, match=r"rubric: Value error, layers\.combine is 'judge'"):
        load_config(read_overrides(["tasks=x", "rubric.layers.combine=judge"]))
