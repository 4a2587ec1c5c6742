"""Where tasks come from: task repos, datasets of the SWE-bench family, SWE-bench Pro."""

from .rows import task_from_row
from .task_repo import expected_image, read_task_repo, write_task, write_task_repo

__all__ = ["expected_image", "read_task_repo", "task_from_row", "write_task", "write_task_repo"]
