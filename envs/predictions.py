"""Predictions files: which patch an agent made for which task."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from ..errors import UsageError
from .task import Task

__all__ = ["REFERENCE", "read_predictions"]

REFERENCE = ("reference", "gold")
"""Given in place of a file: the tasks' own reference patches."""
_PATCH = ("model_patch", "patch")


def read_predictions(source: str, tasks: Iterable[Task] = ()) -> dict[str, str | None]:
    """Patches by instance id from a `.jsonl`, a JSON list or a JSON object by id.

    Takes SWE-bench's `model_patch` and SWE-bench Pro's `patch`. Raises UsageError that names the entry at fault.
    """
    if source in REFERENCE:
        return {task.instance_id: task.patch for task in tasks}
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read predictions {path}: {error.strerror}") from None
    found: dict[str, str | None] = {}
    for where, name, patch in _entries(path, text):
        if name in found:
            raise UsageError(f"{where}: a second prediction for {name}; keep one")
        found[name] = patch
    return found


def _entries(path: Path, text: str) -> Iterable[tuple[str, str, str | None]]:
    if path.suffix == ".jsonl":
        numbered = [(f"{path}:{i}", line) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
        for where, line in numbered:
            yield _entry(where, _json(where, line))
        return
    data = _json(str(path), text)
    if isinstance(data, Mapping):
        for key, value in cast(Mapping[str, Any], data).items():
            where = f"{path}: {key}"
            if isinstance(value, Mapping):
                yield _entry(where, {"instance_id": key, **cast(Mapping[str, Any], value)})
            else:
                yield where, key, _text(where, value)
    elif isinstance(data, list):
        for index, value in enumerate(cast(list[Any], data), start=1):
            yield _entry(f"{path}: entry {index}", value)
    else:
        raise UsageError(f"{path}: must be a list of predictions or an object by instance id")


def _json(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{where}: not valid JSON: {error}") from None


def _entry(where: str, value: Any) -> tuple[str, str, str | None]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: must be an object with instance_id and model_patch")
    entry = cast(Mapping[str, Any], value)
    name = entry.get("instance_id")
    if not isinstance(name, str) or not name:
        raise UsageError(f"{where}: has no instance_id")
    field = next((field for field in _PATCH if field in entry), None)
    if field is None:
        raise UsageError(f"{where}: has neither model_patch nor patch")
    return where, name, _text(where, entry[field])


def _text(where: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{where}: the patch must be text or null, not {type(value).__name__}")
    return value
