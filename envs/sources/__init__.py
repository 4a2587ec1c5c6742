"""Where tasks come from: task repos, datasets of the SWE-bench family, SWE-bench Pro."""

from .eval_script import build_eval_script
from .family import ALIASES
from .load import load_tasks
from .mapping import TaskMapping
from .rows import task_from_row
from .task_repo import expected_image, read_task_repo, write_task, write_task_repo

__all__ = [
    "ALIASES",
    "TaskMapping",
    "build_eval_script",
    "expected_image",
    "load_tasks",
    "read_task_repo",
    "task_from_row",
    "write_task",
    "write_task_repo",
]
