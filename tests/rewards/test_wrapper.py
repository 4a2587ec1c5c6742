"""`RubricReward` around an environment: a recorded one here, the real one in Docker below."""

import copy
import json
import pickle
from typing import Any

import gymnasium
import pytest
from gymnasium.spaces import Text
from gymnasium.vector import SyncVectorEnv
from trajectory_hub.envs.step import Step
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError
from trajectory_hub.rewards.config import load_config
from trajectory_hub.rewards.rubric import Rubric
from trajectory_hub.rewards.wrapper import RubricReward

from .golden import load
from .workbench import renumbered


class Recorded(gymnasium.Env[str, str]):
    """Answers with the steps of a recorded trajectory, whatever the action."""

    observation_space = Text(1 << 16)
    action_space = Text(1 << 16)

    def __init__(self) -> None:
        self.task, self.steps = load()
        self.at = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = 0
        return "begin", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        step = self.steps[self.at]
        self.at += 1
        return step.observation, 0.0, self.at == len(self.steps), False, {"step": step, "step_index": self.at}


def _recorded(**_options: Any) -> Recorded:
    return Recorded()


def _episode(env: "gymnasium.Env[str, str]") -> tuple[list[float], list[dict[str, Any]]]:
    env.reset(seed=0)
    rewards, infos, over = list[float](), list[dict[str, Any]](), False
    while not over:
        _, reward, over, _, info = env.step("next")
        rewards.append(float(reward))
        infos.append(info)
    return rewards, infos


def test_the_reward_is_the_score_of_the_step() -> None:
    env = RubricReward(Recorded())
    rewards, infos = _episode(env)
    task, steps = load()
    scores = Rubric().score(task, steps)
    assert rewards == [score.reward for score in scores] == [info["step_reward"] for info in infos]
    assert infos[4]["scores"] == scores[4].scores()
    assert infos[-1]["process"] == scores[-1].process.as_dict()
    assert infos[0]["step_index"] == 1, "what the environment says is kept"
    assert json.dumps(infos[-1]["scores"])


def test_a_reset_forgets_the_episode_before() -> None:
    env = RubricReward(Recorded())
    assert _episode(env)[0] == _episode(env)[0]


def test_process_rewards_add_up_to_the_process_score_however_long_the_episode() -> None:
    env = RubricReward(Recorded(), reward="process")
    rewards, infos = _episode(env)
    assert sum(rewards) == pytest.approx(infos[-1]["process"]["score"])
    assert min(rewards) < 0 < max(rewards)


def test_it_takes_a_file_a_mapping_and_a_configuration() -> None:
    values = load_config().model_dump() | {"privileged": False}
    for rubric in (None, values, load_config()):
        wrapped = RubricReward(Recorded(), rubric=rubric)
        assert wrapped.rubric.config.privileged is (rubric is not values)
    with pytest.raises(ConfigError, match="cannot be read"):
        RubricReward(Recorded(), rubric="/nowhere/rubric.yaml")
    with pytest.raises(ConfigError, match="reward must be"):
        RubricReward(Recorded(), reward="sum")  # pyright: ignore[reportArgumentType]


def test_its_arguments_are_part_of_the_specification() -> None:
    gymnasium.register(id="Recorded-v0", entry_point=_recorded)  # pyright: ignore[reportUnknownMemberType]
    try:
        env = RubricReward(gymnasium.make("Recorded-v0", disable_env_checker=True), reward="process")
        assert env.spec is not None
        again = gymnasium.make(env.spec)
        assert isinstance(again, RubricReward)
        assert _episode(again)[0] == _episode(env)[0]
    finally:
        del gymnasium.registry["Recorded-v0"]


def test_an_environment_without_a_task_is_refused() -> None:
    env = RubricReward(gymnasium.make("CartPole-v1"))
    with pytest.raises(ConfigError, match="needs an environment with a task"):
        env.reset()


def test_it_works_in_vector_environments_with_autoreset() -> None:
    envs = SyncVectorEnv([lambda: RubricReward(Recorded()), lambda: RubricReward(Recorded(), reward="process")])
    envs.reset(seed=0)
    expected = _episode(RubricReward(Recorded()))[0]
    seen = list[float]()
    for _ in range(len(expected) + 3):
        _, rewards, _, _, infos = envs.step(("next", "next"))
        seen.append(float(rewards[0]))
        assert "scores" in infos or len(seen) == len(expected) + 1
    assert seen[: len(expected)] == expected
    assert seen[len(expected) + 1 :] == expected[:2], "the second episode is judged afresh"
    envs.close()


def test_scores_survive_copies_and_pickles() -> None:
    task, steps = load()
    scores = Rubric().score(task, steps)
    assert pickle.loads(pickle.dumps(scores)) == copy.deepcopy(scores) == scores


def test_a_scorer_never_touches_a_step() -> None:
    task, steps = load()
    before = [repr(step) for step in steps]
    Rubric().score(task, steps)
    assert [repr(step) for step in steps] == before


def test_episodes_of_one_rubric_do_not_mix() -> None:
    task, steps = load()
    rubric = Rubric()
    one, other = rubric.start(task), rubric.start(task)
    alone = [score.reward for score in rubric.score(task, steps)]
    both = [(one.score(step).reward, other.score(step).reward) for step in steps]
    assert both == [(reward, reward) for reward in alone]


@pytest.mark.docker
def test_the_real_environment_is_scored(tiny_task: Task) -> None:
    env = gymnasium.make("SWEBench-v0", tasks=[tiny_task], disable_env_checker=True)
    try:
        env.reset(seed=0, options={"task_id": tiny_task.instance_id})
        steps = list[Step]()
        for action in (
            '{"name": "search", "arguments": {"pattern": "def area", "path": "."}}',
            '{"name": "file_read", "arguments": {"path": "shapes.py"}}',
            "not a call",
            '{"name": "submit", "arguments": {}}',
        ):
            _, reward, over, _, info = env.step(action)
            steps.append(info["step"])
            assert reward == info["step_reward"]
        assert over
        assert float(reward) == 0.0, "nothing was changed"
        again = Rubric().score(tiny_task, renumbered(steps))
        assert [score.reward for score in again][-1] == reward
        assert info["scores"] == again[-1].scores()
    finally:
        env.close()
