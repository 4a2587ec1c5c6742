"""`SWEBench-v0` for `gymnasium.make` and `gymnasium.make_vec`; found through the `gymnasium.envs` entry point."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    import gymnasium

__all__ = ["DEFAULT_WRAPPERS", "ENV_ID", "make_env", "make_vector_env", "register_envs"]

ENV_ID = "SWEBench-v0"
DEFAULT_WRAPPERS = ("trajectory_hub.rewards.wrapper:RubricReward",)
"""What a plain `gymnasium.make` puts around the environment, innermost first, by entry point."""
RECORDER = "trajectory_hub.rollouts.record:RecordEvents"

WrapperSpec = str | Callable[["gymnasium.Env[Any, Any]"], "gymnasium.Env[Any, Any]"]


def register_envs() -> None:
    """Register the environments of this package with gymnasium; calling it again is harmless."""
    from gymnasium.envs.registration import register, registry  # pyright: ignore[reportUnknownVariableType]

    if ENV_ID not in registry:
        register(
            id=ENV_ID,
            entry_point="trajectory_hub.envs.registration:make_env",
            vector_entry_point="trajectory_hub.envs.registration:make_vector_env",
        )


def make_env(
    *, wrappers: Sequence[WrapperSpec] = DEFAULT_WRAPPERS, record: str | None = None, **kwargs: Any
) -> "gymnasium.Env[Any, Any]":
    """A `SWEBenchEnv(**kwargs)` in `wrappers`, and in a recorder outermost when `record` names a run directory.

    A wrapper is `"module:attribute"` or a callable that takes the environment; an empty sequence drops them all. Around
    everything is `BranchOption`, by which an episode can begin where a recorded one was.
    """
    from .branching import BranchOption
    from .env import SWEBenchEnv

    load = [_load(wrapper) for wrapper in ((wrappers,) if isinstance(wrappers, str) else wrappers)]
    env: gymnasium.Env[Any, Any] = SWEBenchEnv(**kwargs)
    for wrap in load:
        env = wrap(env)
    if record is not None:
        env = _load(RECORDER)(env, record)
    return BranchOption(env)


def make_vector_env(
    num_envs: int = 1, *, wrappers: Sequence[WrapperSpec] = DEFAULT_WRAPPERS, record: str | None = None, **kwargs: Any
) -> "gymnasium.vector.VectorEnv[Any, Any, Any]":
    """`num_envs` environments as `make_env` makes them, stepped concurrently in one process."""
    from .vector import SWEBenchVectorEnv

    return SWEBenchVectorEnv(num_envs, wrappers=wrappers, record=record, **kwargs)


def _load(wrapper: WrapperSpec) -> Callable[..., "gymnasium.Env[Any, Any]"]:
    if callable(wrapper):
        return wrapper
    module, _, name = wrapper.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f'the wrapper {wrapper!r} cannot be loaded ({error}); name it "module:attribute"') from error
