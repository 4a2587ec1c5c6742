"""Layer 2: tables derived from the event logs, one row an episode, step, request and sample."""

from typing import TYPE_CHECKING, Any

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

_PLACES = {
    "COLUMNS": "columns",
    "TABLES": "columns",
    "Answer": "query",
    "Column": "columns",
    "Tables": "build",
    "ask": "query",
    "build_tables": "build",
    "open_tables": "query",
    "prices_of": "fresh",
    "schema": "columns",
}


def __getattr__(name: str) -> Any:
    # The command line imports this package before it knows whether it is needed.
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
