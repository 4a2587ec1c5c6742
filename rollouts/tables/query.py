"""Questions to layer 2: one DuckDB connection over the tables of any number of runs."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import MissingExtra, UsageError
from ...rewards.service.usage import PriceTable
from .build import build_tables
from .columns import COLUMNS, TABLES, arrow
from .fresh import path_of, stale

__all__ = ["Answer", "ask", "open_tables"]

_UNKNOWN = re.compile(r"column(?: named)? \"([\w.]+)\"")
_QUESTIONS = ("SELECT", "EXPLAIN")


class Answer(NamedTuple):
    """The answer to a question."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def open_tables(
    runs: Sequence[Path],
    *,
    prices: PriceTable | None = None,
    max_workers: int | None = None,
    threads: int | None = None,
    locked: bool = False,
) -> Any:
    """A `duckdb.DuckDBPyConnection` with the views `episodes`, `steps`, `requests` and `samples` over all runs.

    Tables that are missing or older than the logs are built first. Times are UTC without a zone. `locked`: nothing but
    the tables can be read, and no setting be changed, for questions of others. Raises UsageError when a folder is no
    run, or when two runs have the same id (their rows could not be told apart), and MissingExtra.
    """
    if not runs:
        raise UsageError("name at least one run")
    folders = list(dict.fromkeys(Path(run) for run in runs))
    for run in folders:
        if stale(run) is not None:
            build_tables(run, prices=prices, max_workers=max_workers)
    _distinct(folders)
    connection = _connect()
    if threads is not None:
        connection.execute(f"SET threads = {int(threads)}")
    for table in TABLES:
        connection.execute(_view(table, folders))
    if locked:
        _lock(connection, folders)
    return connection


def _lock(connection: Any, runs: Sequence[Path]) -> None:
    files = ", ".join(_quoted(str(path_of(run, table).resolve())) for run in runs for table in TABLES)
    connection.execute(f"SET allowed_paths = [{files}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _connect() -> Any:
    try:
        import duckdb
    except ImportError:
        raise MissingExtra("questions to tables need duckdb: pip install 'agent-trajectory-hub[trace]'") from None
    return duckdb.connect(":memory:")


def _distinct(runs: Sequence[Path]) -> None:
    found = dict[str, Path]()
    for run in runs:
        column = arrow().parquet.read_table(path_of(run, "episodes"), columns=["run_id"]).column("run_id")
        for name in column.unique().to_pylist():
            if name in found:
                raise UsageError(f"{found[name]} and {run} are both of the run {name!r}; give only one of them")
            found[name] = run


def _view(table: str, runs: Sequence[Path]) -> str:
    files = ", ".join(_quoted(str(path_of(run, table).resolve())) for run in runs)
    times = [column.name for column in COLUMNS[table] if column.type.startswith("timestamp")]
    plain = ", ".join(f"make_timestamp(epoch_us({name})) AS {name}" for name in times)
    return f"CREATE VIEW {table} AS SELECT * REPLACE ({plain}) FROM read_parquet([{files}])"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def ask(connection: Any, question: str) -> Answer:
    """The answer to one SELECT. Raises UsageError, which suggests similar columns for an unknown one."""
    import duckdb

    try:
        statements: Any = connection.extract_statements(question)
        if len(statements) != 1 or statements[0].type.name not in _QUESTIONS:
            raise UsageError("ask one SELECT at a time; tables are derived from the logs and cannot be changed")
        answer = connection.execute(question)
        return Answer(tuple(column[0] for column in answer.description), answer.fetchall())
    except duckdb.Error as error:
        raise UsageError(_helped(str(error))) from None


def _helped(message: str) -> str:
    """DuckDB's message, with columns of ours that are near what was asked for."""
    first = message.split("\n\n")[0].strip()
    if "Table with name" in first:
        return f"{first.splitlines()[0]} There are {', '.join(TABLES)}"
    found = _UNKNOWN.search(first)
    if found is None:
        return first
    known = {column.name: table for table in TABLES for column in COLUMNS[table]}
    near = get_close_matches(found[1].rsplit(".", 1)[-1], known, n=4, cutoff=0.4)
    places = [f"{name} ({', '.join(t for t in TABLES if name in _names(t))})" for name in near]
    hint = f"; near ones are {', '.join(places)}" if places else ""
    return f"{first.splitlines()[0]}{hint}; `trajhub trace columns` lists them all"


def _names(table: str) -> set[str]:
    return {column.name for column in COLUMNS[table]}
