"""Prompts and their cache: hits, redundant prefill, and what a time-to-live of cached prompts would do.

TraceLab's definitions (artifacts/prefix_cache). Of a round, L is the prompt, `prefix` what the cache gave, `append`
= L - prefix. Rounds are paired with the round before in the same conversation (a subagent has its own). Then

- context growth = max(0, L - L_before); fresh = growth - output_before: new text of people and tools;
- hit share = sum(prefix) / sum(L); amplification = sum(append) / sum(fresh): tokens prefilled per fresh one.

The sweep asks what an ideal cache would do that forgets a prompt after tau seconds without use. With fresh cut to
[0, append] and cacheable = L - fresh, a round whose gap to the round before is at most tau prefills only what is
fresh, any other prefills L:

- hit share(tau) = sum(cacheable where gap <= tau) / sum(L);
- amplification(tau) = (sum(fresh) + sum(cacheable where gap > tau)) / sum(fresh);
- storage(tau) = sum(min(gap, tau)) / sum(generation time): idle cache per cache at work.

TraceLab takes for the gap after a tool call the longest tool's time; here it is the time from the end of one answer
to the next request, which also holds what the harness itself takes.
"""

from collections.abc import Sequence

import numpy as np

from ...page import Block, Table
from . import plots
from .figures import Figures, Share, number, percent, seconds
from .section import Options
from .source import Source
from .statistics import Floats

__all__ = ["SECTION", "Cache", "CacheSection", "Compactions", "Prefill", "Sweep", "thresholds"]

PAIRS = """
    SELECT key, trigger, append, greatest(0, L - L_before) AS growth, output_before,
        L, L - least(greatest(greatest(0, L - L_before) - output_before, 0), append) AS cacheable,
        prefix, gap_ms / 1000 AS gap_s, timing = 'recorded' AS timed
    FROM (
        SELECT key, request, cached_tokens AS prefix, input_tokens AS L, input_tokens - cached_tokens AS append, gap_ms,
            CASE WHEN user_messages > 0 THEN 'person' WHEN user_messages = 0 THEN 'tool' ELSE 'not known' END
                AS trigger,
            lag(input_tokens) OVER before AS L_before, lag(output_tokens) OVER before AS output_before
        FROM r WINDOW before AS (PARTITION BY key, thread ORDER BY request)
    ) JOIN (SELECT key, timing FROM e) USING (key)
    WHERE prefix IS NOT NULL AND L > 0 AND L_before IS NOT NULL AND output_before IS NOT NULL
"""
_LANDMARKS = (60, 300, 600, 1800, 3600, 7200, 14400)
_DROP, _NEAR, _REBOUND, _AHEAD = 64_000, 0.75, 0.75, 3


class Prefill(Figures):
    """Tokens prefilled and why."""

    rounds: int
    append: int
    growth: int
    fresh: int
    fresh_share: float | None
    """fresh / append."""
    amplification: float | None
    """append / fresh."""
    amplification_of_growth: float | None
    """append / growth: the factor TraceLab's text quotes."""


class Sweep(Figures):
    """An ideal cache with a time-to-live."""

    rounds: int
    seconds: tuple[float, ...]
    hit_share: tuple[float, ...]
    amplification: tuple[float, ...]
    storage: tuple[float, ...]
    best_hit_share: float
    """Nothing forgotten."""
    real_hit_share: float
    """What the service's cache gave."""
    effective_s: float
    """The time-to-live at which the ideal cache hits as the real one did."""


class Compactions(Figures):
    """Sudden drops of the prompt; see `COMPACTIONS`."""

    sessions: int
    sessions_with: int
    drops: int
    """Prompts shorter by 64,000 tokens or more than the one before."""
    compactions: int
    by_person: int
    """Of those, in a round that a person's message set off."""
    recorded: int | None
    """Compactions that the records themselves tell of."""


class Cache(Figures):
    """Prompts and their cache."""

    hits: Share
    """Prompt tokens from the cache, over all rounds where that is known."""
    hits_possible: Share
    """Prompt tokens that the round before already had, over all rounds where that is known."""
    prefill: dict[str, Prefill]
    """All paired rounds, and those set off by a person or a tool."""
    sweep: Sweep | None
    compactions: Compactions


class CacheSection:
    """Prefix cache and prefill."""

    name = "cache"
    family = "workload"
    title = "Prompts and their cache"
    silent = "no request tells how many tokens its prompt had"

    def measure(self, source: Source, options: Options) -> Cache | None:
        """Everything of this module's description; None where no request tells its prompt's length."""
        row = source.row(
            "SELECT sum(cached_tokens) AS prefix, sum(input_tokens) FILTER (cached_tokens IS NOT NULL) AS whole, "
            "count(*) FILTER (cached_tokens IS NOT NULL AND input_tokens IS NOT NULL) AS n, sum(repeated_tokens) AS "
            "repeated, sum(input_tokens) FILTER (repeated_tokens IS NOT NULL) AS repeatable, count(*) FILTER "
            "(repeated_tokens IS NOT NULL AND input_tokens IS NOT NULL) AS m FROM r"
        )
        if not row["n"] and not row["m"]:
            return None
        source.connection.execute(f"CREATE OR REPLACE TEMP TABLE pairs AS {PAIRS}")
        return Cache(
            hits=Share(part=row["prefix"] or 0, whole=row["whole"] or 0, n=row["n"]),
            hits_possible=Share(part=row["repeated"] or 0, whole=row["repeatable"] or 0, n=row["m"]),
            prefill=_prefill(source),
            sweep=_sweep(source),
            compactions=_compactions(source),
        )

    def headline(self, found: Cache) -> Sequence[tuple[str, str]]:
        """Hits and amplification."""
        everything = found.prefill.get("all")
        return (
            ("prompt tokens from the cache", str(found.hits)),
            ("prompt tokens seen in the round before", str(found.hits_possible)),
            ("prefill amplification", number(everything.amplification if everything else None)),
            ("sessions with a compaction", f"{found.compactions.sessions_with:,}"),
        )

    def blocks(self, found: Cache, options: Options) -> Sequence[Block]:
        """Hits, prefill, compactions, sweep."""
        hits = (
            ("from the cache", f"{found.hits.n:,}", number(found.hits.whole), str(found.hits)),
            ("seen in the round before", f"{found.hits_possible.n:,}", number(found.hits_possible.whole),
             str(found.hits_possible)),
        )  # fmt: skip
        prefill = tuple(
            (name, f"{one.rounds:,}", f"{one.append:,}", f"{one.growth:,}", f"{one.fresh:,}", percent(one.fresh_share),
             number(one.amplification), number(one.amplification_of_growth))
            for name, one in found.prefill.items()
        )  # fmt: skip
        columns = ("set off by", "rounds", "append", "growth", "fresh", "fresh of append", "append / fresh",
                   "append / growth")  # fmt: skip
        return [
            Table("Prompt tokens", ("", "rounds", "prompt tokens", "share"), hits),
            *([Table("Prefill", columns, prefill)] if prefill else []),
            _compaction_table(found.compactions),
            *(_sweep_blocks(found.sweep) if found.sweep else []),
        ]


def thresholds() -> Floats:
    """Seconds from 1 to 4 hours, evenly spaced in the logarithm, landmarks among them."""
    fine: Floats = 10 ** np.linspace(0.0, float(np.log10(_LANDMARKS[-1])), 40, endpoint=False)
    return np.unique(np.concatenate([fine, np.asarray(_LANDMARKS, dtype=np.float64)]))


def _prefill(source: Source) -> dict[str, Prefill]:
    found = source.rows(
        "SELECT coalesce(trigger, 'all') AS trigger, count(*) AS rounds, sum(append) AS append, sum(growth) AS growth, "
        "sum(growth) - sum(output_before) AS fresh FROM pairs GROUP BY GROUPING SETS ((), (trigger)) "
        "HAVING count(*) > 0 ORDER BY grouping(trigger) DESC, 1"
    )
    return {
        row["trigger"]: Prefill(
            rounds=row["rounds"],
            append=row["append"],
            growth=row["growth"],
            fresh=row["fresh"],
            fresh_share=row["fresh"] / row["append"] if row["append"] else None,
            amplification=row["append"] / row["fresh"] if row["fresh"] > 0 else None,
            amplification_of_growth=row["append"] / row["growth"] if row["growth"] else None,
        )
        for row in found
    }


def _sweep(source: Source) -> Sweep | None:
    where = "FROM pairs WHERE timed AND gap_s >= 0"
    row = source.row(
        f"SELECT count(*) AS n, sum(L) AS whole, sum(L - cacheable) AS fresh, sum(prefix) AS prefix {where}"
    )
    active = source.row(
        "SELECT sum(model_ms) / 1000 AS s FROM r JOIN (SELECT key, timing FROM e) USING (key) WHERE timing = 'recorded'"
    )["s"]
    if not row["n"] or not row["fresh"] or not active:
        return None
    tau = thresholds()
    found = source.columns(f"SELECT gap_s, cacheable {where} ORDER BY gap_s")
    gaps, cacheable = found["gap_s"], np.concatenate([[0.0], np.cumsum(found["cacheable"])])
    sums = np.concatenate([[0.0], np.cumsum(gaps)])
    kept = np.searchsorted(gaps, tau, side="right")
    hit, real = cacheable[kept] / row["whole"], row["prefix"] / row["whole"]
    lost = cacheable[-1] - cacheable[kept]
    storage = (sums[kept] + tau * (len(gaps) - kept)) / active
    return Sweep(
        rounds=row["n"],
        seconds=tuple(tau.tolist()),
        hit_share=tuple(hit.tolist()),
        amplification=tuple((1 + lost / row["fresh"]).tolist()),
        storage=tuple(storage.tolist()),
        best_hit_share=float(cacheable[-1] / row["whole"]),
        real_hit_share=real,
        effective_s=float(tau[int(np.argmin(np.abs(hit - real)))]),
    )


COMPACTIONS = f"""
    SELECT key, trigger, high >= {_NEAR} * peak AND coalesce(ahead < {_REBOUND} * high, FALSE) AS compaction
    FROM (
        SELECT key, CASE WHEN user_messages > 0 THEN 'person' ELSE 'tool' END AS trigger, input_tokens AS low,
            lag(input_tokens) OVER line AS high, max(input_tokens) OVER (PARTITION BY key, thread) AS peak,
            max(input_tokens) OVER (line ROWS BETWEEN 1 FOLLOWING AND {_AHEAD} FOLLOWING) AS ahead
        FROM r WINDOW line AS (PARTITION BY key, thread ORDER BY request)
    ) WHERE high - low >= {_DROP}
"""
"""TraceLab's rule: a drop of 64,000 tokens or more, from at least 3/4 of the session's longest prompt, after which no
prompt of the next three rounds (one at least) reaches 3/4 of the length before the drop."""


def _compactions(source: Source) -> Compactions:
    row = source.row(
        f"SELECT count(*) AS drops, count(*) FILTER (compaction) AS compactions, count(DISTINCT key) "
        f"FILTER (compaction) AS sessions_with, count(*) FILTER (compaction AND trigger = "
        f"'person') AS by_person FROM ({COMPACTIONS})"
    )
    whole = source.row("SELECT count(*) AS sessions, sum(compactions) AS recorded FROM e")
    return Compactions(**row, **whole)


def _compaction_table(found: Compactions) -> Table:
    rows = (
        ("sessions", f"{found.sessions:,}"),
        ("drops of 64,000 tokens or more", f"{found.drops:,}"),
        ("of which compactions", f"{found.compactions:,}"),
        ("set off by a person", f"{found.by_person:,}"),
        ("sessions with a compaction", f"{found.sessions_with:,}"),
        ("compactions that the records tell of", "-" if found.recorded is None else f"{found.recorded:,}"),
    )
    return Table("Compactions", ("", "count"), rows)


def _sweep_blocks(found: Sweep) -> list[Block]:
    line = dict(zip(found.seconds, zip(found.hit_share, found.amplification, found.storage, strict=True), strict=True))
    rows = tuple(
        (seconds(tau), percent(line[tau][0]), number(line[tau][1]), number(line[tau][2]))
        for tau in map(float, _LANDMARKS)
    )
    title = (
        f"Time-to-live of cached prompts, {found.rounds:,} rounds with recorded times; the real cache hit "
        f"{percent(found.real_hit_share)} (as the ideal one would with {seconds(found.effective_s)}), at best "
        f"{percent(found.best_hit_share)}"
    )
    shown = {
        "hit share, %": {"": tuple((x, 100 * y) for x, y in zip(found.seconds, found.hit_share, strict=True))},
        "prefilled / fresh": {"": tuple(zip(found.seconds, found.amplification, strict=True))},
        "idle / active": {"": tuple(zip(found.seconds, found.storage, strict=True))},
    }
    caption = "Hits, prefill and idle cache when cached prompts are kept so long."
    return [
        Table(title, ("time-to-live", "hit share", "prefilled / fresh", "idle / active storage"), rows),
        plots.panels("time-to-live", shown, x="time-to-live, s", caption=caption),
    ]


SECTION = CacheSection()
