"""Demonstrations of mixed quality, as raw logs of agents are: a policy that mends one-line bugs, most of the time.

`--policy trajectory_hub.eval.experiment.demonstrations:Demonstrator`. It knows the reference patch (its episodes are
marked as privileged) and plays, drawn for each task and seed, one of these:

    direct    reads the file, mends the line, submits
    tested    the same, with a test run before it submits
    wrong     makes a plausible change to the right line that does not mend it (the task's column `distractor`)
    cosmetic  adds a comment to the wrong line and submits
    idle      reads and submits
    forgets   mends the line, then reads on until its steps are used up
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from ...envs.patches import parse
from ...envs.task import Task
from ...errors import ConfigError
from ...rollouts.policies.base import Action, Context, Gave, PolicyBase, Session, TaskView

__all__ = ["GOOD", "MIX", "Demonstrator", "behaviour_of"]

MIX: Mapping[str, float] = {
    "direct": 0.40,
    "tested": 0.18,
    "wrong": 0.18,
    "cosmetic": 0.10,
    "idle": 0.08,
    "forgets": 0.06,
}
"""Shares of the behaviours: 42% do not end with a mended repository handed in."""
GOOD = ("direct", "tested")
_MANY = 100
"""Reads of the forgetful, more than any step limit."""
_REMARK = "  # checked"


class Demonstrator(PolicyBase):
    """Draws a behaviour for each episode; the same task and seed give the same one."""

    name = "demonstrator"
    version = "1"
    privileged = True

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin an episode. Raises ConfigError for a task that is not mended in one line."""
        solution = context.solution
        if solution is None:
            raise ConfigError(f"task {task.instance_id} came without its reference patch")
        return Gave(_actions(solution, behaviour_of(task.instance_id, context.seed)))


def behaviour_of(task_id: str, seed: int) -> str:
    """What is shown of a task with a seed."""
    return Random(f"{task_id} {seed}").choices(list(MIX), weights=list(MIX.values()))[0]


def _actions(task: Task, behaviour: str) -> Sequence[Action]:
    path, old, new = _mend(task)
    read = _call("file_read", path=path)
    change = _call("file_edit", path=path, old=old, new=new)
    match behaviour:
        case "direct":
            return [read, change]
        case "tested":
            return [read, change, _call("run_tests", tests=_tests(task))]
        case "wrong":
            return [read, _call("file_edit", path=path, old=old, new=str(task.extra.get("distractor") or old))]
        case "cosmetic":
            return [read, _call("file_edit", path=path, old=old, new=old + _REMARK)]
        case "idle":
            return [read]
        case _:
            return [read, change, *[read] * _MANY]


def _call(name: str, **arguments: Any) -> Action:
    return Action(call={"name": name, "arguments": arguments})


def _mend(task: Task) -> tuple[str, str, str]:
    """The file, the wrong line and the right one, without indentation."""
    changes = parse(task.patch)
    lines = [line.rstrip("\n") for change in changes for line in change.lines]
    removed = [line[1:].strip() for line in lines if line.startswith("-") and not line.startswith("---")]
    added = [line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++")]
    if len(changes) != 1 or len(removed) != 1 or len(added) != 1:
        raise ConfigError(
            f"task {task.instance_id} is not mended in one line, so it cannot be demonstrated; demonstrations are for "
            "micro tasks (`trajhub tasks micro`), other tasks need runs of their own: demonstrations.runs=[FOLDER]"
        )
    return changes[0].paths[0], removed[0], added[0]


def _tests(task: Task) -> list[str]:
    return sorted({name.partition("::")[0] for name in task.FAIL_TO_PASS})
