"""Layer 2: tables derived from the event logs, with one row per episode, step, request and sample."""

from typing import TYPE_CHECKING

from ...lazy import lazy

if TYPE_CHECKING:
    from .build import Tables, build_tables
    from .columns import COLUMNS, TABLES, Column, schema
    from .fresh import prices_of
    from .query import Answer, ask, open_tables

__all__ = [
    "COLUMNS",
    "TABLES",
    "Answer",
    "Column",
    "Tables",
    "ask",
    "build_tables",
    "open_tables",
    "prices_of",
    "schema",
]

__getattr__ = lazy(
    __name__,
    {
        "build": ["Tables", "build_tables"],
        "columns": ["COLUMNS", "TABLES", "Column", "schema"],
        "fresh": ["prices_of"],
        "query": ["Answer", "ask", "open_tables"],
    },
)
