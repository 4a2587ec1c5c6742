"""Drift: what changes from one version of an agent to the next, and with time.

Versions are compared on the tasks they share, and a line through time is fitted within tasks; both take tasks for
clusters, so that a change of the mix of tasks is no drift.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ...page import Block, Table, Text
from ..gate.clusters import quantile
from .figures import Figures, Interval
from .source import Source
from .statistics import Floats, clustered

__all__ = ["QUANTITIES", "WHO", "Drift", "Trend", "drift_blocks", "drifts_of", "mean_of", "trend", "trends_of"]

_FAMILY = "concat_ws(' / ', coalesce(agent, 'not known'), model)"
WHO = "concat_ws(' / ', coalesce(agent, 'not known'), model, agent_version)"
QUANTITIES = {
    "resolved": "resolved::INT",
    "iterations": "coalesce(nullif(requests, 0), steps)",
    "cost, USD": "cost_usd",
    "minutes": "CASE WHEN timing = 'recorded' THEN wall_ms / 60000 END",
    "output tokens": "output_tokens",
}
_DAYS = 7
"""Span below which no line is fitted through time."""


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


def mean_of(values: Sequence[float]) -> Interval:
    """The mean over tasks, with Student's interval."""
    return clustered(np.ones(len(values)), np.asarray(values, dtype=np.float64))


def drifts_of(source: Source, most: int) -> list[Drift]:
    """Changes between the versions of each agent and model, at most so many."""
    versions = source.rows(
        f"SELECT {_FAMILY} AS agent, agent_version AS version, epoch(min(t_start)) AS first FROM o "
        "WHERE agent_version IS NOT NULL GROUP BY ALL ORDER BY agent, first NULLS LAST, version"
    )
    found = list[Drift]()
    for one, two in pairwise(versions):
        if one["agent"] == two["agent"] and len(found) < most:
            changes = {name: _change(source, sql, one, two) for name, sql in QUANTITIES.items()}
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
    return mean_of([row["after"] - row["before"] for row in rows])


def trends_of(source: Source, who: str) -> list[Trend]:
    """The lines through time of one configuration; none for less than a week."""
    slopes, days = dict[str, Interval](), 0.0
    for name, sql in QUANTITIES.items():
        rows = source.rows(
            f"SELECT epoch(t_start) / 86400 AS day, CAST({sql} AS DOUBLE) AS x, dense_rank() OVER (ORDER BY "
            f"cluster) AS task FROM o WHERE {WHO} = ? AND timing = 'recorded' AND t_start IS NOT NULL AND ({sql}) "
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


def drift_blocks(drifts: Sequence[Drift], trends: Sequence[Trend]) -> list[Block]:
    """Their tables, or why there are none."""
    versions = tuple(
        (one.agent, f"{one.before} to {one.after}", name, change.n, str(change))
        for one in drifts for name, change in one.change.items()
    )  # fmt: skip
    lines = tuple(
        (one.configuration, f"{one.days:.0f}", name, f"{slope.n:,}", str(slope))
        for one in trends for name, slope in one.slope.items()
    )  # fmt: skip
    blocks = list[Block]()
    if versions:
        blocks.append(
            Table("Change between versions on the same tasks", ("agent", "versions", "", "tasks", "change"), versions)
        )
    if lines:
        columns = ("configuration", "days", "", "episodes", "change per 30 days")
        blocks.append(Table("Change over time within tasks", columns, lines))
    return blocks or [Text("Drift cannot be said: no agent has two versions on the same tasks, or a week of episodes.")]
