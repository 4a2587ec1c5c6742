"""GRPO for real: the model being trained acts in sandboxes, is graded, and learns from what it sampled itself."""

# TRL, transformers and torch tell little of their types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.sources import write_task_repo
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError, InfrastructureError, TaskNotFound, UsageError
from trajectory_hub.rollouts.policies.conversation import REMINDER
from trajectory_hub.rollouts.run_dir import read_episodes
from trajectory_hub.rollouts.tokens import token_turns
from trajectory_hub.training.grpo import train_grpo
from trajectory_hub.training.trainer.config import GrpoConfig
from trajectory_hub.training.trainer.episodes import Played, Stage

from .configs import grpo_of
from .test_train import same, weights

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.filterwarnings("default")]  # of other people's code


@pytest.fixture(scope="module")
def tasks(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grpo") / "tasks"
    write_task_repo([tiny_task], folder, dockerfiles={tiny_task.instance_id: "FROM scratch\n"})
    return folder


@pytest.fixture
def config(quick: Mapping[str, Any], tasks: Path) -> GrpoConfig:
    return grpo_of(
        **{**quick, "max_steps": 2, "batch_size": 2},
        tasks=str(tasks),
        group=2,
        workers=2,
        max_tokens=12,
        rollout={"env": {"max_steps": 2, "warm": 0}, "grader": {"canaries": False}},
    )


def test_the_model_learns_from_its_own_episodes(
    config: GrpoConfig, tiny_lm: Path, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grader says that none of the babble resolves anything, so one episode is made worth more than the other."""
    seen = list[Played]()
    play = Stage.play

    def watched(stage: Stage, *args: Any) -> list[Played]:
        played = play(stage, *args)
        seen.extend(played)
        return [worth(each, float(number % 2)) for number, each in enumerate(played)]

    monkeypatch.setattr(Stage, "play", watched)
    told = io.StringIO()
    done = train_grpo(config, told)
    assert done.manifest["steps"] == 2
    assert not same(weights(done.output), weights(tiny_lm))
    assert "reward 0.5000" in told.getvalue()
    _check_record(done.output / "rollouts", seen, tiny_task)
    _check_masks(seen, done.output)
    manifest = json.loads((done.output / "training.json").read_text())
    assert manifest["data"][0]["path"] == config.tasks
    assert manifest["losses"]["first"] is not None


def worth(played: Played, reward: float) -> Played:
    return replace(played, reward=reward)


def _check_record(rollouts: Path, seen: list[Played], task: Task) -> None:
    """Each batch is a run of graded episodes, whose tokens are those that were learnt from."""
    runs = sorted(rollouts.iterdir())
    assert [run.name for run in runs] == ["step-00000-0", "step-00001-0"]
    recorded = list[tuple[int, ...]]()
    for run in runs:
        episodes = list(read_episodes(run))
        assert [episode.first.task_id for episode in episodes] == [task.instance_id] * 2
        assert all(episode.verdict is not None and episode.verdict.resolved is False for episode in episodes)
        for episode in episodes:
            turns = token_turns(episode.folder)
            recorded.append(turns[-1].prompt_ids + turns[-1].completion_ids)
    assert sorted(recorded) == sorted(tuple(each.prompt_ids + each.completion_ids) for each in seen)
    assert {each.reward for each in seen} == {0.0}


def _check_masks(seen: list[Played], output: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(output)
    for each in seen:
        heard = [token for token, bit in zip(each.completion_ids, each.mask, strict=True) if not bit]
        said = [token for token, bit in zip(each.completion_ids, each.mask, strict=True) if bit]
        assert REMINDER in tokenizer.decode(heard)
        assert REMINDER[:20] not in tokenizer.decode(said)
        assert 0 < len(said) <= 2 * 12


def test_an_environment_that_fails_stops_the_training(
    config: GrpoConfig, tasks: Path, tiny_task: Task, tmp_path: Path
) -> None:
    broken = tiny_task.model_copy(update={"image": "trajhub-has-no-such-image:latest"})
    write_task_repo([broken], tmp_path / "broken", dockerfiles={broken.instance_id: "FROM scratch\n"})
    other = config.model_copy(update={"tasks": str(tmp_path / "broken"), "rollout": {**config.rollout, "retries": 0}})
    with pytest.raises((InfrastructureError, UsageError)):
        train_grpo(other, io.StringIO())


def test_what_cannot_be_trained_is_said_at_once(config: GrpoConfig) -> None:
    with pytest.raises(TaskNotFound, match="no task of"):
        train_grpo(config.model_copy(update={"filter": "nothing-*"}), io.StringIO())
    with pytest.raises(ConfigError, match=r"env\.max_stepz"):
        train_grpo(config.model_copy(update={"rollout": {"env": {"max_stepz": 3}}}), io.StringIO())
    with pytest.raises(UsageError, match="1 of 1 training tasks"):
        train_grpo(config.model_copy(update={"eval_tasks": config.tasks}), io.StringIO())
    assert train_grpo(config, io.StringIO(), dry_run=True).manifest["counts"]["train"]["examples"] == 1
    assert not Path(config.output).exists()
