"""How much work agents do and where its time goes, with TraceLab's definitions (uw-syfi/TraceLab, artifacts/session).

A *session* is an episode. A *round* is a request to the model (TraceLab: step). A *turn* is what a person's message
sets off (TraceLab: request): from the round that first answers it to the next such round of the session; a round of a
subagent belongs to the turn under way. Turns without a begin or an end, or that last no time, are left out of
figures per turn, as there. A round is *user-initiated* when a person's message is new in it, else *tool-initiated*.

Times come only from episodes whose times were recorded (`timing = recorded`), durations also from those that hold
only durations; others are counted as not known.
"""

from collections.abc import Sequence

from ...page import Block, Table, Text
from . import plots
from .figures import Distribution, Figures, Share, number, seconds
from .section import Options, distribution_table
from .source import Source

__all__ = ["SECTION", "TURNS", "Workload", "WorkloadSection"]

TURNS = """
    SELECT key, turn, count(*) AS rounds, sum(tool_calls) AS tool_calls, sum(model_ms) / 1000 AS model_s,
        sum(cost_usd) AS cost_usd, count(*) - count(cost_usd) AS unpriced,
        CASE WHEN e.timing = 'recorded' THEN epoch(max(r.t_end)) - epoch(arg_min(r.t_start, request)) END AS elapsed_s
    FROM (
        SELECT *, sum(CASE WHEN user_messages > 0 AND thread IS NULL THEN 1 ELSE 0 END)
            OVER (PARTITION BY key ORDER BY request ROWS UNBOUNDED PRECEDING) AS turn
        FROM r
    ) r JOIN (SELECT key, timing FROM e) e USING (key)
    WHERE turn > 0
    GROUP BY key, turn, e.timing
"""
"""Turns of the sessions whose requests tell which messages are a person's."""

_SESSION = {
    "rounds": "requests",
    "tool_calls": "tool_calls",
    "steps": "steps",
    "user_messages": "user_messages",
    "compactions": "compactions",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cost_usd": "cost_usd",
    "elapsed_s": "CASE WHEN timing = 'recorded' THEN wall_ms / 1000 END",
    "reset_s": "reset_ms / 1000",
    "model_s": "model_ms / 1000",
    "tool_s": "tool_ms / 1000",
    "environment_s": "environment_ms / 1000",
    "human_s": "CASE WHEN timing = 'recorded' THEN human_ms / 1000 END",
    "idle_s": "CASE WHEN timing = 'recorded' THEN idle_ms / 1000 END",
    "energy_j": "energy_j",
}
_ROUND = {
    "prompt_tokens": "input_tokens",
    "prefix_tokens": "cached_tokens",
    "append_tokens": "input_tokens - cached_tokens",
    "output_tokens": "output_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "generation_s": "CASE WHEN model_ms > 0 THEN model_ms / 1000 END",
    "first_token_s": "ttft_ms / 1000",
    "tokens_per_s": "CASE WHEN model_ms > 0 AND output_tokens > 0 THEN output_tokens * 1000 / model_ms END",
    "tokens_per_s_after_first": "CASE WHEN model_ms > ttft_ms AND output_tokens > 1 "
    "THEN (output_tokens - 1) * 1000 / (model_ms - ttft_ms) END",
    "tool_calls": "tool_calls",
    "cost_usd": "cost_usd",
    "human_wait_s": "CASE WHEN human_ms > 0 THEN human_ms / 1000 END",
    "idle_gap_s": "CASE WHEN gap_ms IS NOT NULL AND coalesce(human_ms, 0) = 0 THEN gap_ms / 1000 END",
}
_TURN = {
    "rounds": "rounds",
    "tool_calls": "tool_calls",
    "elapsed_s": "elapsed_s",
    "model_s": "model_s",
    "cost_usd": "CASE WHEN unpriced = 0 THEN cost_usd END",
}
_PARTS = ("model", "tool", "environment", "human", "idle")
"""They add up to the wall time; the environment's holds the reset."""
_CAP_S = 3600


class Workload(Figures):
    """Counts, tokens, times and costs per session, turn and round."""

    sessions: int
    rounds: int
    turns: int
    tool_calls: int
    """Steps: calls that have a result."""
    runs: int
    agents: int
    models: int
    tools: int
    """Distinct names of tools."""
    timings: dict[str, int]
    """Sessions by how far their times can be trusted."""
    per_session: dict[str, Distribution]
    per_turn: dict[str, Distribution]
    per_round: dict[str, Distribution]
    user_initiated: Share
    """Rounds that a person's message set off, among those where it is known."""
    time: dict[str, Share]
    """Where the wall time of sessions with recorded times goes; the parts add up to it."""
    time_capped: dict[str, Share]
    """Model, tool and human time among their sum, each wait for a person counted as one hour at most."""


class WorkloadSection:
    """Sessions, turns, rounds."""

    name = "workload"
    family = "workload"
    title = "Workload"
    silent = "no record tells the course of an episode"

    def measure(self, source: Source, options: Options) -> Workload:
        """Everything of this module's description."""
        counts = source.row(
            "SELECT count(*) AS sessions, count(DISTINCT run_id) AS runs, count(DISTINCT agent) AS agents, "
            "count(DISTINCT model) AS models FROM e"
        )
        rounds = source.row(
            "SELECT count(*) AS n, count(user_messages) AS known, count(*) FILTER (user_messages > 0) AS started FROM r"
        )
        calls = source.row("SELECT count(*) AS n, count(DISTINCT tool) AS tools FROM s")
        source.connection.execute(f"CREATE OR REPLACE TEMP TABLE turns AS {TURNS}")
        timed = source.rows("SELECT timing, count(*) AS n FROM e GROUP BY 1 ORDER BY 1")
        return Workload(
            **counts,
            rounds=rounds["n"],
            turns=source.row("SELECT count(*) AS n FROM turns")["n"],
            tool_calls=calls["n"],
            tools=calls["tools"],
            timings={row["timing"] or "not known": row["n"] for row in timed},
            per_session=source.describe("e", _SESSION),
            per_turn=source.describe("(FROM turns WHERE elapsed_s IS NULL OR elapsed_s > 0)", _TURN),
            per_round=source.describe("r", _ROUND),
            user_initiated=Share(part=rounds["started"], whole=rounds["known"], n=rounds["known"]),
            time=_time(source),
            time_capped=_capped(source),
        )

    def headline(self, found: Workload) -> Sequence[tuple[str, str]]:
        """Sizes, tokens, times and cost."""
        session, turn, round_ = found.per_session, found.per_turn, found.per_round
        return (
            ("sessions", f"{found.sessions:,}"),
            ("rounds", f"{found.rounds:,}"),
            ("tool calls", f"{found.tool_calls:,}"),
            ("rounds per turn, mean", number(turn["rounds"].mean)),
            ("tool calls per turn, mean", number(turn["tool_calls"].mean)),
            ("prefix tokens per round, median", number(round_["prefix_tokens"].p50)),
            ("append tokens per round, median", number(round_["append_tokens"].p50)),
            ("output tokens per round, median", number(round_["output_tokens"].p50)),
            ("generation per round, median", seconds(round_["generation_s"].p50)),
            ("elapsed per session, median", seconds(session["elapsed_s"].p50)),
            ("cost per session, mean USD", number(session["cost_usd"].mean)),
        )

    def blocks(self, found: Workload, options: Options) -> Sequence[Block]:
        """Tables per session, turn and round, and where time goes."""
        timed = ", ".join(f"{name}: {count:,}" for name, count in found.timings.items())
        return [
            Text(
                f"{_count(found.sessions, 'session')} of {_count(found.runs, 'run')}, {_count(found.rounds, 'round')}, "
                f"{_count(found.turns, 'turn')}, {found.tool_calls:,} tool calls by {found.tools:,} tools. "
                f"Timing of sessions: {timed}."
            ),
            *distribution_table("Per session", found.per_session, _SESSION_ROWS),
            *distribution_table("Per turn", found.per_turn, _TURN_ROWS),
            *distribution_table("Per round", found.per_round, _ROUND_ROWS),
            *_time_blocks(found),
        ]


def _count(number: int, of: str) -> str:
    return f"{number:,} {of}" if number == 1 else f"{number:,} {of}s"


def _time_blocks(found: Workload) -> list[Block]:
    if not found.time:
        return []
    sessions = next(iter(found.time.values())).n
    bars = {"all": {part: share.value or 0.0 for part, share in found.time.items()}}
    if found.time_capped:
        bars["without idling, waits cut at 1 h"] = {part: one.value or 0.0 for part, one in found.time_capped.items()}
    rows = tuple(
        (part, seconds(share.part), str(share), str(found.time_capped.get(part, "-")))
        for part, share in found.time.items()
    )
    title = f"Wall time of {sessions:,} sessions with recorded times (environment: reset and taking the patch)"
    caption = f"Where the wall time of {sessions:,} sessions goes."
    return [
        Table(title, ("", "time", "share", "share without idling, waits cut at 1 h"), rows),
        plots.stacked("time", bars, x="wall time, %", caption=caption),
    ]


def _time(source: Source) -> dict[str, Share]:
    sums = ", ".join(f"sum({part}_ms) / 1000 AS {part}" for part in _PARTS)
    row = source.row(
        f"SELECT count(*) AS n, sum(wall_ms) / 1000 AS wall, {sums} FROM e "
        "WHERE timing = 'recorded' AND wall_ms IS NOT NULL"
    )
    if not row["n"]:
        return {}
    return {part: Share(part=row[part] or 0.0, whole=row["wall"], n=row["n"]) for part in _PARTS}


def _capped(source: Source) -> dict[str, Share]:
    """TraceLab's block "human capped (1h)": generation and tool time summed, and waits cut at an hour."""
    row = source.row(
        f"""
        SELECT (SELECT sum(model_ms) / 1000 FROM e WHERE timing = 'recorded') AS model,
            (SELECT sum(tool_ms) / 1000 FROM e WHERE timing = 'recorded') AS tool,
            (SELECT sum(least(r.human_ms / 1000, {_CAP_S})) FROM r JOIN e USING (key)
                WHERE timing = 'recorded' AND r.human_ms IS NOT NULL) AS human,
            (SELECT count(*) FROM e WHERE timing = 'recorded') AS n
        """
    )
    parts = {name: row[name] or 0.0 for name in ("model", "tool", "human")}
    whole = sum(parts.values())
    return {name: Share(part=part, whole=whole, n=row["n"]) for name, part in parts.items()} if whole else {}


_SESSION_ROWS = (
    ("rounds", "rounds", 1.0),
    ("tool_calls", "tool calls", 1.0),
    ("user_messages", "messages of a person", 1.0),
    ("compactions", "compactions", 1.0),
    ("input_tokens", "prompt tokens, summed over rounds", 1.0),
    ("output_tokens", "output tokens", 1.0),
    ("cost_usd", "cost, USD", 1.0),
    ("elapsed_s", "elapsed, s", 1.0),
    ("reset_s", "reset, s", 1.0),
    ("model_s", "model, s", 1.0),
    ("tool_s", "tools, s", 1.0),
    ("environment_s", "environment, s", 1.0),
    ("human_s", "waiting for a person, s", 1.0),
    ("idle_s", "idle, s", 1.0),
    ("energy_j", "energy, J", 1.0),
)
_TURN_ROWS = (
    ("rounds", "rounds", 1.0),
    ("tool_calls", "tool calls", 1.0),
    ("elapsed_s", "elapsed, s", 1.0),
    ("model_s", "generation, s", 1.0),
    ("cost_usd", "cost, USD", 1.0),
)
_ROUND_ROWS = (
    ("prompt_tokens", "prompt tokens", 1.0),
    ("prefix_tokens", "prefix tokens (from the cache)", 1.0),
    ("append_tokens", "append tokens (not from the cache)", 1.0),
    ("output_tokens", "output tokens", 1.0),
    ("reasoning_tokens", "reasoning tokens", 1.0),
    ("generation_s", "generation, s", 1.0),
    ("first_token_s", "time to first token, s", 1.0),
    ("tokens_per_s", "output tokens per s of generation", 1.0),
    ("tokens_per_s_after_first", "output tokens per s after the first", 1.0),
    ("tool_calls", "tool calls", 1.0),
    ("cost_usd", "cost, USD", 1.0),
    ("human_wait_s", "waits for a person (those above 0), s", 1.0),
    ("idle_gap_s", "gaps to the round before without a person, s", 1.0),
)
SECTION = WorkloadSection()
