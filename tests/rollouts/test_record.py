"""`RecordEvents` without a runner: around any environment, alone or among others."""

from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium
import pytest
from trajectory_hub.envs.registration import make_env, make_vector_env
from trajectory_hub.envs.task import Task
from trajectory_hub.envs.verdict import Reason, Verdict
from trajectory_hub.errors import ImageMissing, StopReason
from trajectory_hub.rollouts.events import StepRewardEvent, VerdictEvent
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.record import RecordEvents, find_recorder
from trajectory_hub.rollouts.run_dir import read_episodes, read_manifest

pytestmark = pytest.mark.docker

LIST = '{"name": "shell", "arguments": {"command": "ls"}}'
SUBMIT = '{"name": "submit", "arguments": {}}'


class Judging(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Grades at the end, as a training loop's own wrapper would."""

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        if terminated:
            task_id = info["task"]["instance_id"]
            info["verdict"] = Verdict(instance_id=task_id, resolved=False, reason=Reason.EMPTY_PATCH, log="the log")
        return observation, reward, terminated, truncated, info


def test_a_verdict_in_info_is_kept_beside_the_reward(tiny_task: Task, tmp_path: Path) -> None:
    wrappers = ("trajectory_hub.rewards.wrapper:RubricReward", Judging)
    env = make_env(wrappers=wrappers, record=str(tmp_path), tasks=[tiny_task])
    with env:
        env.reset(seed=3)
        env.step(LIST)
        env.step(SUBMIT)
    (episode,) = read_episodes(tmp_path)
    events = list(read_events(episode.folder / "events.jsonl"))
    assert [event.event_type for event in events[-3:]] == ["final_patch", "verdict", "episode_end"]
    assert isinstance(events[-2], VerdictEvent)
    assert (events[-2].payload.resolved, events[-2].payload.outcome) == (False, "empty_patch")
    assert (episode.folder / "artifacts" / "grader_log.txt").read_text() == "the log"
    rewards = [event.payload for event in events if isinstance(event, StepRewardEvent)]
    assert len(rewards) == 2
    assert all(len(reward.criteria) == 5 and reward.process is not None for reward in rewards)


def test_without_a_rubric_rewards_are_those_of_the_environment(tiny_task: Task, tmp_path: Path) -> None:
    with make_env(wrappers=(), record=str(tmp_path), tasks=[tiny_task]) as env:
        env.reset(seed=3)
        env.step(SUBMIT)
    (episode,) = read_episodes(tmp_path)
    assert episode.end is not None
    assert (episode.end.mean_reward, episode.end.process_score) == (0.0, None)


def test_environments_side_by_side_share_a_run(tiny_task: Task, tmp_path: Path) -> None:
    envs = make_vector_env(4, record=str(tmp_path), tasks=[tiny_task])
    try:
        envs.reset(seed=1)
        envs.step([LIST] * 4)
        envs.step([SUBMIT] * 4)
    finally:
        envs.close()
    episodes = [episode for episode in read_episodes(tmp_path) if episode.finished]
    assert len(episodes) == 4
    assert len({episode.first.episode_id for episode in episodes}) == 4
    assert all(episode.end is not None and episode.end.steps == 2 for episode in episodes)
    assert read_manifest(tmp_path)["run_id"] == tmp_path.name


def test_a_reset_that_fails_leaves_no_half_episode(tiny_task: Task, tmp_path: Path) -> None:
    broken = tiny_task.model_copy(update={"image": "trajhub/no-such-image:1"})
    with make_env(record=str(tmp_path), tasks=[broken]) as env, pytest.raises(ImageMissing):
        env.reset(seed=1)
    assert list(read_episodes(tmp_path)) == []


def test_a_caller_may_end_an_episode(tiny_task: Task, tmp_path: Path) -> None:
    with gymnasium.make("SWEBench-v0", tasks=[tiny_task], wrappers=(), record=str(tmp_path)) as env:
        recorder = find_recorder(env)
        assert isinstance(recorder, RecordEvents)
        env.reset(seed=1)
        recorder.stop(StopReason.EARLY_STOPPED, message="enough")
        recorder.stop(StopReason.COST_LIMIT)  # the first word counts
    (episode,) = read_episodes(tmp_path)
    assert episode.end is not None
    assert (episode.end.stop_reason, episode.end.message) == (StopReason.EARLY_STOPPED, "enough")
    assert episode.patch is not None
