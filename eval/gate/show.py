"""A gate's report for people: tables for a terminal, Markdown and one HTML page."""

from collections.abc import Iterable, Sequence

from ...page import Block, Code, Heading, Page, Table, Text
from .report import Changed, Comparison, GateReport, PassRate, Power, Side

__all__ = ["gate_page", "sentence", "tables"]

Rows = tuple[tuple[object, ...], ...]


def gate_page(report: GateReport, *, limit: int = 20) -> Page:
    """The report, with at most `limit` tasks gained and lost each."""
    blocks: list[Block] = [Text(sentence(report), lead=True)]
    blocks += [Text(f"{one.side.name}: {said}") for one in report.candidates for said in one.reasons]
    for title, columns, rows in tables(report, limit=limit):
        blocks.append(Table(title, columns, rows))
    blocks += [Text(power_sentence(one)) for one in report.candidates]
    if report.cautions:
        blocks += [Heading("What to know"), *map(Text, report.cautions)]
    blocks += [Heading("Reproduce"), Code(report.command)]
    return Page("Gate", tuple(blocks))


def sentence(report: GateReport) -> str:
    """The decision in a sentence."""
    best = report.best
    low, high = best.interval
    several = f" ({best.side.name}, the best of {len(report.candidates)})" if len(report.candidates) > 1 else ""
    return (
        f"{report.decision}{several}: {points(best.gain)} points, {100 * best.level:.4g}% interval {points(low)} to "
        f"{points(high)}, p = {best.p_adjusted:.2g}, over {best.tasks} tasks and {best.pairs} pairs."
    )


def tables(report: GateReport, *, limit: int = 20) -> Iterable[tuple[str, tuple[str, ...], Rows]]:
    """Titles, columns and rows: decisions, sides, passes, repositories, tasks gained and lost."""
    yield "Candidates", _CANDIDATES, tuple(map(_candidate, report.candidates))
    sides = (report.base, *(one.side for one in report.candidates))
    yield "Sides", _SIDES, tuple(map(_side, sides))
    if max(len(side.passes) for side in sides) > 1:
        yield "pass@k and pass^k", ("side", "k", "tasks", "pass@k", "pass^k"), _passes(sides)
    for one in report.candidates:
        if len(one.repositories) > 1:
            rows = tuple(
                (row.repository, row.tasks, share(row.base), share(row.candidate), points(row.gain))
                for row in one.repositories[:limit]
            )
            columns = ("repository", "tasks", "base", "candidate", "gain")
            yield f"Repositories: {one.side.name}" + more(one.repositories, limit), columns, rows
        for word, found in (("gained", one.gained), ("lost", one.lost)):
            title = f"Tasks {word}: {one.side.name}" + more(found, limit)
            yield title, ("task", "base", "candidate"), tuple(map(_changed, found[:limit]))


def power_sentence(one: Comparison) -> str:
    """What these tasks and seeds could show, and what more would."""
    found, name = one.power, one.side.name
    runs = f" in each of {len(one.by_run)} runs" if len(one.by_run) > 1 else ""
    return (
        f"{name}: with these {one.tasks} tasks and {_seeds(round(one.pairs / one.tasks))}{runs} a gain of "
        f"{points(found.detectable)} points is found with a probability of {found.probability:.0%}; a gain of "
        f"{points(found.target)} with {found.at_target:.0%}. For that one you need {_needed(found)}."
    )


def _needed(found: Power) -> str:
    return ", or ".join(f"{tasks} tasks with {_seeds(k)}" for k, tasks in found.tasks_needed.items())


def _seeds(count: int) -> str:
    return f"{count} seed{'s' * (count > 1)}"


def points(value: float) -> str:
    """A gain in percentage points."""
    return f"{100 * value:+.1f}"


def share(value: float) -> str:
    """A share as a percentage."""
    return f"{value:.1%}"


def more(found: Sequence[object], limit: int) -> str:
    """How many of how many are shown."""
    return f" ({len(found)})" if len(found) <= limit else f" ({limit} of {len(found)})"


_CANDIDATES = ("candidate", "decision", "gain", "interval", "p", "pairs gained", "pairs lost", "tasks", "clusters")


def _candidate(one: Comparison) -> tuple[object, ...]:
    interval = f"{points(one.interval[0])} to {points(one.interval[1])}"
    clusters = f"{one.clusters} {one.cluster[:-1] + 'ies' if one.cluster == 'repository' else 'tasks'}"
    return (
        one.side.name,
        one.decision,
        points(one.gain),
        interval,
        f"{one.p_adjusted:.2g}",
        one.pairs_gained,
        one.pairs_lost,
        one.tasks,
        clusters,
    )


_SIDES = ("side", "model", "pass@1", "interval", "resolved", "counted", "excluded", "runs", "seeds", "USD")


def _side(side: Side) -> tuple[object, ...]:
    rate = side.pass_1
    left_out = ", ".join(f"{count} {name}" for name, count in side.excluded.items())
    return (
        side.name,
        ", ".join(dict.fromkeys(one.model or one.agent or one.kind for one in side.evidence)),
        share(rate.value),
        f"{share(rate.low)} to {share(rate.high)}",
        side.resolved,
        f"{side.counted} of {side.episodes}",
        left_out or "none",
        len(side.evidence),
        side.seeds,
        None if side.cost_usd is None else f"{side.cost_usd:.2f}",
    )


def _passes(sides: Iterable[Side]) -> Rows:
    def row(side: Side, rate: PassRate) -> tuple[object, ...]:
        return side.name, rate.k, rate.tasks, share(rate.at), share(rate.all)

    return tuple(row(side, rate) for side in sides for rate in side.passes)


def _changed(one: Changed) -> tuple[object, ...]:
    return one.task, share(one.base), share(one.candidate)
