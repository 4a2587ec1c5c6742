"""`RubricReward`: the reward of every step from a rubric, as a Gymnasium wrapper."""

from typing import Any, Literal, SupportsFloat

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from ..envs.step import Step
from ..envs.task import Task
from ..errors import ConfigError
from .config import RubricSource
from .rubric import Rubric, Scorer

__all__ = ["RubricReward"]

RewardKind = Literal["step", "process"]


class RubricReward(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Judges each step by the rubric.

    The environment must put the `Step` into `info["step"]` and the `Task` into `unwrapped.task`. Adds
    `info["step_reward"]`, `info["scores"]` (by criterion: score, layer, and rules with weight and evidence) and
    `info["process"]` (the episode so far); with a judge also `info["score_record"]`: what was asked of
    it, with model, tokens, cost and latency.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        rubric: RubricSource | Rubric = None,
        reward: RewardKind = "step",
    ) -> None:
        """`rubric`: a configuration, its values or a YAML file; None for the defaults. A `Rubric` may be shared by
        many environments, with its judge's budget and cache; who made it closes it.

        `reward`: what `step` returns. `step` is the score of the step, in [0, 1]; do not add these up over an
        episode, since a sum pays for length. `process` is the change of the process score, whose sum over an
        episode is the process score whatever the length.
        """
        RecordConstructorArgs.__init__(self, rubric=rubric, reward=reward)
        gymnasium.Wrapper.__init__(self, env)
        if reward not in ("step", "process"):
            raise ConfigError(f'reward must be "step" or "process", not {reward!r}')
        self._kind = reward
        self._rubric = rubric if isinstance(rubric, Rubric) else Rubric(rubric)
        self._owned = self._rubric is not rubric
        self._scorer: Scorer | None = None
        self._before = 0.0

    @property
    def rubric(self) -> Rubric:
        """The rubric it judges by."""
        return self._rubric

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode: nothing of the one before is remembered."""
        observation, info = self.env.reset(seed=seed, options=options)
        task = getattr(self.env.unwrapped, "task", None)
        if not isinstance(task, Task):
            raise ConfigError(f"RubricReward needs an environment with a task; {self.env.unwrapped} has none")
        self._scorer, self._before = self._rubric.start(task), 0.0
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Act, and judge the step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        step = info.get("step")
        if self._scorer is None or not isinstance(step, Step):
            # an environment that resets itself answers a step with a reset, and there is nothing to judge
            return observation, reward, terminated, truncated, info
        score = self._scorer.score(step)
        gain, self._before = score.process.score - self._before, score.process.score
        told: dict[str, Any] = {
            "step_reward": score.reward,
            "scores": score.scores(),
            "process": score.process.as_dict(),
        }
        if score.record:
            told["score_record"] = score.record
        value = score.reward if self._kind == "step" else gain
        return observation, value, terminated, truncated, info | told

    def close(self) -> None:
        """Close the environment, and the rubric's judge unless it is shared."""
        super().close()
        if self._owned:
            self._rubric.close()
