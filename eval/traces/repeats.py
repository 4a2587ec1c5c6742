"""Repeated runs: pass@k and pass^k, how much of the variance is the task's, and drift between versions and dates.

A configuration is an agent with its model and version. pass@k and pass^k are unbiased (eval/gate/passes.py) and means
over tasks; their intervals are Student's over tasks. Variance is split by the one-way analysis of variance over tasks
(eval/gate/power.py): `between` is that of the tasks' true means, `within` that of repetitions of one task, their
intraclass correlation between / (between + within). The design effect is the variance of the clustered mean over that
of a mean of as many independent episodes. Drift compares versions on the tasks they share, and fits a line through
time within tasks; both take tasks for clusters, so that a change of the mix of tasks is no drift.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ...page import Block, Table, Text
from ..gate.clusters import quantile
from ..gate.passes import depths, pass_all, pass_at
from ..gate.power import components
from . import plots
from .figures import Figures, Interval, number, percent
from .section import Options
from .source import Source
from .statistics import Floats, clustered

__all__ = ["SECTION", "Drift", "Passes", "Repeats", "RepeatsSection", "Trend", "Variance", "trend"]

_WHO = "concat_ws(' / ', coalesce(agent, 'not known'), model, agent_version)"
_FAMILY = "concat_ws(' / ', coalesce(agent, 'not known'), model)"
_QUANTITIES = {
    "resolved": "resolved::INT",
    "iterations": "coalesce(nullif(requests, 0), steps)",
    "cost, USD": "cost_usd",
    "minutes": "CASE WHEN timing = 'recorded' THEN wall_ms / 60000 END",
    "output tokens": "output_tokens",
}
_DAYS = 7
"""Span below which no line is fitted through time."""
_MOST = 12
"""Configurations shown."""


class Passes(Figures):
    """One configuration at one k."""

    configuration: str
    k: int
    tasks: int
    """With at least k episodes."""
    at: Interval
    all: Interval


class Variance(Figures):
    """A quantity of one configuration, between and within tasks."""

    configuration: str
    quantity: str
    mean: Interval
    tasks: int
    episodes: int
    between: float | None
    """Variance; null where no task was repeated."""
    within: float | None
    correlation: float | None
    design_effect: float | None


class Drift(Figures):
    """One agent and model, of two versions in the order of their first episodes, on the tasks both did."""

    agent: str
    before: str
    after: str
    tasks: int
    change: dict[str, Interval]
    """After less before, mean over tasks, by quantity."""


class Trend(Figures):
    """One configuration: change per 30 days within tasks."""

    configuration: str
    days: float
    """From the first to the last episode."""
    slope: dict[str, Interval]


class Repeats(Figures):
    """Repetition, variance, drift."""

    configurations: int
    shown: int
    passes: tuple[Passes, ...]
    variances: tuple[Variance, ...]
    drifts: tuple[Drift, ...]
    trends: tuple[Trend, ...]


class RepeatsSection:
    """Repetition, variance, drift."""

    name = "repeats"
    family = "repeats"
    title = "Repeated runs"

    def measure(self, source: Source, options: Options) -> Repeats | None:
        """Everything of this module's description; None without a graded episode that counts."""
        found = source.rows(f"SELECT {_WHO} AS who, count(*) AS n FROM o GROUP BY 1 ORDER BY 2 DESC, 1")
        if not found:
            return None
        shown = [row["who"] for row in found[:_MOST]]
        return Repeats(
            configurations=len(found),
            shown=len(shown),
            passes=tuple(one for who in shown for one in _passes(source, who)),
            variances=tuple(one for who in shown for one in _variances(source, who)),
            drifts=tuple(_drifts(source)),
            trends=tuple(one for who in shown for one in _trends(source, who)),
        )

    def headline(self, found: Repeats) -> Sequence[tuple[str, str]]:
        """pass@1 and its variance of the largest configuration."""
        first = found.passes[0] if found.passes else None
        return (
            ("configurations", f"{found.configurations:,}"),
            ("pass@1 of the largest", "-" if first is None else percent(first.at.value)),
        )

    def blocks(self, found: Repeats, options: Options) -> Sequence[Block]:
        """pass@k, variance, drift."""
        rows = tuple((one.configuration, one.k, one.tasks, _rate(one.at), _rate(one.all)) for one in found.passes)
        blocks: list[Block] = [
            Table("pass@k and pass^k", ("agent / model / version", "k", "tasks", "pass@k", "pass^k"), rows)
        ]
        if max((one.k for one in found.passes), default=1) > 1:
            blocks.append(_drawing(found.passes))
        spread = tuple(
            (one.configuration, one.quantity, f"{one.episodes:,}", f"{one.tasks:,}", str(one.mean), number(one.between),
             number(one.within), number(one.correlation), number(one.design_effect))
            for one in found.variances
        )  # fmt: skip
        columns = ("configuration", "", "episodes", "tasks", "mean [95% interval]", "variance between tasks",
                   "within tasks", "intraclass correlation", "design effect")  # fmt: skip
        blocks.append(Table("Variance between and within tasks", columns, spread))
        return [*blocks, *_drift_blocks(found)]


def trend(x: Floats, y: Floats, task: Floats) -> Interval:
    """Slope of y over x within tasks (task fixed effects), with a cluster-robust 95% interval (CR1, t with G - 1)."""
    tasks, place = np.unique(task, return_inverse=True)
    sizes = np.bincount(place)
    x = x - (np.bincount(place, x) / sizes)[place]
    y = y - (np.bincount(place, y) / sizes)[place]
    spread = float((x**2).sum())
    used = int((np.bincount(place, x**2) > 0).sum())
    if spread < 1e-12 or used < 2:
        return Interval(value=None, n=len(x), clusters=len(tasks))
    slope = float((x * y).sum()) / spread
    scores = np.bincount(place, x * (y - slope * x))
    half = float(np.sqrt((scores**2).sum() * used / (used - 1))) / spread * quantile(0.975, used - 1)
    return Interval(value=slope, low=slope - half, high=slope + half, n=len(x), clusters=used)


def _passes(source: Source, who: str) -> list[Passes]:
    counts = [
        (row["good"], row["n"])
        for row in source.rows(
            f"SELECT count(*) FILTER (resolved) AS good, count(*) AS n FROM o WHERE {_WHO} = ? "
            "GROUP BY cluster ORDER BY cluster",
            (who,),
        )
    ]
    found = list[Passes]()
    for k in depths(max(n for _, n in counts)):
        enough = [(good, n) for good, n in counts if n >= k]
        at, every = (_mean([one(good, n, k) for good, n in enough]) for one in (pass_at, pass_all))
        found.append(Passes(configuration=who, k=k, tasks=len(enough), at=at, all=every))
    return found


def _mean(values: Sequence[float]) -> Interval:
    return clustered(np.ones(len(values)), np.asarray(values, dtype=np.float64))


def _variances(source: Source, who: str) -> list[Variance]:
    found = list[Variance]()
    for name, sql in _QUANTITIES.items():
        rows = source.rows(
            f"SELECT list(x ORDER BY key) AS x FROM (SELECT key, cluster, CAST({sql} AS DOUBLE) AS x FROM o "
            f"WHERE {_WHO} = ?) WHERE x IS NOT NULL GROUP BY cluster ORDER BY cluster",
            (who,),
        )
        tasks = [np.asarray(row["x"], dtype=np.float64) for row in rows]
        if tasks:
            found.append(_variance(who, name, tasks))
    return found


def _variance(who: str, name: str, tasks: list[Floats]) -> Variance:
    every = np.concatenate(tasks)
    mean = clustered(np.array([float(len(task)) for task in tasks]), np.array([task.sum() for task in tasks]))
    parts = components(tasks)
    between, within = parts or (None, None)
    whole = None if between is None or within is None else between + within
    error = None if mean.low is None or mean.high is None else (mean.high - mean.low) / 2
    plain = float(every.std(ddof=1)) / len(every) ** 0.5 * quantile(0.975, len(every) - 1) if len(every) > 1 else 0.0
    return Variance(
        configuration=who,
        quantity=name,
        mean=mean,
        tasks=len(tasks),
        episodes=len(every),
        between=between,
        within=within,
        correlation=None if not whole or between is None else between / whole,
        design_effect=None if error is None or plain == 0 else (error / plain) ** 2,
    )


def _drifts(source: Source) -> list[Drift]:
    versions = source.rows(
        f"SELECT {_FAMILY} AS agent, agent_version AS version, epoch(min(t_start)) AS first FROM o "
        "WHERE agent_version IS NOT NULL GROUP BY ALL ORDER BY agent, first NULLS LAST, version"
    )
    found = list[Drift]()
    for one, two in pairwise(versions):
        if one["agent"] == two["agent"] and len(found) < _MOST:
            changes = {name: _change(source, sql, one, two) for name, sql in _QUANTITIES.items()}
            known = {name: change for name, change in changes.items() if change.n}
            if known:
                tasks = max(change.n for change in known.values())
                found.append(
                    Drift(agent=one["agent"], before=one["version"], after=two["version"], tasks=tasks, change=known)
                )
    return found


def _change(source: Source, sql: str, one: dict[str, Any], two: dict[str, Any]) -> Interval:
    rows = source.rows(
        f"SELECT avg(x) FILTER (agent_version = ?) AS before, avg(x) FILTER (agent_version = ?) AS after FROM (SELECT "
        f"agent_version, cluster, CAST({sql} AS DOUBLE) AS x FROM o WHERE {_FAMILY} = ?) GROUP BY cluster "
        "HAVING before IS NOT NULL AND after IS NOT NULL ORDER BY cluster",
        (one["version"], two["version"], one["agent"]),
    )
    return _mean([row["after"] - row["before"] for row in rows])


def _trends(source: Source, who: str) -> list[Trend]:
    slopes, days = dict[str, Interval](), 0.0
    for name, sql in _QUANTITIES.items():
        rows = source.rows(
            f"SELECT epoch(t_start) / 86400 AS day, CAST({sql} AS DOUBLE) AS x, dense_rank() OVER (ORDER BY "
            f"cluster) AS task FROM o WHERE {_WHO} = ? AND timing = 'recorded' AND t_start IS NOT NULL AND ({sql}) "
            "IS NOT NULL ORDER BY key",
            (who,),
        )
        if not rows:
            continue
        day = np.array([row["day"] for row in rows])
        days = max(days, float(day.max() - day.min()))
        slope = trend(
            (day - day.min()) / 30, np.array([row["x"] for row in rows]), np.array([row["task"] for row in rows])
        )
        if slope.value is not None:
            slopes[name] = slope
    return [Trend(configuration=who, days=days, slope=slopes)] if slopes and days >= _DAYS else []


def _rate(one: Interval) -> str:
    if one.low is None or one.high is None:
        return percent(one.value)
    return f"{percent(one.value)} [{percent(max(0.0, one.low))}, {percent(min(1.0, one.high))}]"


def _drawing(passes: Sequence[Passes]) -> Block:
    lines = dict[str, plots.Curve]()
    for one in passes:
        for label, value in (("pass@k", one.at.value), ("pass^k", one.all.value)):
            name = f"{one.configuration}: {label}"
            lines[name] = (*lines.get(name, ()), (float(one.k), 100 * (value or 0.0)))
    kept = {name: line for name, line in list(lines.items())[:8] if len(line) > 1}
    caption = "Tasks that one of k episodes resolves (pass@k), and all of them (pass^k)."
    return plots.curves(
        "passes", kept or lines, x="k", y="tasks, %", caption=caption, ticks=sorted({one.k for one in passes})
    )


def _drift_blocks(found: Repeats) -> list[Block]:
    versions = tuple(
        (one.agent, f"{one.before} to {one.after}", name, change.n, str(change))
        for one in found.drifts for name, change in one.change.items()
    )  # fmt: skip
    trends = tuple(
        (one.configuration, f"{one.days:.0f}", name, f"{slope.n:,}", str(slope))
        for one in found.trends for name, slope in one.slope.items()
    )  # fmt: skip
    blocks = list[Block]()
    if versions:
        blocks.append(
            Table("Change between versions on the same tasks", ("agent", "versions", "", "tasks", "change"), versions)
        )
    if trends:
        columns = ("configuration", "days", "", "episodes", "change per 30 days")
        blocks.append(Table("Change over time within tasks", columns, trends))
    return blocks or [Text("Drift cannot be said: no agent has two versions on the same tasks, or a week of episodes.")]


SECTION = RepeatsSection()
