"""Where tasks are looked for when nobody says."""

import os
from pathlib import Path

from ..errors import TaskNotFound

__all__ = ["default_tasks", "user_tasks"]


def user_tasks() -> Path:
    """The task repo of this user, where `trajhub tasks build` puts tasks by default."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "trajhub" / "tasks"


def default_tasks() -> str:
    """What `load_tasks` is given: `$TRAJHUB_TASKS`, else `./tasks`, else `user_tasks()`. Raises TaskNotFound."""
    named = os.environ.get("TRAJHUB_TASKS")
    if named:
        return named
    for folder in (Path("tasks"), user_tasks()):
        if (folder / "sweb.yaml").is_file():
            return str(folder)
    raise TaskNotFound(
        "no tasks given, and none found in $TRAJHUB_TASKS, ./tasks or "
        f"{user_tasks()}; make some with `trajhub tasks build`, or name a dataset: "
        'gymnasium.make("SWEBench-v0", tasks="verified")'
    )
