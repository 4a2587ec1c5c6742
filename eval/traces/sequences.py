"""What agents do when, and which sequences of four actions tell resolved from unresolved episodes (2506.18824, RQ2).

An episode's steps are cut into ten stretches of equal length; shares of actions in a stretch are means over episodes,
so that long ones do not dominate. A 4-gram is four consecutive steps' actions; an episode has it or has it not. Two
tests ask whether resolved episodes have it more often: Fisher's exact one over all episodes, and the
Cochran-Mantel-Haenszel one within tasks, which a task's difficulty cannot explain but which needs tasks with both
outcomes. 4-grams of at least `LEAST` episodes are tested; q is the false-discovery rate over all of them
(Benjamini & Hochberg).
"""

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np

from ...extras import need
from ...page import Block, Table, Text
from . import plots
from .figures import Figures, number, p_value, percent
from .section import Options
from .source import Source
from .statistics import Floats, benjamini_hochberg, stratified

__all__ = ["GRAMS", "LEAST", "SECTION", "Gram", "Sequences", "SequencesSection"]

LEAST = 5
"""Episodes that must have a 4-gram for it to be tested."""
_STRETCHES = 10
GRAMS = """
    SELECT key, concat_ws(' > ', action, second, third, fourth) AS gram, count(*) AS times
    FROM (
        SELECT key, action, lead(action, 1) OVER line AS second, lead(action, 2) OVER line AS third,
            lead(action, 3) OVER line AS fourth
        FROM s WHERE action IS NOT NULL WINDOW line AS (PARTITION BY key ORDER BY step)
    ) WHERE fourth IS NOT NULL
    GROUP BY ALL
"""
"""How often each episode has each 4-gram."""
_TOLD = "(SELECT * FROM o WHERE key IN (SELECT key FROM s WHERE action IS NOT NULL))"
"""Episodes that count and whose actions are known."""


class Gram(Figures):
    """Four consecutive actions."""

    gram: str
    resolved: int
    """Resolved episodes that have it."""
    unresolved: int
    times: int
    """Occurrences in those episodes."""
    odds_ratio: float | None
    """Odds of being resolved with it over those without; 0.5 added to each cell (Haldane & Anscombe)."""
    low: float | None
    """95% interval, Woolf's on the logarithm; it takes episodes for independent."""
    high: float | None
    p: float
    """Fisher's exact test over all episodes."""
    q: float
    p_within: float | None
    """Cochran-Mantel-Haenszel, within tasks; null where no task has both outcomes."""
    q_within: float | None


class Sequences(Figures):
    """Actions over time and in sequence."""

    steps: int
    """Whose action is known."""
    episodes: int
    actions: dict[str, float]
    """Share of steps, mean over episodes."""
    progress: dict[str, dict[str, tuple[float, ...]]]
    """By outcome (`resolved`, `unresolved`, or `all` without outcomes): share of each action in each tenth."""
    graded: dict[str, int]
    """Episodes that count and whose actions are known, by outcome."""
    seen: int
    """Different 4-grams in episodes that count."""
    tested: int
    only_resolved: int
    """4-grams that only resolved episodes have."""
    only_unresolved: int
    grams: tuple[Gram, ...]
    """Those tested, by p."""


class SequencesSection:
    """Actions over time, 4-grams."""

    name = "sequences"
    family = "behaviour"
    title = "Sequences of actions"
    silent = "no step tells what it did"

    def measure(self, source: Source, options: Options) -> Sequences | None:
        """Everything of this module's description; None where no action is known."""
        row = source.row(
            "SELECT count(action) AS steps, count(DISTINCT key) FILTER (action IS NOT NULL) AS episodes FROM s"
        )
        if not row["steps"]:
            return None
        source.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE grams AS SELECT * FROM ({GRAMS}) WHERE key IN (SELECT key FROM o)"
        )
        sides = source.rows(
            "SELECT CASE WHEN resolved THEN 'resolved' ELSE 'unresolved' END AS side, count(*) AS n FROM "
            f"{_TOLD} GROUP BY 1 ORDER BY 1"
        )
        graded = {side["side"]: side["n"] for side in sides}
        only = source.row(
            "SELECT count(*) AS seen, count(*) FILTER (bad = 0) AS only_resolved, count(*) FILTER (good = 0) AS "
            "only_unresolved FROM (SELECT gram, count(*) FILTER (resolved) AS good, count(*) FILTER (NOT resolved) "
            "AS bad FROM grams JOIN (SELECT key, resolved FROM o) USING (key) GROUP BY 1)"
        )
        grams = _grams(source, graded.get("resolved", 0), graded.get("unresolved", 0))
        return Sequences(
            **row,
            **only,
            graded=graded,
            actions=_actions(source),
            progress=_progress(source),
            tested=len(grams),
            grams=grams,
        )

    def headline(self, found: Sequences) -> Sequence[tuple[str, str]]:
        """Shares of the commonest actions."""
        return tuple((f"steps that {name}", percent(share)) for name, share in list(found.actions.items())[:6])

    def blocks(self, found: Sequences, options: Options) -> Sequence[Block]:
        """Actions, their order, 4-grams."""
        actions = tuple((name, percent(share)) for name, share in found.actions.items())
        title = f"Actions: share of steps, mean over {found.episodes:,} episodes ({found.steps:,} steps)"
        caption = "Actions in each tenth of an episode, mean over episodes."
        drawing = plots.stacked_area("actions", found.progress, x="tenth of the episode", caption=caption)
        return [Table(title, ("action", "share"), actions), drawing, *_gram_blocks(found, options.limit)]


def _actions(source: Source) -> dict[str, float]:
    found = source.rows(
        """
        WITH counted AS (SELECT key, action, count(*) AS n FROM s WHERE action IS NOT NULL GROUP BY ALL),
            lengths AS (SELECT key, sum(n) AS whole, count(*) OVER () AS episodes FROM counted GROUP BY key)
        SELECT action, sum(n / whole / episodes) AS share FROM counted JOIN lengths USING (key)
        GROUP BY action ORDER BY share DESC, action
        """
    )
    return {row["action"]: row["share"] for row in found}


_GRADED = "(SELECT count(*) > 0 FROM o WHERE key IN (SELECT key FROM placed))"
"""Whether any episode whose actions are known has an outcome that counts."""


def _progress(source: Source) -> dict[str, dict[str, tuple[float, ...]]]:
    found = source.rows(
        f"""
        WITH placed AS (
            SELECT key, action, least({_STRETCHES - 1},
                floor({_STRETCHES} * (row_number() OVER line - 0.5) / count(*) OVER (PARTITION BY key)))::INT AS stretch
            FROM s WHERE action IS NOT NULL WINDOW line AS (PARTITION BY key ORDER BY step)
        ), counted AS (
            SELECT key, stretch, action, count(*) AS n FROM placed GROUP BY ALL
        ), shares AS (
            SELECT key, stretch, action, n / sum(n) OVER (PARTITION BY key, stretch) AS share FROM counted
        ), sides AS (
            SELECT key, CASE WHEN NOT {_GRADED} THEN 'all' WHEN resolved THEN 'resolved' ELSE 'unresolved' END AS side
            FROM e WHERE NOT {_GRADED} OR key IN (SELECT key FROM o)
        ), reached AS (
            SELECT side, stretch, count(DISTINCT key) AS n FROM shares JOIN sides USING (key) GROUP BY ALL
        )
        SELECT side, action, stretch, sum(share) / any_value(n) AS share
        FROM shares JOIN sides USING (key) JOIN reached USING (side, stretch)
        GROUP BY ALL ORDER BY side, action, stretch
        """
    )
    shown = dict[str, dict[str, list[float]]]()
    for row in found:
        of_action = shown.setdefault(row["side"], {}).setdefault(row["action"], [0.0] * _STRETCHES)
        of_action[row["stretch"]] = row["share"]
    return {side: {name: tuple(values) for name, values in parts.items()} for side, parts in shown.items()}


def _grams(source: Source, good: int, bad: int) -> tuple[Gram, ...]:
    counted = source.rows(
        "SELECT gram, count(*) FILTER (resolved) AS resolved, count(*) FILTER (NOT resolved) AS unresolved, sum(times) "
        f"AS times FROM grams JOIN (SELECT key, resolved FROM o) USING (key) GROUP BY 1 "
        f"HAVING count(*) >= {LEAST} ORDER BY 1"
    )
    if not good or not bad or not counted:
        return ()
    within = _within(source)
    p = [_fisher(row["resolved"], row["unresolved"], good, bad) for row in counted]
    p_within = [within.get(row["gram"]) for row in counted]
    q = benjamini_hochberg(p)
    adjusted = iter(benjamini_hochberg([one for one in p_within if one is not None]) if any(p_within) else ())
    q_within = [None if one is None else next(adjusted) for one in p_within]
    found = [
        Gram(**row, **_odds(row["resolved"], row["unresolved"], good, bad), p=p[place], q=q[place],
             p_within=p_within[place], q_within=q_within[place])
        for place, row in enumerate(counted)
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.p, one.gram)))


def _fisher(good: int, bad: int, all_good: int, all_bad: int) -> float:
    """Two-sided: the probability of all tables at most as likely as this one, given the margins."""
    gammaln = need("scipy.special", "tests").gammaln
    drawn = good + bad
    possible = np.arange(max(0, drawn - all_bad), min(drawn, all_good) + 1)
    cells = (possible, all_good - possible, drawn - possible, all_bad - drawn + possible)
    weight: Floats = -np.sum([gammaln(cell + 1.0) for cell in cells], axis=0)
    likely = np.exp(weight - weight.max())
    own = likely[good - possible[0]]
    return float(likely[likely <= own * (1 + 1e-7)].sum() / likely.sum())


def _odds(good: int, bad: int, all_good: int, all_bad: int) -> dict[str, Any]:
    cells = [each + 0.5 for each in (good, bad, all_good - good, all_bad - bad)]
    middle = log(cells[0] * cells[3] / (cells[1] * cells[2]))
    half = 1.959964 * sum(1 / each for each in cells) ** 0.5
    return {
        "odds_ratio": float(np.exp(middle)),
        "low": float(np.exp(middle - half)),
        "high": float(np.exp(middle + half)),
    }


def _within(source: Source) -> dict[str, float | None]:
    """Of each 4-gram of enough episodes: p of the test within tasks that have both outcomes."""
    found = source.columns(
        f"""
        WITH tasks AS (
            SELECT cluster, count(*) AS size, count(*) FILTER (resolved) AS good FROM {_TOLD} GROUP BY 1
            HAVING count(*) > 1 AND good > 0 AND good < size
        ), often AS (SELECT gram FROM grams GROUP BY 1 HAVING count(*) >= {LEAST})
        SELECT gram, count(*) AS marked, count(*) FILTER (o.resolved) AS both, any_value(tasks.size) AS size,
            any_value(tasks.good) AS good
        FROM grams JOIN o USING (key) JOIN tasks USING (cluster) WHERE gram IN (FROM often)
        GROUP BY gram, cluster ORDER BY gram, cluster
        """
    )
    names = found["gram"]
    if not len(names):
        return {}
    starts = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
    ends = np.append(starts[1:], len(names))
    columns = [found[name].astype(np.float64) for name in ("both", "marked", "good", "size")]
    return {
        str(names[low]): stratified(*(one[low:high] for one in columns)) for low, high in zip(starts, ends, strict=True)
    }


def _gram_blocks(found: Sequences, limit: int) -> list[Block]:
    if not found.grams:
        why = "no outcome of both kinds" if len(found.graded) < 2 else f"no 4-gram that {LEAST} episodes share"
        return [Text(f"4-grams are not compared: {why}.")]
    good, bad = found.graded["resolved"], found.graded["unresolved"]
    rows = tuple(
        (one.gram, percent(one.resolved / good), percent(one.unresolved / bad), f"{one.times:,}",
         f"{number(one.odds_ratio)} [{number(one.low)}, {number(one.high)}]", p_value(one.q),
         p_value(one.q_within))
        for one in found.grams[:limit]
    )  # fmt: skip
    sure = sum(one.q < 0.05 for one in found.grams)
    inside = sum(one.q_within is not None and one.q_within < 0.05 for one in found.grams)
    said = (
        f"{found.seen:,} different 4-grams; {found.only_resolved:,} occur only in resolved episodes, "
        f"{found.only_unresolved:,} only in unresolved ones (most of them rare). Of {found.tested:,} tested, {sure:,} "
        f"tell outcomes apart at a false-discovery rate of 5%, {inside:,} within tasks."
    )
    title = f"4-grams that tell {good:,} resolved from {bad:,} unresolved episodes ({len(rows)} of {found.tested})"
    columns = ("4-gram", "of resolved", "of unresolved", "times", "odds ratio", "q", "q within tasks")
    return [Text(said), Table(title, columns, rows)]


SECTION = SequencesSection()
