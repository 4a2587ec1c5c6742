"""Where figures come from: the tables of layer 2, cut down to the episodes that were asked for.

Sections query four views of the episodes in scope: `e` (episodes), `s` (steps), `r` (requests) and `m` (samples), each
with the columns of `rollouts.tables.columns` and an integer `key` of the episode; `o` are the episodes that say
something about outcomes: graded, the attempt that counts, and not excluded; a record that holds an outcome and nothing
of what led to it is one of `o` only. `cluster` in `e` is the task.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import UsageError
from .figures import Distribution
from .statistics import Floats, clustered

__all__ = ["Source"]

_STEPS = (
    "step, request, tool, action, program, phase, t_start, t_end, tool_ms, internal_ms, failed, error IS NOT NULL AS "
    "erred, malformed, paths, edited, edit_line, reverted, tests_passed, tests_failed, repeated, cpu_s, cpu_user_s, "
    "cpu_system_s, memory_peak_bytes, io_read_bytes, io_write_bytes, net_rx_bytes, net_tx_bytes"
)
_REQUESTS = (
    "request, thread, model, t_start, t_end, model_ms, ttft_ms, input_tokens, cached_tokens, cache_creation_tokens, "
    "output_tokens, reasoning_tokens, repeated_tokens, cost_usd, cost_input_usd, cost_cached_usd, "
    "cost_cache_creation_usd, cost_output_usd, cost_reasoning_usd, tool_calls, user_messages, gap_ms, human_ms"
)
_SAMPLES = "t, step, cpu_pct, cpu_s, memory_bytes, io_read_bytes, io_write_bytes, net_rx_bytes, net_tx_bytes"
_TABLES = {"st": ("steps", _STEPS), "rq": ("requests", _REQUESTS), "sm": ("samples", _SAMPLES)}
_BARE = (
    "SELECT key FROM ep WHERE steps IS NULL AND requests IS NULL AND (graded OR patch_sha256 IS NOT NULL) "
    "AND key NOT IN (SELECT key FROM st) AND key NOT IN (SELECT key FROM rq)"
)
"""Records that tell an outcome, and not what happened."""
_OUTCOMES = "resolved IS NOT NULL AND excluded IS NOT TRUE AND attempt_final IS NOT FALSE"
_QUANTILES = (0.25, 0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Source:
    """The episodes of a connection that match a filter."""

    connection: Any
    """A DuckDB connection with the views `episodes`, `steps`, `requests`, `samples`."""
    episodes: int
    prices: tuple[str, ...] = ()
    """Day and source of the price tables that costs were computed with."""
    outcomes_only: int = 0
    """Records that tell how episodes ended and nothing of their course: no episodes of `e`, though of `o`."""

    @classmethod
    def of(
        cls,
        connection: Any,
        *,
        where: str | None = None,
        limit: int | None = None,
        memory: str = "1GB",
        prices: Sequence[str] = (),
    ) -> "Source":
        """Copy what is measured out of the files, once. `where` is SQL over episodes. Raises UsageError."""
        import duckdb

        # One thread: sums of floating-point numbers depend on their order, and equal tables shall give equal bytes.
        for setting in (f"memory_limit = '{memory}'", "threads = 1"):
            connection.execute(f"SET {setting}")
        picked = "SELECT * FROM episodes" + (f" WHERE {where}" if where else "")
        picked += " ORDER BY run_id, episode_id" + (f" LIMIT {limit:d}" if limit is not None else "")
        try:
            connection.execute(
                "CREATE OR REPLACE TEMP TABLE ep AS SELECT row_number() OVER (ORDER BY run_id, episode_id) AS key, "
                f"coalesce(task_id, episode_id) AS cluster, * FROM ({picked})"
            )
        except (duckdb.BinderException, duckdb.ParserException, duckdb.ConversionException) as error:
            raise UsageError(f"the filter {where!r} is not a condition over the columns of episodes: {error}") from None
        for name, (table, columns) in _TABLES.items():
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT key, x.* EXCLUDE (run_id, episode_id) "
                f"FROM (SELECT run_id, episode_id, {columns} FROM {table}) x "
                "JOIN (SELECT key, run_id, episode_id FROM ep) USING (run_id, episode_id)"
            )
        connection.execute(f"CREATE OR REPLACE TEMP TABLE bare AS {_BARE}")
        everything, bare = connection.execute(
            "SELECT (SELECT count(*) FROM ep), (SELECT count(*) FROM bare)"
        ).fetchone()
        found = cls(connection, everything, tuple(prices), bare)
        found.scope()
        return found

    def scope(self, column: str | None = None, value: object = None) -> None:
        """Let the views show all episodes, or only those whose `column` has this value."""
        condition = "TRUE"
        if column is not None:
            literal = "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"
            condition = f'CAST("{column}" AS VARCHAR) IS NOT DISTINCT FROM {literal}'
        run = self.connection.execute
        run(f"CREATE OR REPLACE TEMP VIEW e AS SELECT * FROM ep WHERE {condition} AND key NOT IN (FROM bare)")
        run(f"CREATE OR REPLACE TEMP VIEW o AS SELECT * FROM ep WHERE {condition} AND {_OUTCOMES}")
        for view, table in (("s", "st"), ("r", "rq"), ("m", "sm")):
            only = "" if column is None else " WHERE key IN (SELECT key FROM e)"
            run(f"CREATE OR REPLACE TEMP VIEW {view} AS SELECT * FROM {table}{only}")

    def groups(self, column: str, most: int = 12) -> list[object]:
        """Values of a column of episodes, the commonest first. Raises UsageError when there is no such column."""
        names = [row["column_name"] for row in self.rows("DESCRIBE ep")]
        if column not in names:
            raise UsageError(f"episodes have no column {column!r}; there are {', '.join(sorted(names))}")
        found = self.rows(
            f'SELECT CAST("{column}" AS VARCHAR) AS value, count(*) AS n FROM ep GROUP BY 1 ORDER BY n DESC, 1 '
            f"LIMIT {most:d}"
        )
        return [row["value"] for row in found]

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """What a query returns."""
        cursor = self.connection.execute(sql, list(parameters))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, sql: str, parameters: Sequence[object] = ()) -> dict[str, Any]:
        """The only row that a query returns."""
        return self.rows(sql, parameters)[0]

    def columns(self, sql: str, parameters: Sequence[object] = ()) -> dict[str, Any]:
        """What a query returns, an array a column; null numbers are NaN."""
        found = self.connection.execute(sql, list(parameters)).fetchnumpy()
        return {name: _plain(values) for name, values in found.items()}

    def values(self, sql: str, parameters: Sequence[object] = ()) -> Floats:
        """The only column of a query as numbers, nulls left out."""
        (found,) = self.columns(sql, parameters).values()
        numbers = found.astype(np.float64)
        return numbers[~np.isnan(numbers)]

    def describe(self, relation: str, expressions: Mapping[str, str]) -> dict[str, Distribution]:
        """The distribution of each expression over the rows of a relation that has the column `key`.

        Means have intervals clustered by the task of the episode (`clustered`).
        """
        if not expressions:
            return {}
        named = ", ".join(f"CAST({sql} AS DOUBLE) AS v{place}" for place, sql in enumerate(expressions.values()))
        base = f"SELECT key, {named} FROM {relation}"
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE described AS {base}")
        wanted = ", ".join(_aggregates(place) for place in range(len(expressions)))
        whole = self.row(f"SELECT count(*) AS n, {wanted} FROM described")
        sums = ", ".join(f"count(v{place}) AS n{place}, sum(v{place}) AS s{place}" for place in range(len(expressions)))
        parts = self.columns(
            f"SELECT {sums} FROM described JOIN ep USING (key) GROUP BY ep.cluster ORDER BY ep.cluster"
        )
        return {
            name: _distribution(place, whole, parts[f"n{place}"], parts[f"s{place}"])
            for place, name in enumerate(expressions)
        }


def _aggregates(place: int) -> str:
    name = f"v{place}"
    listed = ", ".join(map(str, _QUANTILES))
    return (
        f"count({name}) AS n{place}, avg({name}) AS mean{place}, stddev_samp({name}) AS sd{place}, sum({name}) AS "
        f"total{place}, min({name}) AS min{place}, max({name}) AS max{place}, "
        f"quantile_cont({name}, [{listed}]) AS q{place}"
    )


def _distribution(place: int, whole: Mapping[str, Any], sizes: Floats, sums: Floats) -> Distribution:
    count = int(whole[f"n{place}"])
    if not count:
        return Distribution(n=0, unknown=int(whole["n"]))
    mean = clustered(sizes, sums)
    quantiles = dict(zip(("p25", "p50", "p90", "p99"), whole[f"q{place}"], strict=True))
    return Distribution(
        n=count,
        unknown=int(whole["n"]) - count,
        mean=whole[f"mean{place}"],
        low=mean.low,
        high=mean.high,
        clusters=mean.clusters,
        sd=whole[f"sd{place}"],
        smallest=whole[f"min{place}"],
        largest=whole[f"max{place}"],
        total=whole[f"total{place}"],
        **quantiles,
    )


def _plain(values: Any) -> Any:
    if not np.ma.isMaskedArray(values):
        return values
    masked: Any = values
    return masked.astype(np.float64).filled(np.nan) if masked.dtype.kind in "iufb" else masked.filled(None)
