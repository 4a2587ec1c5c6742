"""SWE-bench Pro: its own columns, its run script and result parser, the repository at `/app`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import TaskError
from ..task import ProSpec, Provenance, Task
from .rows import listing, row_name, task_from_row, text

__all__ = ["RUN_SCRIPT_FILES", "is_pro", "task_from_pro_row", "with_run_scripts"]

RUN_SCRIPT_FILES = {"run_script": "run_script.sh", "parser": "parser.py"}
_IMAGE = "jefzda/sweap-images:{}"
_COLUMNS = ("selected_test_files_to_run", "before_repo_set_cmd", "dockerhub_tag")
_PRO_TEXT = ("requirements", "interface", "before_repo_set_cmd", "dockerhub_tag")
_OWN = {*_COLUMNS, *_PRO_TEXT, "fail_to_pass", "pass_to_pass", *RUN_SCRIPT_FILES}


def is_pro(row: Mapping[str, Any]) -> bool:
    """Whether a row has SWE-bench Pro's columns."""
    return any(column in row for column in _COLUMNS)


def task_from_pro_row(row: Mapping[str, Any], *, provenance: Provenance, index: int | None = None) -> Task:
    """The task of a row of SWE-bench Pro. Its scripts are added by `with_run_scripts`."""
    name = row_name(row, index)
    columns = {key: value for key, value in row.items() if key not in _OWN}
    columns["FAIL_TO_PASS"] = listing(row, _cased(row, "fail_to_pass"), name)
    columns["PASS_TO_PASS"] = listing(row, _cased(row, "pass_to_pass"), name)
    columns.setdefault("workdir", "/app")
    texts = {field: text(row, field, name) for field in _PRO_TEXT}
    scripts: dict[str, Any] = {field: text(row, field, name) or None for field in RUN_SCRIPT_FILES}
    if not columns.get("image") and texts["dockerhub_tag"]:
        columns["image"] = _IMAGE.format(texts["dockerhub_tag"])
    selected = listing(row, "selected_test_files_to_run", name)
    spec = ProSpec(**(texts | scripts), selected_test_files_to_run=selected)
    task = task_from_row(columns, provenance=provenance, index=index)
    return task.model_copy(update={"pro": spec})


def _cased(row: Mapping[str, Any], field: str) -> str:
    return field if field in row else field.upper()


def with_run_scripts(task: Task, folder: Path, *, override: bool = False) -> Task:
    """The task with the scripts of `folder/<instance_id>`, or of `folder`; TaskError when they are absent."""
    if task.pro is None:
        return task
    home = folder / task.instance_id if (folder / task.instance_id).is_dir() else folder
    update: dict[str, str] = {}
    for field, file in RUN_SCRIPT_FILES.items():
        if getattr(task.pro, field) and not override:
            continue
        try:
            update[field] = (home / file).read_text(encoding="utf-8")
        except OSError as error:
            raise TaskError(f"task {task.instance_id}: cannot read {home / file}: {error.strerror}") from None
    return task.model_copy(update={"pro": task.pro.model_copy(update=update)})
