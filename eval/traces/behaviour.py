"""What resolved and unresolved episodes took: iterations, tokens and acts by outcome (arXiv 2506.18824, RQ1).

An iteration is one answer of the model (the paper: one thought, action and result); for records that hold no requests
it is a step. Outcomes are those of graded episodes that count: not excluded, and the attempt that counts. Per agent,
each quantity is compared between resolved and unresolved episodes by Cliff's delta (-1: every resolved episode has
less) with the Mann-Whitney test, its p adjusted by Holm over the agent's quantities. Episodes of one task are not
independent, so that with few tasks the p are too small; `sequences` and `harnesses` stratify by task.
"""

from collections.abc import Sequence

from ...page import Block, Table, Text
from .figures import Figures, Share, number, p_value, percent
from .section import Options
from .source import Source
from .statistics import holm, mann_whitney

__all__ = ["QUANTITIES", "SECTION", "Behaviour", "BehaviourSection", "Moments", "Quantity"]

QUANTITIES = {
    "iterations": "coalesce(nullif(requests, 0), steps)",
    "steps": "steps",
    "input tokens": "input_tokens",
    "output tokens": "output_tokens",
    "cost, USD": "cost_usd",
    "minutes": "CASE WHEN timing = 'recorded' THEN wall_ms / 60000 END",
    "edits": "edits",
    "test runs": "tests_run",
    "reverts": "reverts",
    "failed calls": "tool_failures",
    "malformed actions": "malformed_actions",
}
"""Of an episode, in SQL."""


class Moments(Figures):
    """A quantity over the episodes with one outcome."""

    n: int
    mean: float | None
    sd: float | None
    median: float | None
    smallest: float | None
    largest: float | None
    total: float | None


class Quantity(Figures):
    """A quantity of one agent, by outcome."""

    agent: str
    quantity: str
    every: Moments
    resolved: Moments
    unresolved: Moments
    delta: float | None
    """Cliff's: P(resolved > unresolved) - P(resolved < unresolved)."""
    p: float | None
    """Mann-Whitney, two-sided."""
    p_holm: float | None
    """Adjusted over the agent's quantities."""


class Behaviour(Figures):
    """Outcomes and what they took."""

    outcomes: dict[str, Share]
    """Resolved among the graded episodes that count, by agent."""
    ungraded: int
    excluded: int
    superseded: int
    """Attempts that do not count."""
    stop_reasons: dict[str, int]
    quantities: tuple[Quantity, ...]


class BehaviourSection:
    """Outcomes and what they took."""

    name = "behaviour"
    family = "behaviour"
    title = "What resolved and unresolved episodes took"
    silent = "no record tells the course of an episode"

    def measure(self, source: Source, options: Options) -> Behaviour:
        """Everything of this module's description."""
        counts = source.row(
            "SELECT count(*) FILTER (resolved IS NULL) AS ungraded, count(*) FILTER (excluded) AS excluded, "
            "count(*) FILTER (attempt_final = FALSE) AS superseded FROM e"
        )
        outcomes = source.rows(
            "SELECT coalesce(agent, 'not known') AS agent, count(*) AS n, count(*) FILTER (resolved) AS good FROM o "
            "GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20"
        )
        stops = source.rows(
            "SELECT coalesce(stop_reason, 'not known') AS why, count(*) AS n FROM e GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        agents = [row["agent"] for row in outcomes]
        return Behaviour(
            **counts,
            outcomes={row["agent"]: Share(part=row["good"], whole=row["n"], n=row["n"]) for row in outcomes},
            stop_reasons={row["why"]: row["n"] for row in stops},
            quantities=tuple(one for agent in agents for one in _quantities(source, agent)),
        )

    def headline(self, found: Behaviour) -> Sequence[tuple[str, str]]:
        """Outcomes."""
        good, whole = (sum(getattr(one, name) for one in found.outcomes.values()) for name in ("part", "whole"))
        return (
            ("graded episodes that count", f"{int(whole):,}"),
            ("resolved", percent(good / whole if whole else None)),
        )

    def blocks(self, found: Behaviour, options: Options) -> Sequence[Block]:
        """Outcomes by agent, quantities by outcome."""
        said = (
            f"{found.ungraded:,} episodes have no verdict, {found.excluded:,} are excluded, {found.superseded:,} "
            "attempts do not count; none of them enters what follows."
        )
        stops = ", ".join(f"{why}: {count:,}" for why, count in found.stop_reasons.items())
        outcomes = tuple(
            (agent, f"{share.n:,}", f"{int(share.part):,}", str(share)) for agent, share in found.outcomes.items()
        )
        if not outcomes:
            return [Text(f"No graded episode: nothing can be said by outcome. Episodes ended by {stops}.")]
        rows = tuple(
            (
                one.agent,
                one.quantity,
                *_cells(one.resolved),
                *_cells(one.unresolved),
                number(one.delta),
                p_value(one.p_holm),
            )
            for one in found.quantities
        )
        columns = ("agent", "", "resolved: n", "mean", "median", "unresolved: n", "mean", "median", "Cliff's delta",
                   "p (Holm)")  # fmt: skip
        return [
            Text(f"{said} Episodes ended by {stops}."),
            Table("Outcomes", ("agent", "graded", "resolved", "share"), outcomes),
            Table("Taken by outcome", columns, rows),
        ]


def _quantities(source: Source, agent: str) -> list[Quantity]:
    found = list[Quantity]()
    of_agent = "o WHERE coalesce(agent, 'not known') = ?"
    for name, sql in QUANTITIES.items():
        groups = {row.pop("which"): Moments(**row) for row in source.rows(
            f"SELECT CASE WHEN grouping(resolved) = 1 THEN 'every' WHEN resolved THEN 'resolved' ELSE 'unresolved' END "
            f"AS which, count(x) AS n, avg(x) AS mean, stddev_samp(x) AS sd, median(x) AS median, min(x) AS smallest, "
            f"max(x) AS largest, sum(x) AS total FROM (SELECT resolved, CAST({sql} AS DOUBLE) AS x FROM {of_agent}) "
            "GROUP BY GROUPING SETS ((), (resolved))", (agent,))}  # fmt: skip
        if not groups["every"].n:
            continue
        sides = [source.values(f"SELECT CAST({sql} AS DOUBLE) AS x FROM {of_agent} AND resolved = ?", (agent, good))
                 for good in (True, False)]  # fmt: skip
        delta, p = mann_whitney(*sides)
        empty = Moments(n=0, mean=None, sd=None, median=None, smallest=None, largest=None, total=None)
        found.append(
            Quantity(agent=agent, quantity=name, every=groups["every"], resolved=groups.get("resolved", empty),
                     unresolved=groups.get("unresolved", empty), delta=delta, p=p, p_holm=None)
        )  # fmt: skip
    return _adjusted(found)


def _adjusted(found: list[Quantity]) -> list[Quantity]:
    tested = [one for one in found if one.p is not None]
    adjusted = iter(holm([one.p for one in tested if one.p is not None]) if tested else ())
    return [one if one.p is None else one.model_copy(update={"p_holm": next(adjusted)}) for one in found]


def _cells(one: Moments) -> tuple[str, str, str]:
    return f"{one.n:,}", number(one.mean), number(one.median)


SECTION = BehaviourSection()
