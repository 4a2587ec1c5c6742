"""Repeated runs: pass@k and pass^k, how much of the variance is the task's, and drift between versions and dates.

A configuration is an agent with its model and version. pass@k and pass^k are unbiased (eval/gate/passes.py) and means
over tasks; their intervals are Student's over tasks, exact ones where all tasks agree. Variance is split by the one-way
analysis of variance over tasks (eval/gate/power.py): `between` is that of the tasks' true means, `within` that of
repetitions of one task, their intraclass correlation between / (between + within). The design effect is the variance
of the clustered mean over that of a mean of as many independent episodes.
"""

from collections.abc import Sequence

import numpy as np

from ...page import Block, Table
from ..gate.clusters import quantile
from ..gate.passes import depths, pass_all, pass_at
from ..gate.power import components
from . import plots
from .drift import QUANTITIES, WHO, Drift, Trend, drift_blocks, drifts_of, mean_of, trends_of
from .figures import Figures, Interval, number, percent
from .section import Options
from .source import Source
from .statistics import Floats, clustered, exact_at_the_ends

__all__ = ["SECTION", "Passes", "Repeats", "RepeatsSection", "Variance"]

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
    silent = "no episode that counts was graded; trajhub grade does that for predictions"

    def measure(self, source: Source, options: Options) -> Repeats | None:
        """Everything of this module's description; None without a graded episode that counts."""
        found = source.rows(f"SELECT {WHO} AS who, count(*) AS n FROM o GROUP BY 1 ORDER BY 2 DESC, 1")
        if not found:
            return None
        shown = [row["who"] for row in found[:_MOST]]
        return Repeats(
            configurations=len(found),
            shown=len(shown),
            passes=tuple(one for who in shown for one in _passes(source, who)),
            variances=tuple(one for who in shown for one in _variances(source, who)),
            drifts=tuple(drifts_of(source, _MOST)),
            trends=tuple(one for who in shown for one in trends_of(source, who)),
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
        return [*blocks, *drift_blocks(found.drifts, found.trends)]


def _passes(source: Source, who: str) -> list[Passes]:
    counts = [
        (row["good"], row["n"])
        for row in source.rows(
            f"SELECT count(*) FILTER (resolved) AS good, count(*) AS n FROM o WHERE {WHO} = ? "
            "GROUP BY cluster ORDER BY cluster",
            (who,),
        )
    ]
    found = list[Passes]()
    for k in depths(max(n for _, n in counts)):
        enough = [(good, n) for good, n in counts if n >= k]
        at, every = (exact_at_the_ends(mean_of([one(good, n, k) for good, n in enough])) for one in (pass_at, pass_all))
        found.append(Passes(configuration=who, k=k, tasks=len(enough), at=at, all=every))
    return found


def _variances(source: Source, who: str) -> list[Variance]:
    found = list[Variance]()
    for name, sql in QUANTITIES.items():
        rows = source.rows(
            f"SELECT list(x ORDER BY key) AS x FROM (SELECT key, cluster, CAST({sql} AS DOUBLE) AS x FROM o "
            f"WHERE {WHO} = ?) WHERE x IS NOT NULL GROUP BY cluster ORDER BY cluster",
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
        mean=exact_at_the_ends(mean) if name == "resolved" else mean,
        tasks=len(tasks),
        episodes=len(every),
        between=between,
        within=within,
        correlation=None if not whole or between is None else between / whole,
        design_effect=None if error is None or plain == 0 else (error / plain) ** 2,
    )


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


SECTION = RepeatsSection()
