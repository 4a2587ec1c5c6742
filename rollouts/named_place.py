"""A wrapper that names the machine which an environment's failure is to be looked for on."""

from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from ..errors import InfrastructureError

__all__ = ["NamesPlace"]


class NamesPlace(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Puts `place` in front of what a failing reset says."""

    def __init__(self, env: gymnasium.Env[Any, Any], place: str) -> None:
        RecordConstructorArgs.__init__(self, place=place)
        gymnasium.Wrapper.__init__(self, env)
        self._place = place

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        try:
            return self.env.reset(seed=seed, options=options)
        except InfrastructureError as error:
            error.args = (f"on {self._place}: {error}",)
            raise
