"""Layer 2: tables derived from the event logs, one row an episode, step, request and sample."""

from .columns import COLUMNS, TABLES, Column, schema

__all__ = ["COLUMNS", "TABLES", "Column", "schema"]
