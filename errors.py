"""Every error of the package, and who is to blame for it.

A bad rollout is data, not a crash: what a *model* or its *tool calls* do wrong becomes an observation, a
stop reason and a `Failure`, never an exception. Exceptions are for what stops the program from doing its job:

    TrajHubError
    ├── UsageError            the caller asked for something impossible                     exit 2
    │   ├── ConfigError       a configuration does not validate, or changed on resume
    │   ├── MissingExtra      an optional dependency is needed and not installed
    │   └── TaskError         a task or a task source is malformed
    │       ├── TaskNotFound  no task of that id
    │       └── TaskIncomplete a task lacks what running it needs (names what)
    ├── InfrastructureError   the machine, the daemon or an image is to blame               exit 3
    │   ├── EngineUnavailable no Docker API answers
    │   ├── ImageMissing      the image is neither here nor obtainable
    │   ├── VolumeMissing     a volume that a sandbox should have is not on the engine
    │   ├── SandboxLost       a sandbox died and could not be brought back
    │   ├── ClusterUnavailable no cluster answers, or none of its nodes can be used
    │   └── DiskFull          no room to go on
    ├── ReplayDiverged        a recorded step, done again, led to something else              exit 1
    ├── ServiceError          a model API failed after its retries                           exit 3
    └── GraderError           the trusted grader could not do its work                       exit 3

`failure` on a class says which `Failure` an episode that ends by it is counted as.
"""

from enum import StrEnum
from typing import ClassVar

__all__ = [
    "ClusterUnavailable",
    "ConfigError",
    "DiskFull",
    "EngineUnavailable",
    "Failure",
    "GraderError",
    "ImageMissing",
    "InfrastructureError",
    "MissingExtra",
    "ReplayDiverged",
    "SandboxLost",
    "ServiceError",
    "StopReason",
    "TaskError",
    "TaskIncomplete",
    "TaskNotFound",
    "TrajHubError",
    "UsageError",
    "VolumeMissing",
]


class Failure(StrEnum):
    """Who is to blame for an episode that did not succeed."""

    MODEL = "model"
    """A bad patch, malformed actions, gave up, destroyed its own sandbox."""
    TOOL = "tool"
    """A tool of ours failed or timed out through no fault of the model."""
    ENVIRONMENT = "environment"
    """Image, container, daemon, disk, or an OOM that the agent did not cause."""
    SERVICE = "service"
    """The model's API failed."""
    GRADER = "grader"
    """Tests could not be run, or their results were forged."""


class StopReason(StrEnum):
    """Why an episode ended."""

    SUBMITTED = "submitted"
    """The agent called `submit`."""
    STEP_LIMIT = "step_limit"
    """The step budget is used up."""
    TOKEN_LIMIT = "token_limit"
    """The budget of tokens, or of observation characters, is used up."""
    COST_LIMIT = "cost_limit"
    """The money budget is used up."""
    TIME_LIMIT = "time_limit"
    """The wall-clock budget is used up."""
    POLICY_ERROR = "policy_error"
    """The policy could not produce an action (its service failed, or it gave up)."""
    ENVIRONMENT_ERROR = "environment_error"
    """The sandbox could not go on."""
    INTERRUPTED = "interrupted"
    """The user stopped the run."""
    EARLY_STOPPED = "early_stopped"
    """A caller's own rule ended the episode."""


class TrajHubError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code: ClassVar[int] = 3
    failure: ClassVar[Failure | None] = None


class UsageError(TrajHubError, ValueError):
    """Raised when the caller asked for something that cannot be done as asked."""

    exit_code = 2


class ConfigError(UsageError):
    """Raised when a configuration is invalid or contradicts the run it should resume."""


class MissingExtra(UsageError, ImportError):
    """Raised when an optional dependency is needed; the message names the extra to install."""


class TaskError(UsageError):
    """Raised when a task or a task source is malformed."""


class TaskNotFound(TaskError, LookupError):
    """Raised when no task has the id that was asked for."""


class TaskIncomplete(TaskError):
    """Raised when a task lacks fields that running or grading it needs."""


class InfrastructureError(TrajHubError):
    """Raised when the machine, the daemon or an image is to blame."""

    failure = Failure.ENVIRONMENT


class EngineUnavailable(InfrastructureError, ConnectionError):
    """Raised when no Docker API answers."""


class ImageMissing(InfrastructureError, LookupError):
    """Raised when an image is neither present nor obtainable."""


class VolumeMissing(InfrastructureError, LookupError):
    """Raised when the engine has no volume of the name that a sandbox asks for."""


class SandboxLost(InfrastructureError):
    """Raised when a sandbox died and could not be brought back."""


class ClusterUnavailable(InfrastructureError, ConnectionError):
    """Raised when no cluster answers, or none of its nodes can be used."""


class DiskFull(InfrastructureError, OSError):
    """Raised when there is no room left to go on safely."""


class ReplayDiverged(TrajHubError):
    """Raised when a recorded step, carried out again, did not lead to what was recorded."""

    exit_code = 1

    def __init__(self, message: str, *, step: int, field: str) -> None:
        super().__init__(message)
        self.step = step
        self.field = field


class ServiceError(TrajHubError):
    """Raised when a model's API failed after its retries."""

    failure = Failure.SERVICE


class GraderError(TrajHubError):
    """Raised when the trusted grader could not do its work."""

    failure = Failure.GRADER
