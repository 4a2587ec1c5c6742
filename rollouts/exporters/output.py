"""Files of an export: each takes its final name when it is whole."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import MissingExtra, UsageError
from ..files import room_for, slug
from .base import RecordedEpisode, Target
from .parts import compact, line

__all__ = ["Folder", "LineSink", "Output", "Rows", "rows_output"]

_GROUP = 32 << 20
"""Characters of JSON that a group of parquet rows holds."""


class Output:
    """One file under way. Raises DiskFull where there is no room."""

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; name the file to write")
        self.path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        with room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self._partial.open("wb")

    def write(self, data: bytes) -> None:
        """Append."""
        with room_for(self.path):
            self._file.write(data)

    def close(self) -> list[Path]:
        """Give the file its name."""
        with room_for(self.path):
            self._file.close()
            self._partial.replace(self.path)
        return [self.path]

    def abandon(self) -> None:
        """Take it back."""
        self._file.close()
        self._partial.unlink(missing_ok=True)


class Rows:
    """Rows of a table, as JSON lines."""

    def __init__(self, path: Path) -> None:
        self._output = Output(path)

    def row(self, row: dict[str, Any]) -> None:
        """Append one."""
        self._output.write(line(row))

    def close(self) -> list[Path]:
        """Give the file its name."""
        return self._output.close()

    def abandon(self) -> None:
        """Take it back."""
        self._output.abandon()


class _Parquet:
    """Rows of a table, as parquet; written in groups, so that memory is bounded."""

    def __init__(self, path: Path, schema: Callable[[], Any]) -> None:
        try:
            import pyarrow
            from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]
        except ImportError:
            raise MissingExtra("parquet needs pyarrow: pip install 'agent-trajectory-hub[trace]'") from None
        self._arrow: Any = pyarrow
        self._schema: Any = schema()
        self._output = Output(path)
        self._stream = _Stream(self._output)
        parquets: Any = parquet
        self._writer: Any = parquets.ParquetWriter(self._stream, self._schema, version="2.6", compression="zstd")
        self._held = list[dict[str, Any]]()
        self._size = 0

    def row(self, row: dict[str, Any]) -> None:
        """Append one."""
        self._held.append(row)
        self._size += len(compact(row))
        if self._size > _GROUP:
            self._flush()

    def _flush(self) -> None:
        arrays = [self._array(column.type, [row[column.name] for row in self._held]) for column in self._schema]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._held, self._size = [], 0

    def _array(self, kind: Any, values: list[Any]) -> Any:
        """A column; values of a list of JSON are told as JSON."""
        pa = self._arrow
        if not pa.types.is_list(kind) or getattr(kind.value_type, "extension_name", "") != "arrow.json":
            return pa.array(values, kind)
        ends = [0]
        for value in values:
            ends.append(ends[-1] + len(value))
        texts = pa.array([compact(item) for value in values for item in value], pa.utf8())
        stored = pa.ExtensionArray.from_storage(kind.value_type, texts)
        return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), stored, type=kind)

    def close(self) -> list[Path]:
        """Give the file its name."""
        if self._held:
            self._flush()
        self._writer.close()
        return self._output.close()

    def abandon(self) -> None:
        """Take it back."""
        self._stream.dropped = True
        self._writer.close()
        self._output.abandon()


class _Stream:
    """What pyarrow writes to."""

    closed = False

    def __init__(self, output: Output) -> None:
        self.dropped = False
        self._output = output
        self._at = 0

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        if not self.dropped:
            self._output.write(chunk)
        self._at += len(chunk)
        return len(chunk)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def rows_output(path: Path, schema: Callable[[], Any]) -> "Rows | _Parquet":
    """Rows as parquet where the path ends in `.parquet`, else as JSON lines."""
    return _Parquet(path, schema) if path.suffix == ".parquet" else Rows(path)


class LineSink:
    """An export of one row or more an episode."""

    def __init__(
        self,
        target: Target,
        rows: Callable[[RecordedEpisode], Iterable[dict[str, Any]]],
        schema: Callable[[], Any],
    ) -> None:
        self._rows = rows
        self._output = rows_output(target.path, schema)

    def write(self, episode: RecordedEpisode) -> None:
        """See `base.Sink`."""
        for row in self._rows(episode):
            self._output.row(row)

    def close(self) -> list[Path]:
        """See `base.Sink`."""
        return self._output.close()

    def abandon(self) -> None:
        """See `base.Sink`."""
        self._output.abandon()


class Folder:
    """A file an episode, or one file where there is only one and the path names it."""

    def __init__(self, target: Target, ending: str) -> None:
        self._target = target
        self._ending = ending
        self._single = target.path.suffix == ending
        if self._single and len(target.episodes) > 1:
            raise UsageError(
                f"{target.path} is one file, and {len(target.episodes)} episodes are to be written; name a folder, or "
                "choose one with --limit or --filter"
            )
        if not self._single and target.path.is_file():
            raise UsageError(f"{target.path} is a file; name a folder")
        self._written = list[Path]()

    def path_of(self, episode: RecordedEpisode) -> Path:
        """Where an episode goes: in a folder of its run, where there are several."""
        if self._single:
            return self._target.path
        folder = self._target.path / slug(episode.run_id) if len(self._target.runs) > 1 else self._target.path
        return folder / f"{slug(episode.header.episode_id)}{self._ending}"

    def write(self, episode: RecordedEpisode, data: bytes) -> None:
        """Write one episode's file."""
        output = Output(self.path_of(episode))
        try:
            output.write(data)
        except BaseException:
            output.abandon()
            raise
        self._written += output.close()

    def close(self) -> list[Path]:
        """All files."""
        return self._written
