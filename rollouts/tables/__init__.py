"""Layer 2: tables derived from the event logs, one row an episode, step, request and sample."""

from .build import Tables, build_tables
from .columns import COLUMNS, TABLES, Column, schema
from .query import Answer, ask, open_tables

__all__ = ["COLUMNS", "TABLES", "Answer", "Column", "Tables", "ask", "build_tables", "open_tables", "schema"]
