"""Tools: how long calls take, how often they fail, what they use, and how heavy the tail is.

A call's latency is what the tool itself says, else the wall time from call to result; only positive ones count
(TraceLab's effective latency). The tool-time share of a session is its tool time over its wall time, parallel calls
counted once, as AgentTrace and AgentCgroup compare it.
"""

from collections.abc import Sequence

import numpy as np

from ...page import Block, Table, Text
from . import plots
from .figures import Distribution, Figures, Share, number, percent, seconds
from .plots import Curve
from .section import Options
from .source import Source
from .statistics import Floats
from .tails import TailFit, fit_tail

__all__ = ["LATENCY", "SECTION", "ToolRow", "Tools", "ToolsSection"]

LATENCY = "CASE WHEN coalesce(internal_ms, tool_ms) > 0 THEN coalesce(internal_ms, tool_ms) / 1000 END"
"""Seconds that a call took; null where not known or not positive."""
_LONG_S = 60
_KINDS = {"tool": "coalesce(tool, 'not understood')", "action": "coalesce(action, 'not known')",
          "program": "program"}  # fmt: skip


class ToolRow(Figures):
    """One tool, kind of action or program."""

    name: str
    calls: int
    timed: int
    """Calls whose latency is known and positive."""
    total_s: float | None
    mean_s: float | None
    p50_s: float | None
    p95_s: float | None
    largest_s: float | None
    failed: Share
    """Calls that failed, among those where it is known."""
    cpu_user_s: float | None
    """Mean of those known, as below."""
    cpu_system_s: float | None
    memory_peak_bytes: float | None
    io_read_bytes: float | None
    io_write_bytes: float | None
    measured: int
    """Calls with any figure of resources."""


class Tools(Figures):
    """Latency, failures and resources of tool calls."""

    latency: Distribution
    """Seconds, of all calls."""
    long_calls: Share
    """Calls of a minute or more, among timed ones."""
    long_time: Share
    """Their seconds, among all seconds of calls."""
    wall_less_internal: Distribution
    """Wall time less what the tool itself says: waiting for approval, queueing, transport."""
    share_of_session: Distribution
    """Tool time over wall time, sessions with recorded times."""
    share_p95: float | None
    share_smallest: float | None
    rows: dict[str, tuple[ToolRow, ...]]
    """By tool, action and program, those with most time first."""
    tail: TailFit | None
    """Of latencies in seconds."""
    tails: dict[str, TailFit]
    """Likewise by action, where there are 1,000 timed calls or more."""
    survival: Curve
    """Share of calls that take longer, at 200 quantiles."""
    count_share: Curve
    """Share of calls that take at most so long, at 200 quantiles."""
    time_share: Curve
    """Share of all tool time that these calls take."""


class ToolsSection:
    """Tool calls."""

    name = "tools"
    family = "tools"
    title = "Tool calls"
    silent = "no tool was called"

    def measure(self, source: Source, options: Options) -> Tools | None:
        """Everything of this module's description; None without a call."""
        if not source.row("SELECT count(*) AS n FROM s")["n"]:
            return None
        described = source.describe(
            "s",
            {"latency": LATENCY, "gap": "CASE WHEN internal_ms IS NOT NULL THEN (tool_ms - internal_ms) / 1000 END"},
        )
        shares = "(SELECT key, tool_ms / wall_ms AS share FROM e WHERE timing = 'recorded' AND wall_ms > 0)"
        long = source.row(
            f"SELECT count(x) AS n, count(*) FILTER (x >= {_LONG_S}) AS many, coalesce(sum(x), 0) AS whole, "
            f"coalesce(sum(x) FILTER (x >= {_LONG_S}), 0) AS part FROM (SELECT {LATENCY} AS x FROM s)"
        )
        share = source.describe(shares, {"share": "share"})["share"]
        values = np.sort(source.values(f"SELECT {LATENCY} AS x FROM s"))
        return Tools(
            latency=described["latency"],
            long_calls=Share(part=long["many"], whole=long["n"], n=long["n"]),
            long_time=Share(part=long["part"], whole=long["whole"], n=long["n"]),
            wall_less_internal=described["gap"],
            share_of_session=share,
            share_p95=source.row(f"SELECT quantile_cont(share, 0.95) AS p FROM {shares}")["p"],
            share_smallest=share.smallest,
            rows={kind: _rows(source, sql) for kind, sql in _KINDS.items()},
            tail=fit_tail(values, seed=options.seed),
            tails=_tails(source, options.seed),
            **_curves(values),
        )

    def headline(self, found: Tools) -> Sequence[tuple[str, str]]:
        """Latency, long calls, share of sessions, failures."""
        failed, known = (sum(getattr(row.failed, name) for row in found.rows["action"]) for name in ("part", "whole"))
        return (
            ("tool latency, median", seconds(found.latency.p50)),
            ("tool latency, P99", seconds(found.latency.p99)),
            ("calls of a minute or more", str(found.long_calls)),
            ("their share of tool time", str(found.long_time)),
            ("tool time of a session's wall time, median", percent(found.share_of_session.p50)),
            ("failed calls", percent(failed / known if known else None)),
            ("exponent of the latency's tail", number(found.tail.alpha if found.tail else None)),
        )

    def blocks(self, found: Tools, options: Options) -> Sequence[Block]:
        """Latency by kind, long calls, tails, resources."""
        share = found.share_of_session
        said = (
            f"{found.latency.n:,} calls have a known positive latency, {found.latency.unknown:,} have none. Calls of a "
            f"minute or more are {found.long_calls} of calls and {found.long_time} of tool time."
        )
        if share.n:
            said += (
                f" Tool time of wall time in {share.n:,} sessions with recorded times: least "
                f"{percent(found.share_smallest)}, median {percent(share.p50)}, P95 {percent(found.share_p95)}."
            )
        blocks: list[Block] = [Text(said)]
        for kind, rows in found.rows.items():
            blocks += _latency_table(kind, rows, options.limit)
        blocks += _resources_table(found.rows["tool"], options.limit)
        return [*blocks, *_tail_blocks(found), *_curve_blocks(found)]


def _rows(source: Source, kind: str) -> tuple[ToolRow, ...]:
    means = ("cpu_user_s", "cpu_system_s", "memory_peak_bytes", "io_read_bytes", "io_write_bytes")
    averages = ", ".join(f"avg({name}) AS {name}" for name in means)
    any_known = " OR ".join(f"{name} IS NOT NULL" for name in means)
    found = source.rows(
        f"SELECT {kind} AS name, count(*) AS calls, count(x) AS timed, sum(x) AS total_s, avg(x) AS mean_s, "
        f"quantile_cont(x, 0.5) AS p50_s, quantile_cont(x, 0.95) AS p95_s, max(x) AS largest_s, count(failed) AS "
        f"known, count(*) FILTER (failed) AS failures, {averages}, count(*) FILTER ({any_known}) AS measured "
        f"FROM (SELECT *, {LATENCY} AS x FROM s) WHERE {kind} IS NOT NULL GROUP BY 1 "
        "ORDER BY total_s DESC NULLS LAST, calls DESC, 1 LIMIT 100"
    )
    return tuple(
        ToolRow(failed=Share(part=row.pop("failures"), whole=row["known"], n=row.pop("known")), **row) for row in found
    )


def _tails(source: Source, seed: int) -> dict[str, TailFit]:
    kinds = source.rows(
        f"SELECT action FROM s WHERE {LATENCY} IS NOT NULL GROUP BY 1 HAVING count(*) >= 1000 ORDER BY 1"
    )
    found = dict[str, TailFit]()
    for row in kinds:
        name = str(row["action"])
        literal = name.replace("'", "''")
        fit = fit_tail(source.values(f"SELECT {LATENCY} AS x FROM s WHERE action = '{literal}'"), seed=seed)
        if fit is not None:
            found[name] = fit
    return found


def _curves(ordered: Floats) -> dict[str, Curve]:
    if not len(ordered):
        return {"survival": (), "count_share": (), "time_share": ()}
    places = np.unique(np.linspace(0, len(ordered) - 1, 200).astype(int))
    at, ranks = ordered[places], (places + 1) / len(ordered)
    times = (np.cumsum(ordered) / ordered.sum())[places]
    return {
        "survival": tuple(zip(at.tolist(), (1 - places / len(ordered)).tolist(), strict=True)),
        "count_share": tuple(zip(at.tolist(), ranks.tolist(), strict=True)),
        "time_share": tuple(zip(at.tolist(), times.tolist(), strict=True)),
    }


def _latency_table(kind: str, rows: Sequence[ToolRow], limit: int) -> list[Block]:
    shown = tuple(
        (row.name, f"{row.calls:,}", f"{row.timed:,}", seconds(row.total_s), seconds(row.mean_s), seconds(row.p50_s),
         seconds(row.p95_s), seconds(row.largest_s), str(row.failed))
        for row in rows[:limit]
    )  # fmt: skip
    more = f" ({limit} of {len(rows)} shown)" if len(rows) > limit else ""
    columns = (kind, "calls", "timed", "time", "mean", "median", "P95", "longest", "failed")
    return [Table(f"Calls by {kind}{more}", columns, shown)] if shown else []


def _resources_table(rows: Sequence[ToolRow], limit: int) -> list[Block]:
    measured = [row for row in rows if row.measured][:limit]
    shown = tuple(
        (row.name, f"{row.measured:,}", seconds(row.cpu_user_s), seconds(row.cpu_system_s),
         *(number(None if value is None else value / 1e6)
           for value in (row.memory_peak_bytes, row.io_read_bytes, row.io_write_bytes)))
        for row in measured
    )  # fmt: skip
    columns = ("tool", "calls measured", "user CPU", "system CPU", "peak memory, MB", "read, MB", "written, MB")
    return [Table("Resources of a call by tool, means", columns, shown)] if shown else []


def _tail_blocks(found: Tools) -> list[Block]:
    fits = {"all": found.tail, **found.tails} if found.tail else {}
    rows = tuple(
        (name, f"{fit.n:,}", f"{fit.tail:,}", seconds(fit.x_min),
         f"{fit.alpha:.2f} \N{PLUS-MINUS SIGN} {fit.alpha_error:.2f}",
         *(f"{one.better or 'neither'} (R {one.ratio:+.1f}, p {one.p:.2g})" for one in fit.comparisons),
         f"{fit.body_mu:.2f}, {fit.body_sigma:.2f}", f"{fit.body_distance:.3f}")
        for name, fit in fits.items()
    )  # fmt: skip
    columns = ("action", "calls", "in the tail", "x_min", "Pareto exponent", "Pareto or log-normal?",
               "Pareto or exponential?", "log-normal of all: mu, sigma", "its KS distance")  # fmt: skip
    return [Table("Tails of latency: the better law by Vuong's test", columns, rows)] if rows else []


def _curve_blocks(found: Tools) -> list[Block]:
    if not found.survival:
        return []
    lines: dict[str, Curve] = {"calls": found.survival}
    if found.tail is not None:
        fit, end = found.tail, found.survival[-1][0]
        at = np.geomspace(fit.x_min, max(end, fit.x_min * 1.01), 40)
        share = fit.tail / fit.n
        pareto = share * (at / fit.x_min) ** (1 - fit.alpha)
        lines["Pareto"] = tuple(zip(at.tolist(), pareto.tolist(), strict=True))
    caption = f"Share of {found.latency.n:,} calls that take longer, at 200 quantiles"
    return [
        plots.curves("latency-tail", lines, x="latency, s", y="share that takes longer", log="xy", points=("calls",),
                     caption=caption + ("; line: the Pareto law fitted from x_min upward." if found.tail else ".")),
        plots.curves("latency", {"share of calls": found.count_share, "share of tool time": found.time_share}, log="x",
                     x="latency, s", y="share", caption="Calls that take at most so long, and the time they take."),
    ]  # fmt: skip


SECTION = ToolsSection()
