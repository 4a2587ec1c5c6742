"""Many sandboxes stepped at the same time in one process."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..errors import UsageError
from .config import EnvConfig
from .engine import Engine
from .env import SWEBenchEnv, choose_tasks
from .pool import SandboxPool
from .registration import make_env

__all__ = ["SWEBenchVectorEnv"]

Batch = tuple[tuple[str, ...], dict[str, Any]]


class SWEBenchVectorEnv(VectorEnv[tuple[str, ...], Sequence[Any], NDArray[Any]]):
    """`num_envs` environments over one engine and one warm pool, each stepped in a thread of its own.

    Waiting for a container does not hold the interpreter, so threads are all the concurrency that is needed.
    Arguments are those of `SWEBenchEnv` and `make_env`; `autoreset_mode` is `next_step` (as in gymnasium's own) or
    `same_step`. Resets take `options={"task_id": <one id, or one for each environment>}`.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int,
        *,
        tasks: Any = None,
        task_ids: Any = None,
        config: EnvConfig | Mapping[str, Any] | None = None,
        engine: Engine | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **kwargs: Any,
    ) -> None:
        if num_envs < 1:
            raise UsageError(f"num_envs must be at least 1, not {num_envs}")
        mode = AutoresetMode(autoreset_mode) if not isinstance(autoreset_mode, AutoresetMode) else autoreset_mode
        self.metadata = self.metadata | {"autoreset_mode": mode}
        self.num_envs = num_envs
        self._mode = mode
        self._owns_engine = engine is None
        self._engine = engine or Engine()
        settings = EnvConfig.of(config)
        self._pool = SandboxPool(self._engine, settings.warm * num_envs, workers=max(2, num_envs // 2))
        chosen = choose_tasks(tasks, task_ids)
        kwargs |= {"tasks": chosen, "config": settings, "engine": self._engine, "pool": self._pool}
        self.envs = [make_env(**kwargs) for _ in range(num_envs)]
        first: Any = self._inner(0)
        self.single_observation_space: Space[Any] = first.observation_space
        self.single_action_space: Space[Any] = first.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._to_reset = np.zeros(num_envs, dtype=np.bool_)
        self._threads = ThreadPoolExecutor(max_workers=num_envs, thread_name_prefix="trajhub-env")

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> Batch:
        """Reset all environments (or those of `options["reset_mask"]`); an integer seed gives each its own."""
        seeds = self._seeds(seed)
        options = dict(options or {})
        mask = options.pop("reset_mask", None)
        chosen = [i for i in range(self.num_envs) if mask is None or mask[i]]
        each = self._split(options)
        results = self._parallel(chosen, lambda i: self.envs[i].reset(seed=seeds[i], options=each[i]))
        observations, infos = list(getattr(self, "_observations", [""] * self.num_envs)), {}
        for i, (observation, info) in zip(chosen, results, strict=True):
            observations[i] = observation
            infos = self._add_info(infos, info, i)
            self._to_reset[i] = False
        self._observations = observations
        return tuple(observations), infos

    def step(
        self, actions: Sequence[Any]
    ) -> tuple[tuple[str, ...], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One action for each environment. Where an episode ended, the next one begins as `autoreset_mode` says."""
        _as_many(actions, self.num_envs, "actions")
        results = self._parallel(range(self.num_envs), lambda i: self._step_one(i, actions[i]))
        rewards = np.zeros(self.num_envs, dtype=np.float64)
        terminated, truncated = np.zeros(self.num_envs, dtype=np.bool_), np.zeros(self.num_envs, dtype=np.bool_)
        infos: dict[str, Any] = {}
        observations: list[str] = []
        for i, (observation, reward, term, trunc, info) in enumerate(results):
            observations.append(observation)
            rewards[i], terminated[i], truncated[i] = float(reward), term, trunc
            infos = self._add_info(infos, info, i)
        if self._mode is AutoresetMode.NEXT_STEP:
            self._to_reset = terminated | truncated
        self._observations = observations
        return tuple(observations), rewards, terminated, truncated, infos

    def render(self) -> tuple[Any, ...]:
        """What each environment renders."""
        return tuple(env.render() for env in self.envs)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method (or get an attribute) of each environment."""
        found = [env.get_wrapper_attr(name) for env in self.envs]
        return tuple(value(*args, **kwargs) if callable(value) else value for value in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute of each environment."""
        return tuple(env.get_wrapper_attr(name) for env in self.envs)

    def close_extras(self, **_: Any) -> None:
        """Remove every container."""
        self._parallel(range(self.num_envs), lambda i: self.envs[i].close())
        self._pool.close()
        self._threads.shutdown(wait=True)
        if self._owns_engine:
            self._engine.close()

    def _step_one(self, i: int, action: Any) -> tuple[str, float, bool, bool, dict[str, Any]]:
        env = self.envs[i]
        if self._to_reset[i]:
            observation, info = env.reset()
            return observation, 0.0, False, False, info
        observation, reward, terminated, truncated, info = env.step(action)
        if (terminated or truncated) and self._mode is AutoresetMode.SAME_STEP:
            final = {"final_obs": deepcopy(observation), "final_info": info}
            observation, info = env.reset()
            info = info | final
        return observation, float(reward), terminated, truncated, info

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int):
            return [seed + i for i in range(self.num_envs)]
        _as_many(seed, self.num_envs, "seeds")
        return list(seed)

    def _split(self, options: Mapping[str, Any]) -> list[dict[str, Any]]:
        task_ids = options.get("task_id")
        if task_ids is None or isinstance(task_ids, str):
            return [dict(options) for _ in range(self.num_envs)]
        _as_many(task_ids, self.num_envs, "task ids")
        return [{**options, "task_id": task_id} for task_id in task_ids]

    def _parallel(self, indices: Sequence[int] | range, call: Callable[[int], Any]) -> list[Any]:
        if self.closed:
            raise UsageError("this environment is closed")
        # All are waited for before the first error is raised: no thread is left at work on a sandbox.
        futures = [self._threads.submit(call, i) for i in indices]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    def _inner(self, i: int) -> SWEBenchEnv:
        inner: gymnasium.Env[Any, Any] = self.envs[i].unwrapped
        assert isinstance(inner, SWEBenchEnv)
        return inner


def _as_many(values: object, number: int, what: str) -> None:
    many = isinstance(values, Sequence | np.ndarray) and not isinstance(values, str)
    found = len(cast("Sequence[Any]", values)) if many else f"{values!r:.80}"
    if found != number:
        raise UsageError(f"{number} environments need as many {what}, not {found}")
