"""An agent that has to know what its tests say, in a world that makes it wait for them.

    trajhub rollout --tasks TASKS --policy trajectory_hub.benchmarks.waiting:agent

It has two ideas how to mend a small task, of which one is right; it tries one, runs a check, tries the other when that
fails, and hands in what it has when no check comes to an end. The checks wait for a network, a lock, each other; some
hang. Which world a task is in follows from its name.
"""

import shlex
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..envs.task import Task
from ..rollouts.policies.base import Action, Context, PolicyBase, Session, TaskView
from .waiting_check import KINDS

__all__ = ["FULL", "Waiting", "agent", "world_of"]

FULL = 20.0
"""Seconds that a command is given at most, `env.command_timeout` of these rollouts."""
_CHECK = "/tmp/check.py"
_PATIENCE = 2
"""How often it runs a check that timed out."""


def world_of(task_id: str) -> str:
    """The kind of waiting that a task's checks meet."""
    return KINDS[int.from_bytes(sha256(task_id.encode()).digest()[:4]) % len(KINDS)]


class Waiting(PolicyBase):
    """See above. It is shown the reference patch, as one of its two ideas."""

    name = "waiting"
    privileged = True

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin."""
        assert context.solution is not None
        return _Session(context.solution, context.seed)


def agent() -> Waiting:
    """The policy, for `--policy`."""
    return Waiting()


def _shell(command: str) -> Action:
    return Action(call={"name": "shell", "arguments": {"command": command}})


class _Session:
    def __init__(self, task: Task, seed: int) -> None:
        lines = task.patch.splitlines()
        self._path = next(line[6:] for line in lines if line.startswith("+++ b/"))
        self._now = next(line[1:] for line in lines if line.startswith("-") and not line.startswith("---"))
        right = next(line[1:] for line in lines if line.startswith("+") and not line.startswith("+++"))
        wrong = right[: len(right) - len(right.lstrip())] + str(task.extra["distractor"])
        # Which idea comes first is a matter of chance, the same with and without a policy.
        first = int.from_bytes(sha256(f"{task.instance_id} {seed}".encode()).digest()[4:8]) % 2
        self._ideas = [right, wrong] if first == 0 else [wrong, right]
        self._world = f"{world_of(task.instance_id)} {seed}"
        self._asked = next(line[1:].strip() for line in _added(task.test_patch) if "assert" in line)
        self._module = self._path.removesuffix(".py").replace("/", ".")
        self._plan = self._acts()

    def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        """The next action."""
        step = info.get("step")
        self._timed_out = step is not None and step.error == "timeout"
        self._passed = step is not None and step.ok and step.exit_code == 0
        return next(self._plan)

    def cancel(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing is held."""

    def _acts(self) -> Any:
        yield _shell(f"cat {self._path}")
        program = (Path(__file__).parent / "waiting_check.py").read_text(encoding="utf-8")
        yield Action(call={"name": "file_write", "arguments": {"path": _CHECK, "content": program}})
        for idea in self._ideas:
            edit = {"path": self._path, "old": self._now, "new": idea}
            yield Action(call={"name": "file_edit", "arguments": edit})
            self._now = idea
            for _ in range(_PATIENCE):
                yield self._check(idea)
                if not self._timed_out:
                    break
            if self._timed_out or self._passed:
                break
        yield Action(call={"name": "submit", "arguments": {}})

    def _check(self, idea: str) -> Action:
        kind, _, seed = self._world.partition(" ")
        number = self._ideas.index(idea)
        ask = shlex.quote(f"from {self._module} import *; {self._asked}")
        return _shell(f"python3 {_CHECK} {kind} {seed}.{number} {FULL:g} && python3 -c {ask}")


def _added(patch: str) -> list[str]:
    return [line for line in patch.splitlines() if line.startswith("+") and not line.startswith("+++")]
