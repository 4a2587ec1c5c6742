"""Validation of a task repo in its real images."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...errors import ImageMissing
from ..engine import Engine
from ..task import Task
from .drafts import check_task
from .recipes import ensure_task_image

__all__ = ["validate_tasks"]


def validate_tasks(
    engine: Engine,
    folder: Path,
    tasks: Sequence[Task],
    *,
    runs: int = 1,
    max_workers: int = 2,
    done: Callable[[], None] = lambda: None,
) -> dict[str, str | None]:
    """What is wrong with each task, by id; None when the reference patch resolves it and nothing else does."""

    def one(task: Task) -> str | None:
        try:
            ensure_task_image(engine, folder, task.instance_id)
            return check_task(engine, task, runs)
        except ImageMissing as error:
            return f"image: {error}"
        finally:
            done()

    with ThreadPoolExecutor(max_workers) as pool:
        return dict(zip((task.instance_id for task in tasks), pool.map(one, tasks), strict=True))
