"""One row of a SWE-bench-family dataset, made a `Task`. Every complaint names the row and the field."""

import ast
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from ...errors import TaskError
from ...validation import first_problem
from ..task import Provenance, Task

__all__ = ["TEXT_FIELDS", "listing", "row_digest", "row_name", "task_from_row", "text"]

TEXT_FIELDS = (
    "patch",
    "test_patch",
    "problem_statement",
    "hints_text",
    "created_at",
    "version",
    "environment_setup_commit",
)
_OPTIONAL_TEXT = ("image", "log_parser", "eval_script", "test_command")
_TYPED = ("eval_type", "workdir", "network")
_OWN = {*Task.model_fields} - {"provenance", "extra", "pro"}


def row_name(row: Mapping[str, Any], index: int | None) -> str:
    """How an error message calls a row: its position and its id, as far as it has them."""
    identifier = row.get("instance_id")
    where = "row" if index is None else f"row {index}"
    return f"{where} ({identifier})" if isinstance(identifier, str) and identifier else where


def row_digest(row: Mapping[str, Any]) -> str:
    """The sha256 of the row as canonical JSON."""
    canonical = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode("utf-8", errors="surrogatepass")).hexdigest()


def text(row: Mapping[str, Any], field: str, name: str) -> str:
    """A text field; absent and null are empty. Raises TaskError for anything that is not text."""
    value: Any = row.get(field)
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if isinstance(value, int | float) and not isinstance(value, bool) and field in ("created_at", "version"):
        return str(value)
    if not isinstance(value, str):
        raise TaskError(f"{name}: field {field} must be text, not {type(value).__name__}")
    return value


def listing(row: Mapping[str, Any], field: str, name: str) -> tuple[str, ...]:
    """A list of names, given as a list, a JSON string or a Python-literal string. Raises TaskError."""
    value: Any = row.get(field)
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = _parse_list(value, field, name)
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise TaskError(f"{name}: field {field} must be a list of test names, not {type(value).__name__}")
    items = cast(Sequence[Any], value)
    for position, item in enumerate(items):
        if not isinstance(item, str):
            raise TaskError(f"{name}: field {field}[{position}] must be text, not {type(item).__name__}")
    return tuple(cast(Sequence[str], items))


def _parse_list(value: str, field: str, name: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        pass
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise TaskError(f"{name}: field {field} is neither a JSON list nor a Python list: {value[:60]!r}") from None


def _assets(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    value: Any = row.get("image_assets")
    if not value:
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise TaskError(f"{name}: field image_assets is not valid JSON: {error}") from None
    if not isinstance(value, Mapping):
        raise TaskError(f"{name}: field image_assets must be an object, not {type(value).__name__}")
    return dict(cast(Mapping[str, Any], value))


def _required(row: Mapping[str, Any], field: str, name: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value:
        found = "missing" if value is None or value == "" else f"of type {type(value).__name__}"
        raise TaskError(f"{name}: field {field} is required and is {found}")
    return value


def task_from_row(row: Mapping[str, Any], *, provenance: Provenance, index: int | None = None) -> Task:
    """The task of a row in classic or SWE-bench 5 columns; columns without a field go to `extra`."""
    name = row_name(row, index)
    values: dict[str, Any] = {field: _required(row, field, name) for field in ("instance_id", "repo")}
    values["base_commit"] = _required(row, "base_commit", name)
    values |= {field: text(row, field, name) for field in TEXT_FIELDS}
    values |= {field: text(row, field, name) or None for field in _OPTIONAL_TEXT}
    values |= {field: listing(row, field, name) for field in ("FAIL_TO_PASS", "PASS_TO_PASS")}
    values["image_assets"] = _assets(row, name)
    values |= {field: row[field] for field in _TYPED if row.get(field) is not None}
    values["extra"] = {key: value for key, value in row.items() if key not in _OWN and key != "provenance"}
    try:
        return Task(**values, provenance=provenance)
    except ValidationError as error:
        raise TaskError(f"{name}: field {first_problem(error)}") from None
