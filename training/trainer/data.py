"""Reading data sets: rows one at a time, in the order of the files, with the checksum of every file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import nlargest
from pathlib import Path
from random import Random
from typing import Any, cast

from ...errors import MissingExtra, UsageError
from ...rollouts.files import sha256_of
from .settings import Selection

__all__ = ["DataSource", "Row", "selected"]

Row = Mapping[str, Any]
_DATA = (".jsonl", ".parquet", ".json")
_JSON = ("messages", "prompt", "completion", "chosen", "rejected", "tools", "chat_template_kwargs")
"""Columns whose values parquet files hold as JSON."""


@dataclass(frozen=True)
class DataSource:
    """A folder that `trajhub export` wrote, or a file of rows."""

    path: Path

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files that rows are read from: JSONL where a set is there in both formats. Raises UsageError."""
        if self.path.is_file() and self.path.suffix in (".jsonl", ".parquet"):
            return (self.path,)
        for pattern in ("data/train*.jsonl", "data/train*.parquet", "*.jsonl", "*.parquet"):
            found = tuple(sorted(self.path.glob(pattern))) if self.path.is_dir() else ()
            if found:
                return found
        raise UsageError(
            f"{self.path} holds no rows: give a folder that `trajhub export` wrote, or a .jsonl or .parquet file"
        )

    def facts(self) -> dict[str, Any]:
        """Path, and name, size and SHA-256 of each of its files, those that were not read as well."""
        read = set(self.files)
        every = read if self.path.is_file() else {path for path in self.path.rglob("*") if path.suffix in _DATA}
        return {
            "path": str(self.path),
            "files": [
                {
                    "name": path.name if path == self.path else str(path.relative_to(self.path)),
                    "bytes": path.stat().st_size,
                    "sha256": sha256_of(path),
                    "read": path in read,
                }
                for path in sorted(every | read)
            ],
        }

    def rows(self) -> Iterator[Row]:
        """Every row. Raises UsageError that names file and line."""
        for path in self.files:
            yield from _lines(path) if path.suffix == ".jsonl" else _parquet(path)


def _lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row: object = json.loads(line)
            except ValueError as error:
                raise UsageError(f"{path}:{number} is not JSON: {error}") from None
            if not isinstance(row, dict):
                raise UsageError(f"{path}:{number} is no object, and so no row")
            yield _decoded(cast("Row", row))


def _parquet(path: Path) -> Iterator[Row]:
    try:
        from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise MissingExtra(f"reading {path} needs pyarrow: pip install 'agent-trajectory-hub[train]'") from None
    opened: Any = cast("Any", parquet).ParquetFile(path)
    for batch in opened.iter_batches(batch_size=64):
        for row in batch.to_pylist():
            yield _decoded(row)


def _decoded(row: Row) -> Row:
    """The row with JSON that is held as text read; `tools` as one text is TRL's custom."""
    found = dict(row)
    for name in _JSON:
        value = found.get(name)
        if isinstance(value, str) and name in ("tools", "chat_template_kwargs"):
            found[name] = json.loads(value)
        elif isinstance(value, list) and value and isinstance(value[0], str):
            found[name] = [json.loads(item) for item in cast("list[str]", value)]
    return found


def selected(sources: Sequence[DataSource], selection: Selection) -> Iterator[Row]:
    """The rows that are to be learnt from, in the order of the files."""
    if selection.limit is None or selection.order == "first":
        for count, row in enumerate(_wanted(sources, selection), 1):
            yield row
            if count == selection.limit:
                return
        return
    kept = _kept([_value(row) for row in _wanted(sources, selection)], selection)
    for position, row in enumerate(_wanted(sources, selection)):
        if position in kept:
            yield row


def _kept(values: list[float], selection: Selection) -> set[int]:
    """Positions of the rows to keep."""
    count = min(selection.limit or len(values), len(values))
    random = Random(selection.seed)
    if selection.order == "random":
        return set(random.sample(range(len(values)), count))
    ties = [random.random() for _ in values]
    return set(nlargest(count, range(len(values)), key=lambda position: (values[position], ties[position])))


def _wanted(sources: Sequence[DataSource], selection: Selection) -> Iterator[Row]:
    for source in sources:
        for row in source.rows():
            if _passes(row, selection):
                yield row


def _passes(row: Row, selection: Selection) -> bool:
    if selection.resolved is not None and row.get("resolved") is not selection.resolved:
        return False
    if selection.min_process is not None and (row.get("process_score") or 0.0) < selection.min_process:
        return False
    if selection.min_reward is None:
        return True
    rewards: Sequence[float | None] = row["rewards"] if "rewards" in row else [row.get("reward")]
    return bool(rewards) and all(reward is not None and reward >= selection.min_reward for reward in rewards)


def _value(row: Row) -> float:
    """What a row is worth: a step's reward, a pair's margin, or the episode's process score."""
    for name in ("reward", "margin", "process_score"):
        if row.get(name) is not None:
            return float(row[name])
    return -1.0
