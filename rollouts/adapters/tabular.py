"""Data sets of one episode a row, as JSON lines, as a JSON list or as parquet."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from .base import ForeignEpisode, Sample, Unread
from .documents import first_object, glimpse, open_document
from .parquet import parquet_rows
from .reading import Row, as_dict, as_dicts, as_list, json_rows

__all__ = ["dataset_rows", "episodes_by_row", "first_row"]

_PARQUET = b"PAR1"


def first_row(sample: Sample) -> dict[str, Any]:
    """The first row of a data set, as far as a file's beginning shows it; of parquet its columns, without values."""
    if sample.head.startswith(_PARQUET):
        return _columns(sample.path)
    listed = as_dicts(as_list(glimpse(sample)))
    return listed[0] if listed else first_object(sample)


def _columns(path: Path) -> dict[str, Any]:
    """A parquet file's columns; of a list of structures the names of their fields."""
    try:
        import pyarrow.parquet as parquet

        columns = cast("Any", parquet).read_schema(path)
    except (ImportError, OSError, ValueError):
        return {}
    return {str(column.name): _fields(column.type) for column in columns}


def _fields(kind: Any) -> list[dict[str, None]] | None:
    """The fields of the structures that a column lists; None where it lists none."""
    from pyarrow import types

    known = cast("Any", types)
    inner = kind.value_type if known.is_list(kind) or known.is_large_list(kind) else None
    if inner is None or not known.is_struct(inner):
        return None
    return [{str(field.name): None for field in inner}]


def episodes_by_row(path: Path, episode: Callable[[Row, list[Unread]], ForeignEpisode]) -> Iterator[ForeignEpisode]:
    """One episode a row; rows that are none go with the episode after them, or with one of their own at the end."""
    broken = list[Unread]()
    for row in dataset_rows(path):
        if isinstance(row, Unread):
            broken.append(row)
            continue
        yield episode(row, broken)
        broken = []
    if broken:
        yield episode(Row(0, {}), broken)


def dataset_rows(path: Path) -> Iterator[Row | Unread]:
    """The rows of a data set, a few in memory at a time. Raises MissingExtra for parquet without pyarrow."""
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(_PARQUET):
        yield from parquet_rows(path)
    elif head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        document = open_document(path, frozenset())
        yield from (_row(number, item) for number, item in enumerate(document.items(""), 1))
        if document.damage is not None:
            yield document.damage
    else:
        yield from (row if isinstance(row, Unread) else _row(row.number, row.value) for row in json_rows(path))


def _row(number: int, value: Any) -> Row | Unread:
    if isinstance(value, dict):
        return Row(number, as_dict(value))
    return Unread(kind="row that is no object", where=f"row {number}")
