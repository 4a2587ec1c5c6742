"""One function from a word the user types to tasks."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, cast

from ...errors import MissingExtra, TaskError, TaskNotFound
from ..task import Provenance, Task
from .family import ALIASES, Dataset, known_dataset, normalise
from .mapping import TaskMapping, placeholders, substitute
from .pro import is_pro, task_from_pro_row, with_run_scripts
from .rows import row_digest, row_name, task_from_row
from .task_repo import is_task_repo, read_task_repo

__all__ = ["load_tasks"]

_SUFFIXES = (".json", ".jsonl", ".parquet")


def load_tasks(
    spec: str | Path,
    *,
    split: str | None = None,
    mapping: str | Path | Mapping[str, Any] | None = None,
    run_scripts: str | Path | None = None,
    ids: Iterable[str] | None = None,
    limit: int | None = None,
) -> list[Task]:
    """Load tasks from a task repo folder, a local file, or a dataset by name or alias.

    `mapping` completes tasks that lack something (see docs/tasks.md), `run_scripts` is SWE-bench Pro's folder
    of that name. Raises TaskError that names the row and the field that are wrong.
    """
    wanted = None if ids is None else list(ids)
    tasks = _load(str(spec), split, wanted, limit if wanted is None else None)
    scripts = _run_scripts(str(spec), run_scripts)
    if scripts is not None:
        tasks = [_scripted(task, scripts, required=run_scripts is not None) for task in tasks]
    if mapping is not None:
        known = TaskMapping.from_data(mapping) if isinstance(mapping, Mapping) else TaskMapping.read(mapping)
        tasks = [known.complete(task) for task in tasks]
    return tasks[:limit]


def _load(spec: str, split: str | None, ids: list[str] | None, limit: int | None) -> list[Task]:
    path = Path(spec)
    if path.is_dir() and is_task_repo(path):
        return read_task_repo(path, ids=ids, split=split, limit=limit)
    if path.is_file() or path.suffix in _SUFFIXES:
        rows: Iterable[Mapping[str, Any]] = _read_file(path)
        source, image = str(path), None
    elif path.is_dir():
        raise TaskError(f"{path} is not a task repo: it has neither sweb.yaml nor a tasks/ folder")
    else:
        dataset = known_dataset(spec)
        if dataset.name == spec and not _may_be_dataset(path):
            raise TaskError(
                f"there is no folder and no file {spec!r}, and no dataset can have that name; "
                f"known short names: {', '.join(ALIASES)}"
            )
        rows, image = _read_dataset(dataset, split), dataset.image
        source = f"{dataset.name}:{split or dataset.split}"
    numbered = enumerate(rows, start=1)
    if ids is not None:
        numbered = ((index, row) for index, row in numbered if row.get("instance_id") in ids)
    tasks = [_task(row, index, source, image) for index, row in islice(numbered, limit)]
    return tasks if ids is None else _chosen(tasks, ids, source)


def _may_be_dataset(path: Path) -> bool:
    """Whether a word may be `owner/name` on the Hub, rather than a place in a folder that is here."""
    return len(path.parts) == 2 and not path.is_absolute() and not path.parent.is_dir()


def _chosen(tasks: list[Task], ids: list[str], source: str) -> list[Task]:
    by_id = {task.instance_id: task for task in tasks}
    absent = sorted(set(ids) - set(by_id))
    if absent:
        raise TaskNotFound(f"{source} has no task {', '.join(absent)}")
    return [by_id[name] for name in ids]


def _task(row: Mapping[str, Any], index: int, source: str, image: str | None) -> Task:
    kind = "swebench_pro" if is_pro(row) else "dataset"
    provenance = Provenance(source=kind, origin=source, sha256=row_digest(row), licence=_licence(row))
    if kind == "swebench_pro":
        return task_from_pro_row(row, provenance=provenance, index=index)
    task = task_from_row(normalise(row, row_name(row, index)), provenance=provenance, index=index)
    if image and not task.image:
        return task.model_copy(update={"image": substitute(image, placeholders(task))})
    return task


def _licence(row: Mapping[str, Any]) -> str | None:
    value = row.get("license_name") or row.get("license")
    return value if isinstance(value, str) else None


def _run_scripts(spec: str, given: str | Path | None) -> Path | None:
    if given is not None:
        return Path(given)
    beside = Path(spec).parent / "run_scripts"
    return beside if Path(spec).is_file() and beside.is_dir() else None


def _scripted(task: Task, folder: Path, *, required: bool) -> Task:
    if not required and not (folder / task.instance_id).is_dir():
        return task
    return with_run_scripts(task, folder)


def _read_file(path: Path) -> Iterator[Mapping[str, Any]]:
    if not path.is_file():
        raise TaskError(f"no such file: {path}")
    readers = {".jsonl": _read_jsonl, ".parquet": _read_parquet}
    return readers.get(path.suffix, _read_json)(path)


def _row(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TaskError(f"{where}: a row must be an object, not {type(value).__name__}")
    return cast(Mapping[str, Any], value)


def _read_jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _row(_parsed(line, f"{path}:{number}"), f"{path}:{number}")


def _parsed(data: bytes, where: str) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise TaskError(f"{where}: not valid JSON: {error}") from None


def _read_json(path: Path) -> Iterator[Mapping[str, Any]]:
    data = _parsed(path.read_bytes(), str(path))
    if isinstance(data, Mapping):
        data = [
            {"instance_id": key, **_row(value, f"{path}: {key}")}
            for key, value in cast(Mapping[str, Any], data).items()
        ]
    if not isinstance(data, list):
        raise TaskError(f"{path}: must be a list of rows or an object by instance id")
    return (_row(value, f"{path}: row {i}") for i, value in enumerate(cast(list[Any], data), start=1))


def _read_parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        import pyarrow.parquet as parquet  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise MissingExtra("reading .parquet needs pyarrow: pip install 'agent-trajectory-hub[eval]'") from None
    try:
        file: Any = cast(Any, parquet).ParquetFile(path)
    except (OSError, ValueError) as error:
        raise TaskError(f"{path}: not a parquet file: {error}") from None
    return _rows_of(file, path)


def _rows_of(file: Any, path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        for batch in file.iter_batches(256):
            yield from batch.to_pylist()
    except (OSError, ValueError) as error:
        raise TaskError(f"{path}: this parquet file is damaged: {error}") from None


def _read_dataset(dataset: Dataset, split: str | None) -> Iterator[Mapping[str, Any]]:
    try:
        import datasets
    except ImportError:
        raise MissingExtra(
            f"loading the dataset {dataset.name} needs the package datasets: pip install 'agent-trajectory-hub[eval]'"
        ) from None
    try:
        rows: Any = cast(Any, datasets).load_dataset(dataset.name, split=split or dataset.split)
    except (OSError, ValueError, RuntimeError) as error:
        raise TaskError(
            f"cannot load {dataset.name!r} (split {split or dataset.split}): {error}\n"
            f"It is neither a folder nor a file here; known short names: {', '.join(ALIASES)}"
        ) from None
    return iter(cast(Iterable[Mapping[str, Any]], rows))
