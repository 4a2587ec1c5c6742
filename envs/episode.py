"""The state of one episode: its limits, its counters, how it ended."""

import time
from dataclasses import dataclass, field

from ..errors import Failure, StopReason
from .config import EnvConfig
from .sandbox import Sandbox
from .task import Task

__all__ = ["Episode"]


@dataclass(slots=True)
class Episode:
    """What changes while an episode goes on."""

    task: Task
    sandbox: Sandbox
    config: EnvConfig
    steps: int = 0
    malformed: int = 0
    observed: int = 0
    """Characters of observations so far."""
    stop_reason: StopReason | None = None
    failure: Failure | None = None
    final_patch: str | None = None
    patch_error: str | None = None
    """Why there is no final patch, when there is none."""
    _began: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.stop_reason is not None

    @property
    def time_left(self) -> float:
        """Seconds until the time limit; never negative."""
        return max(self.config.time_limit - (time.monotonic() - self._began), 0.0)

    def restart_clock(self) -> None:
        """Count the time limit from now."""
        self._began = time.monotonic()

    def exceeded(self) -> StopReason | None:
        """The first limit that is used up, if any."""
        if self.steps >= self.config.max_steps:
            return StopReason.STEP_LIMIT
        if self.time_left == 0.0:
            return StopReason.TIME_LIMIT
        if self.observed >= self.config.observation_limit:
            return StopReason.TOKEN_LIMIT
        return None
