"""Task repos: the folder layout in which SWE-bench 5 keeps a dataset, written and read.

    sweb.yaml                    the datasets the repo publishes, and their splits
    tasks/<instance_id>/         task.yaml  tests.json  problem_statement.md  hints.md
                                 gold.patch  test.patch  eval.sh  Dockerfile  (+ what it copies)
                                 test_assets/<path>  binary files of the patches, as `image_assets` lists them

Fields that SWE-bench 5 does not know (`provenance`, `test_command`, `workdir`, `network`) are extra keys of
`task.yaml`, which the official harness ignores.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, cast

import yaml
from pydantic import ValidationError

from ...errors import TaskError, TaskNotFound
from ..assets import ASSETS_FOLDER, local_assets
from ..task import Provenance, Task
from .rows import task_from_row

__all__ = ["expected_image", "is_task_repo", "read_task_repo", "write_task", "write_task_repo"]

CONFIG_FILE = "sweb.yaml"
TASK_FILE = "task.yaml"
TESTS_FILE = "tests.json"
_AS_FILE = {
    "patch": "gold.patch",
    "test_patch": "test.patch",
    "eval_script": "eval.sh",
    "problem_statement": "problem_statement.md",
}
_HINTS_FILE = "hints.md"
_META = ("instance_id", "repo", "base_commit", "version", "log_parser", "eval_type")
_META_IF_SET = ("created_at", "environment_setup_commit", "image_assets", "test_command", "network")
_ROUTING = ("split", "datasets")


def expected_image(instance_id: str, namespace: str = "swebench") -> str:
    """The image name that SWE-bench 5 derives from an id; its checks refuse any other in a task repo."""
    return f"{namespace}/sweb.eval.x86_64.{instance_id}:latest".lower().replace("__", "_1776_")


class _Dumper(yaml.SafeDumper):
    pass


def _literal(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)  # pyright: ignore[reportUnknownMemberType]


_Dumper.add_representer(str, _literal)


def _dump(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=True, allow_unicode=True, default_flow_style=False)


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    data = content.encode("utf-8", errors="surrogateescape") if isinstance(content, str) else content
    part.write_bytes(data)
    part.replace(path)


def _metadata(task: Task, *, dataset: str, split: str) -> dict[str, Any]:
    meta: dict[str, Any] = {field: getattr(task, field) for field in _META}
    meta["image"] = task.image or expected_image(task.instance_id)
    meta |= {field: value for field in _META_IF_SET if (value := getattr(task, field))}
    if task.image_assets:
        meta["image_assets"] = {key: _without_file(value) for key, value in task.image_assets.items()}
    if task.workdir != "/testbed":
        meta["workdir"] = task.workdir
    extra = {key: value for key, value in task.extra.items() if key not in _ROUTING}
    meta["provenance"] = task.provenance.model_dump(exclude_none=True)
    return {**extra, **meta, "split": split, "datasets": [dataset]}


def _entries(value: Any) -> list[dict[str, Any]] | None:
    """A list of entries of `image_assets`; None for anything else, such as addresses of images."""
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in cast("list[Any]", value)):
        return None
    return [dict(entry) for entry in cast("list[Mapping[str, Any]]", value)]


def _without_file(value: Any) -> Any:
    """Entries of `image_assets` without the place on this machine where the file was found."""
    entries = _entries(value)
    if entries is None:
        return value
    return [{name: field for name, field in entry.items() if name != "file"} for entry in entries]


def _with_files(home: Path, task: Task) -> Task:
    """The task with the place of each binary file that lies beside it."""
    assets = dict(task.image_assets)
    for key in ("test_patch", "patch"):
        entries = _entries(assets.get(key)) or []
        for entry in entries:
            file = home / ASSETS_FOLDER / str(entry.get("path"))
            if file.is_file():
                entry["file"] = str(file)
        if entries:
            assets[key] = entries
    return task.model_copy(update={"image_assets": assets}) if assets else task


def write_task(
    task: Task,
    folder: Path,
    *,
    dockerfile: str,
    files: Mapping[str, str | bytes] | None = None,
    dataset: str = "trajhub/tasks",
    split: str = "test",
) -> Path:
    """Write one task below `folder`; `task.yaml` comes last, so a folder that has one is complete."""
    if task.pro is not None:
        raise TaskError(f"task {task.instance_id} is of SWE-bench Pro, which a task repo cannot hold")
    if not task.eval_script or not task.log_parser:
        lacks = " and ".join(task.missing())
        raise TaskError(f"task {task.instance_id} lacks {lacks}, which a task repo needs")
    home = folder / "tasks" / task.instance_id
    for name, content in (files or {}).items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise TaskError(f"task {task.instance_id}: extra file {name!r} is outside the task's folder")
        _write(home / name, content)
    for field, name in _AS_FILE.items():
        _write(home / name, getattr(task, field))
    for path, content in local_assets(task).items():
        _write(home / ASSETS_FOLDER / path, content)
    if task.hints_text:
        _write(home / _HINTS_FILE, task.hints_text)
    tests = {"FAIL_TO_PASS": task.FAIL_TO_PASS, "PASS_TO_PASS": task.PASS_TO_PASS}
    _write(home / TESTS_FILE, json.dumps(tests, indent=2, ensure_ascii=False) + "\n")
    _write(home / "Dockerfile", dockerfile)
    _write(home / TASK_FILE, _dump(_metadata(task, dataset=dataset, split=split)))
    return home


def write_task_repo(
    tasks: Iterable[Task],
    folder: str | Path,
    *,
    dockerfiles: Mapping[str, str],
    files: Mapping[str, Mapping[str, str | bytes]] | None = None,
    dataset: str = "trajhub/tasks",
    split: str = "test",
) -> Path:
    """Write tasks as a SWE-bench 5 task repo; `dockerfiles` and `files` (by path) are by instance id."""
    root = Path(folder)
    for task in tasks:
        if task.instance_id not in dockerfiles:
            raise TaskError(f"task {task.instance_id} has no Dockerfile; a task repo needs one for each task")
        extra = (files or {}).get(task.instance_id)
        dockerfile = dockerfiles[task.instance_id]
        write_task(task, root, dockerfile=dockerfile, files=extra, dataset=dataset, split=split)
    _write(root / CONFIG_FILE, _dump({"datasets": [dataset], "splits": [split]}))
    return root


def is_task_repo(folder: Path) -> bool:
    """Whether a folder has the shape of a task repo."""
    return (folder / CONFIG_FILE).is_file() or (folder / "tasks").is_dir()


def _load(home: Path) -> Task:
    row = _row(home)
    stated: Any = row.pop("provenance", None)
    try:
        provenance = Provenance(**stated) if stated else Provenance(source="task_repo", origin=str(home))
        return _with_files(home, task_from_row(row, provenance=provenance))
    except (ValidationError, TypeError, TaskError) as error:
        raise TaskError(f"{home}: {error}") from None


def _row(home: Path) -> dict[str, Any]:
    try:
        row: Any = yaml.safe_load((home / TASK_FILE).read_text(encoding="utf-8"))
        if not isinstance(row, dict):
            raise TaskError(f"{home / TASK_FILE}: not a mapping")
        content = cast(dict[str, Any], row)
        for field, name in _AS_FILE.items():
            content[field] = (home / name).read_bytes().decode("utf-8", errors="surrogateescape")
        hints = home / _HINTS_FILE
        content["hints_text"] = hints.read_text(encoding="utf-8") if hints.is_file() else ""
        content.update(json.loads((home / TESTS_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise TaskError(f"{home}: {error}") from None
    if not content.get("created_at"):
        content.pop("created_at", None)
    return content


def _published(root: Path, split: str | None) -> list[str] | None:
    """The splits to keep, or None for all: what `sweb.yaml` publishes, or the one that was asked for."""
    config = root / CONFIG_FILE
    if not config.is_file():
        return None if split is None else [split]
    try:
        content: Any = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise TaskError(f"{config}: {error}") from None
    published = [str(name) for name in cast(dict[str, Any], content).get("splits") or ["test"]]
    if split is not None and split not in published:
        raise TaskError(f"{config} publishes no split {split!r}; it publishes {', '.join(published)}")
    return published if split is None else [split]


def read_task_repo(
    folder: str | Path,
    *,
    ids: Iterable[str] | None = None,
    split: str | None = None,
    limit: int | None = None,
) -> list[Task]:
    """The tasks of a task repo in the order of their ids; with `ids`, exactly those, from any split."""
    root = Path(folder)
    home = root / "tasks"
    if not home.is_dir():
        raise TaskError(f"{root} is not a task repo: it has no tasks/ folder")
    present = sorted(path.name for path in home.iterdir() if (path / TASK_FILE).is_file())
    if ids is not None:
        wanted = list(ids)
        absent = sorted(set(wanted) - set(present))
        if absent:
            raise TaskNotFound(f"{home} has no task {', '.join(absent)}")
        return [_load(home / name) for name in wanted]
    splits = _published(root, split)
    tasks: list[Task] = []
    for name in present:
        if limit is not None and len(tasks) >= limit:
            break
        task = _load(home / name)
        if splits is None or task.extra.get("split") in (None, *splits):
            tasks.append(task)
    return tasks
