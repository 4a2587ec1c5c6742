"""Policies that do a whole episode on their own, such as command-line agents, and how their episodes begin."""

import time
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import gymnasium

from ..envs.task import Task
from ..errors import InfrastructureError
from .budget import Ledger
from .log import Header
from .play import Turn
from .record import Label

__all__ = ["Autonomous", "begin"]


@runtime_checkable
class Autonomous(Protocol):
    """A policy that is not asked for one action after another: it works in the sandbox until it is done."""

    @property
    def volumes(self) -> Mapping[str, str]:
        """What its sandboxes can read besides, by the name of a volume, and where; the grader's have none of it."""
        ...

    def isolated(self, task: Task) -> Task:
        """The task as its sandbox has it: with the network that the policy allows."""
        ...

    def play(self, env: gymnasium.Env[Any, Any], turn: Turn, header: Header, ledger: Ledger, time_limit: float) -> None:
        """Do one episode. What goes wrong is in its record; raises only for what makes the whole run pointless."""
        ...


def begin(env: gymnasium.Env[Any, Any], turn: Turn, header: Header, time_limit: float, *, privileged: bool) -> bool:
    """Reset the environment for a job, and start its clock; whether there is an episode now.

    The caller holds `turn.world`. An episode that could not begin is in the record.
    """
    if turn.stop is not None:
        return False  # nothing was begun, and nothing is recorded
    job = turn.job
    label = Label(header=header, attempt=job.attempt, privileged=privileged)
    try:
        env.reset(seed=job.seed, options={**job.options, "task_id": job.task.instance_id, "record": label})
    except InfrastructureError:
        return False
    turn.deadline = time.monotonic() + time_limit
    return True
