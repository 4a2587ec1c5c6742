"""Rows on their way into a table: one list a column, turned into Arrow at once."""

from collections.abc import Mapping
from typing import Any

from .columns import COLUMNS, TABLES, arrow, schema

__all__ = ["Rows", "new_rows"]


class Rows:
    """Rows of one table. A column that a row does not name is null."""

    def __init__(self, table: str) -> None:
        self.table = table
        self._names = tuple(column.name for column in COLUMNS[table])
        self._columns: dict[str, list[Any]] = {name: [] for name in self._names}

    def __len__(self) -> int:
        return len(self._columns[self._names[0]])

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row. Raises KeyError for a column that the table does not have."""
        if not row.keys() <= self._columns.keys():
            raise KeyError(f"{self.table} has no column {', '.join(sorted(row.keys() - self._columns.keys()))}")
        for name, values in self._columns.items():
            values.append(row.get(name))

    def batch(self) -> Any:
        """The rows as a `pyarrow.RecordBatch`."""
        pa, shape = arrow(), schema(self.table)
        arrays = [pa.array(self._columns[field.name], field.type) for field in shape]
        return pa.RecordBatch.from_arrays(arrays, schema=shape)


def new_rows() -> dict[str, Rows]:
    """Empty rows of every table."""
    return {table: Rows(table) for table in TABLES}
