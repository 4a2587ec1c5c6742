"""Settings of the environment."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from ..validation import validated
from .container import SandboxConfig
from .task import Task

__all__ = ["EnvConfig"]


class EnvConfig(BaseModel):
    """Limits of an episode and what its sandbox may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_steps: int = Field(default=100, ge=1)
    """Steps until the episode is truncated (`step_limit`)."""
    time_limit: float = Field(default=3600.0, gt=0)
    """Seconds of wall-clock time until it is truncated (`time_limit`); no command may last beyond."""
    observation_limit: int = Field(default=2_000_000, ge=1000)
    """Characters of observations in all until it is truncated (`token_limit`)."""
    output_limit: int = Field(default=16_000, ge=256)
    """Bytes of output one observation holds."""
    command_timeout: float = Field(default=60.0, gt=0)
    """Seconds a command may take unless the action says otherwise."""
    test_timeout: float = Field(default=300.0, gt=0)
    """Seconds a test run may take."""
    hints: bool = False
    """Show the task's hints with its problem statement."""
    shuffle: bool = True
    """Draw the order of tasks from the seed; False keeps the order given."""
    warm: int = Field(default=1, ge=0)
    """Sandboxes started ahead for the next episodes."""
    memory_mb: int = Field(default=2048, ge=64)
    cpus: float = Field(default=2.0, gt=0)
    pids: int = Field(default=512, ge=16)
    disk_mb: int = Field(default=4096, ge=1)
    env: Mapping[str, str] = Field(default_factory=dict[str, str])
    """Environment variables of every command."""
    cap_add: tuple[str, ...] = ()
    """Capabilities given back to the sandbox."""

    @classmethod
    def of(cls, value: "EnvConfig | Mapping[str, object] | None") -> "EnvConfig":
        """Settings from what a user gave. Raises ConfigError that names the fields that are wrong."""
        if isinstance(value, cls):
            return value
        return validated(cls, value or {}, "the environment's config")

    def sandbox(self, task: Task, volumes: Mapping[str, str] | None = None) -> SandboxConfig:
        """The sandbox of a task, with `volumes` to read. Raises TaskIncomplete when the task has no image."""
        return SandboxConfig(
            image=task.require_image(),
            workdir=task.workdir,
            base_commit=task.base_commit or None,
            network=task.network,
            memory_mb=self.memory_mb,
            cpus=self.cpus,
            pids=self.pids,
            disk_mb=self.disk_mb,
            env=self.env,
            cap_add=self.cap_add,
            command_timeout=self.command_timeout,
            volumes=volumes or {},
        )
