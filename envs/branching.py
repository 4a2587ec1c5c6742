"""`reset(options={"replay": ..., "until": k})`: an episode that begins where a recorded one stood after k steps."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from ..errors import UsageError

__all__ = ["BranchOption"]

BRANCH = "trajectory_hub.rollouts.replay.branching:branch"
"""What carries the steps out: it reads trajectories, which this package does not know."""
_OPTIONS = ("until", "allow_divergence")


class BranchOption(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Understands the options `replay`, `until` and `allow_divergence` of `reset`; everything else passes through.

    `replay` is an episode's folder, a trajectory, or a sequence of steps. The steps go through every wrapper inside
    this one, so that rewards, records and limits are those of an episode that took them itself.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, by a replay where one is asked for. Raises ReplayDiverged as `branch` does."""
        given = dict(options or {})
        source = given.pop("replay", None)
        chosen = {name: given.pop(name) for name in _OPTIONS if name in given}
        if source is None:
            if chosen:
                raise UsageError(f"reset options {sorted(chosen)} say how to replay: give `replay` with them")
            return self.env.reset(seed=seed, options=options)
        return _load()(self.env, source, **_checked(chosen), seed=seed, options=given)


def _checked(chosen: Mapping[str, Any]) -> Mapping[str, Any]:
    until = chosen.get("until")
    if until is not None and (isinstance(until, bool) or not isinstance(until, int)):
        raise UsageError(f"the reset option `until` is a number of steps, not {until!r}")
    return chosen


def _load() -> Callable[..., tuple[Any, dict[str, Any]]]:
    module, _, name = BRANCH.partition(":")
    return getattr(import_module(module), name)
