"""GRPO whose episodes ask a real vLLM beside the training, which is given new weights every second update."""

# TRL, transformers and torch tell little of their types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from trajectory_hub.envs.sources import write_task_repo
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError
from trajectory_hub.rollouts.run_dir import read_episodes
from trajectory_hub.rollouts.tokens import token_turns
from trajectory_hub.training.grpo import train_grpo
from trajectory_hub.training.trainer.episodes import Stage

from ..rollouts.model_server import installed
from .configs import grpo_of
from .test_train import same, weights
from .test_train_grpo import worth

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.filterwarnings("default")]  # of other people's code


@pytest.fixture
def settings(quick: Mapping[str, Any], tiny_task: Task, tmp_path: Path) -> Mapping[str, Any]:
    write_task_repo([tiny_task], tmp_path / "tasks", dockerfiles={tiny_task.instance_id: "FROM scratch\n"})
    python, _ = installed()
    return {
        **quick,
        "tasks": str(tmp_path / "tasks"),
        "max_steps": 3,
        "learning_rate": 1e-2,
        "scheduler": "constant",
        "warmup": 0,
        "group": 2,
        "workers": 2,
        "max_tokens": 12,
        "sampler": "vllm",
        "serve": {"python": python, "dtype": "float32", "kv_cache_gib": 1, "threads": 1},
        "serve_every": 2,
        "rollout": {"env": {"max_steps": 2, "warm": 0}, "grader": {"canaries": False}},
    }


def test_what_a_server_samples_is_learnt_from_by_how_likely_it_is_now(
    settings: Mapping[str, Any], tiny_lm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second update's samples are of older weights; those of the third are of the newest again."""
    play = Stage.play

    def valued(stage: Stage, *args: Any) -> Any:
        return [worth(each, float(number % 2)) for number, each in enumerate(play(stage, *args))]

    monkeypatch.setattr(Stage, "play", valued)
    done = train_grpo(grpo_of(**settings), io.StringIO())
    rows = [json.loads(line) for line in (done.output / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "sampling/updates_behind" in row]
    assert [row["sampling/updates_behind"] for row in rows] == [0, 1, 0]
    off = [row["sampling/sampling_logp_difference/mean"] for row in rows]
    assert max(off[0], off[2]) < 1e-4 < 1e-3 < off[1]
    said = [_said(run) for run in sorted((done.output / "rollouts").iterdir())]
    assert done.manifest["sampled"] == {
        "tokens": sum(said),
        "stale_tokens": said[1],
        "stale_share": pytest.approx(said[1] / sum(said)),
    }
    assert not same(weights(done.output), weights(tiny_lm))
    assert not (done.output / "served" / "weights").exists()


def _said(run: Path) -> int:
    turns = [turn for episode in read_episodes(run) for turn in token_turns(episode.folder)]
    assert all(turn.logprobs is not None for turn in turns)
    return sum(len(turn.completion_ids) for turn in turns)


def test_a_server_that_cannot_take_weights_is_said_at_once(settings: Mapping[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="leave out lora"):
        grpo_of(**settings, lora={"rank": 4, "bits": 4})
    with pytest.raises(ValidationError, match="sampler"):
        grpo_of(**{**settings, "sampler": "vlm"})
    with pytest.raises(ConfigError, match="ties its head"):
        train_grpo(grpo_of(**{**settings, "sampler": "vllm:m@http://127.0.0.1:9/v1"}), io.StringIO(), dry_run=True)
    with pytest.raises(ConfigError, match="replica_count"):
        train_grpo(grpo_of(**{**settings, "serve": {"replica_count": 2}}), io.StringIO(), dry_run=True)
    with pytest.raises(ConfigError, match="found no vLLM"):
        train_grpo(grpo_of(**{**settings, "serve": {"python": str(tmp_path / "none")}}), io.StringIO(), dry_run=True)
