"""Which measures of traces go with the difference between two harnesses that drive the same model on the same tasks.

Pairs of values of a column (`agent` unless told otherwise) that share a model and five tasks or more are compared, the
second named less the first. Per task, episodes are averaged and the two sides subtracted; the outcome's difference has
Student's interval over tasks. A measure's difference is divided by the standard deviation of its episodes, with an
interval from resampled tasks, and p (Student's over tasks) adjusted by Holm.
"""

from collections.abc import Sequence

from ...page import Block, Listing, Table, Text
from . import plots
from .figures import Figures, Interval, number, p_value, percent
from .harness_pairs import Pair, pair_of
from .patterns import HABITS
from .section import Options
from .source import Source

__all__ = ["SECTION", "Harnesses", "HarnessesSection"]

_TASKS, _PAIRS = 5, 6


class Harnesses(Figures):
    """Pairs of harnesses."""

    column: str
    pairs: tuple[Pair, ...]
    comparable: int
    """Pairs that could be compared; those with most tasks are."""


class HarnessesSection:
    """Comparison of harnesses."""

    name = "harnesses"
    family = "harnesses"
    title = "Comparison of harnesses"
    silent = (
        f"no two agents (or values of the column that --compare names) were graded on {_TASKS} tasks or more with "
        "the same model"
    )

    def measure(self, source: Source, options: Options) -> Harnesses | None:
        """Everything of this module's description; None where no two can be compared."""
        column = options.compare
        source.groups(column)
        name = f'CAST("{column}" AS VARCHAR)'
        found = source.rows(
            f"WITH done AS (SELECT DISTINCT {name} AS who, model, cluster FROM o WHERE {name} IS NOT NULL) "
            "SELECT one.model AS model, one.who AS first, two.who AS second, count(*) AS tasks FROM done one "
            "JOIN done two ON one.cluster = two.cluster AND one.model IS NOT DISTINCT FROM two.model "
            "AND one.who < two.who "
            f"GROUP BY ALL HAVING count(*) >= {_TASKS} ORDER BY tasks DESC, 1, 2, 3"
        )
        if not found:
            return None
        source.connection.execute(f"CREATE OR REPLACE TEMP TABLE habits AS {HABITS}")
        pairs = [pair_of(source, name, row, options) for row in found[:_PAIRS]]
        return Harnesses(column=column, pairs=tuple(pairs), comparable=len(found))

    def headline(self, found: Harnesses) -> Sequence[tuple[str, str]]:
        """The differences in outcome."""
        return tuple((f"{one.second} less {one.first}", _points(one.difference)) for one in found.pairs)

    def blocks(self, found: Harnesses, options: Options) -> Sequence[Block]:
        """One table and drawing a pair."""
        shown = (
            f"{len(found.pairs)} of {found.comparable} pairs of {found.column} with the same model and {_TASKS} "
            "tasks or more."
        )
        cautions = Listing(
            (
                "Associations, not causes: a harness that resolves more also stops differently, and measures follow.",
                "Correlated measures share what they account for; single parts are less sure than their sum.",
                "The outcome is fitted on a straight line with an effect per task; parts are points of resolved tasks.",
                "Harnesses that were given different budgets differ by those too: compare limits reached, and cost.",
            )
        )
        return [
            Text(shown),
            cautions,
            *(block for place, one in enumerate(found.pairs) for block in _blocks(one, place)),
        ]


def _points(one: Interval) -> str:
    if one.value is None:
        return "-"
    ends = "" if one.low is None or one.high is None else f" [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"
    return f"{100 * one.value:+.1f}{ends} points"


def _hundred(one: Interval) -> tuple[float, float | None, float | None]:
    value, low, high = (None if end is None else 100 * end for end in (one.value, one.low, one.high))
    return value or 0.0, low, high


def _blocks(one: Pair, place: int) -> list[Block]:
    said = (
        f"{one.second} less {one.first}, model {one.model or 'not known'}: {one.tasks:,} tasks done by both, "
        f"{one.episodes[1]:,} and {one.episodes[0]:,} episodes; resolved {percent(one.resolved[1])} and "
        f"{percent(one.resolved[0])}, {_points(one.difference)}. A limit ended {percent(one.at_limit[1])} and "
        f"{percent(one.at_limit[0])}; median cost {number(one.cost[1])} and {number(one.cost[0])} USD."
    )
    if one.left_out:
        said += f" Not known of enough episodes, or without variance: {', '.join(one.left_out)}."
    rows = [
        (
            each.name,
            number(each.first),
            number(each.second),
            str(each.standardised),
            p_value(each.p_holm),
            _points(each.explains),
        )
        for each in one.measures
    ]
    rows += [
        ("rest", "-", "-", "-", "-", _points(one.rest)),
        ("whole", "-", "-", "-", "-", _points(one.adjusted_total)),
    ]
    columns = ("measure", one.first, one.second, "standardised difference", "p (Holm)", "goes with")
    shown = {each.name: _hundred(each.explains) for each in one.measures}
    drawing = plots.forest(
        f"harnesses-{place}",
        shown,
        x="points of resolved tasks",
        caption=f"What goes with {one.second} less {one.first}.",
    )
    return [Text(said), Table(f"{one.second} less {one.first}", columns, tuple(rows)), *([drawing] if shown else [])]


SECTION = HarnessesSection()
