"""The closed list of ways to fail, each belonging to one `Failure`."""

from collections.abc import Mapping
from enum import StrEnum

from ...errors import Failure

__all__ = ["FAILURES", "Kind"]


class Kind(StrEnum):
    """What went wrong."""

    WRONG_PATCH = "wrong_patch"
    """The tests ran on the patch, and some that decide failed."""
    BROKEN_PATCH = "broken_patch"
    """With the patch, the tests do not even begin."""
    NO_PATCH = "no_patch"
    """The agent changed nothing."""
    PATCH_DOES_NOT_APPLY = "patch_does_not_apply"
    """What was handed in is no patch of this repository."""
    MALFORMED_ACTIONS = "malformed_actions"
    """Its actions could not be understood, again and again."""
    GAVE_UP = "gave_up"
    """It ended without handing in, though it could have gone on."""
    LOOP = "loop"
    """It did the same again and again until a limit ended it."""
    LIMIT = "limit"
    """A limit of steps, tokens, money or time ended it, and it was not going round in circles."""
    CONTEXT_OVERFLOW = "context_overflow"
    """Its conversation no longer fitted the model."""
    EXHAUSTED_SANDBOX = "exhausted_sandbox"
    """Its own commands used up the sandbox's memory, disk, processes or time, or destroyed it."""

    TOOL_TIMEOUT = "tool_timeout"
    """A tool of ours, other than a command of the agent's own, took too long."""
    TOOL_ERROR = "tool_error"
    """A tool failed by itself."""

    IMAGE_MISSING = "image_missing"
    """The task's image was neither there nor obtainable."""
    SANDBOX_LOST = "sandbox_lost"
    """The container died or could not be started."""
    ENGINE_UNAVAILABLE = "engine_unavailable"
    """No Docker API answered."""
    DISK_FULL = "disk_full"
    """The host had no room left."""
    OUT_OF_MEMORY = "out_of_memory"
    """The host had no memory left."""
    NETWORK = "network"
    """Something outside that the environment needs was not reached."""
    ENVIRONMENT_BROKEN = "environment_broken"
    """The environment failed in another way."""

    RATE_LIMITED = "rate_limited"
    """The model's service had too many requests, or no quota left."""
    SERVER_ERROR = "server_error"
    """The model's service failed with a status of 500 or above, or was overloaded."""
    CONNECTION = "connection"
    """The model's service was not reached, or hung up."""
    SERVICE_TIMEOUT = "service_timeout"
    """The model's service did not answer in time."""
    UNAUTHORIZED = "unauthorized"
    """The model's service refused the key."""
    REFUSED = "refused"
    """The model's service refused the request."""
    BAD_ANSWER = "bad_answer"
    """The model's service answered with something that is no answer."""

    TESTS_NOT_RUN = "tests_not_run"
    """The tests could not be run, or their log could not be read, through no fault of the patch."""
    FORGED = "forged"
    """The tests' results were forged."""
    NOT_REPRODUCED = "not_reproduced"
    """A second run of the tests came out differently."""
    TASK_INCOMPLETE = "task_incomplete"
    """The task lacks what grading needs."""


_GROUPS: Mapping[Failure, tuple[Kind, Kind]] = {
    Failure.MODEL: (Kind.WRONG_PATCH, Kind.EXHAUSTED_SANDBOX),
    Failure.TOOL: (Kind.TOOL_TIMEOUT, Kind.TOOL_ERROR),
    Failure.ENVIRONMENT: (Kind.IMAGE_MISSING, Kind.ENVIRONMENT_BROKEN),
    Failure.SERVICE: (Kind.RATE_LIMITED, Kind.BAD_ANSWER),
    Failure.GRADER: (Kind.TESTS_NOT_RUN, Kind.TASK_INCOMPLETE),
}
_ALL = list(Kind)

FAILURES: Mapping[Kind, Failure] = {
    kind: failure
    for failure, (first, last) in _GROUPS.items()
    for kind in _ALL[_ALL.index(first) : _ALL.index(last) + 1]
}
"""Who is to blame for each kind."""
