"""Rows to files, a few in memory at a time. The same rows give the same bytes (parquet: by the same pyarrow)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from ...errors import MissingExtra, UsageError
from ...rollouts.files import room_for, sha256_of
from ..trajectories.messages import dumps
from .columns import Columns, arrow_schema

__all__ = ["DataFile", "DataWriter", "JsonlWriter", "ParquetWriter", "RowWriter"]

_GROUP_ROWS = 1000
_GROUP_CHARACTERS = 8 << 20
_LEVEL = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file of a data set."""

    name: str
    """Relative to the data set."""
    bytes: int
    sha256: str


class RowWriter(Protocol):
    """Writes rows into one file."""

    def write(self, row: Mapping[str, Any], line: str) -> None:
        """Add a row; `line` is the row as JSON."""
        ...

    def close(self) -> None:
        """All rows were given."""
        ...


class JsonlWriter:
    """One row a line, UTF-8, keys in the order of the columns."""

    def __init__(self, path: Path) -> None:
        with room_for(path):
            self._file: BinaryIO = path.open("wb")
        self._path = path

    def write(self, row: Mapping[str, Any], line: str) -> None:
        """Add a row."""
        with room_for(self._path):
            self._file.write(line.encode() + b"\n")

    def close(self) -> None:
        """Flush."""
        with room_for(self._path):
            self._file.close()


class ParquetWriter:
    """Row groups of about eight megabytes of text; JSON columns hold JSON, as `datasets.Json` does."""

    def __init__(self, path: Path, columns: Columns) -> None:
        """Raises MissingExtra without pyarrow."""
        try:
            import pyarrow
            from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]
        except ImportError:
            raise MissingExtra(
                "writing parquet needs pyarrow: pip install 'agent-trajectory-hub[train]', or write -c formats=[jsonl]"
            ) from None
        self._arrow: Any = pyarrow
        parquets: Any = parquet
        self._path, self._columns, self._schema = path, columns, arrow_schema(columns)
        with room_for(path):
            self._writer: Any = parquets.ParquetWriter(
                path, self._schema, version="2.6", compression="zstd", compression_level=_LEVEL, use_dictionary=True
            )
        self._rows: list[Mapping[str, Any]] = []
        self._characters = 0

    def write(self, row: Mapping[str, Any], line: str) -> None:
        """Add a row."""
        self._rows.append(row)
        self._characters += len(line)
        if len(self._rows) >= _GROUP_ROWS or self._characters >= _GROUP_CHARACTERS:
            self._flush()

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        with room_for(self._path):
            self._writer.close()

    def _flush(self) -> None:
        if not self._rows:
            return
        arrays = [self._array(name) for name in self._columns]
        with room_for(self._path):
            self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._rows, self._characters = [], 0

    def _array(self, name: str) -> Any:
        pa, kind, type_ = self._arrow, self._columns[name], self._schema.field(name).type
        values = [row[name] for row in self._rows]
        if kind == "json":
            return pa.ExtensionArray.from_storage(type_, pa.array([dumps(value) for value in values], pa.utf8()))
        if kind != "jsons":
            return pa.array(values, type_)
        ends = [0]
        for value in values:
            ends.append(ends[-1] + len(value))
        inner = pa.array([dumps(item) for value in values for item in value], pa.utf8())
        stored = pa.ExtensionArray.from_storage(type_.value_type, inner)
        return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), stored, type=type_)


class DataWriter:
    """Writes rows in several formats to `<folder>/data/`; unfinished files are hidden, and removed on errors."""

    def __init__(self, folder: Path, columns: Columns, formats: Sequence[str], split: str = "train") -> None:
        self.folder, self._columns = folder, columns
        self._names = {each: f"data/{split}.{each}" for each in formats}
        with room_for(folder):
            (folder / "data").mkdir(parents=True, exist_ok=True)
        self._open: dict[str, RowWriter] = {}
        for each in formats:
            path = self._partial(each)
            self._open[each] = JsonlWriter(path) if each == "jsonl" else ParquetWriter(path, columns)
        self.rows = 0

    def write(self, row: Mapping[str, Any]) -> int:
        """Add a row; how long it is as JSON. Raises NotPortable."""
        if row.keys() != self._columns.keys():
            raise UsageError(f"a row has the columns {list(row)}, not {list(self._columns)}")
        line = dumps({name: row[name] for name in self._columns})
        for writer in self._open.values():
            writer.write(row, line)
        self.rows += 1
        return len(line)

    def finish(self) -> list[DataFile]:
        """Close the files and give them their names."""
        found = list[DataFile]()
        for each, writer in self._open.items():
            writer.close()
            path = self._partial(each).replace(self.folder / self._names[each])
            found.append(DataFile(name=self._names[each], bytes=path.stat().st_size, sha256=sha256_of(path)))
        self._open = {}
        return found

    def _partial(self, each: str) -> Path:
        path = self.folder / self._names[each]
        return path.with_name(f".{path.name}.partial")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, writer in self._open.items():
            writer.close()
            self._partial(each).unlink(missing_ok=True)
        self._open = {}
