"""Rows of parquet files, read batch by batch. Needs `pyarrow`, of the extra `trace`."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from ...errors import MissingExtra
from ..payloads import clean
from .base import Sample, Unread
from .reading import Row

__all__ = ["parquet_columns", "parquet_rows"]

_MAGIC = b"PAR1"
_BATCH = 16


def parquet_columns(sample: Sample) -> frozenset[str]:
    """The columns of a file, for `recognise`; none when it is no parquet file, is damaged, or pyarrow is missing."""
    if not sample.head.startswith(_MAGIC):
        return frozenset()
    with suppress(ValueError, OSError, MissingExtra), _open(sample.path) as file:
        return frozenset(cast("list[str]", file.schema_arrow.names))
    return frozenset()


def parquet_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[Row | Unread]:
    """Every row as an object, numbered from 1; a damaged file gives the rows before the damage, then what broke.

    Raises MissingExtra without pyarrow.
    """
    number = 0
    try:
        with _open(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=list(columns) if columns else None):
                for value in cast("list[dict[str, Any]]", batch.to_pylist()):
                    number += 1
                    yield Row(number, clean(value))
    except MissingExtra:
        raise
    except (ValueError, OSError) as error:
        what = str(error).split("\n", 1)[0]
        yield Unread(kind="damaged parquet file", where=f"after row {number}: {what}", broken=True)


def _open(path: Path) -> Any:
    """A `pyarrow.parquet.ParquetFile`."""
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra(
            f"{path} is a parquet file; reading it needs pyarrow: pip install 'agent-trajectory-hub[trace]'"
        ) from None
    return pq.ParquetFile(path)
