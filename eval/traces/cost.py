"""What tokens cost, by kind: read from the cache, written to it, neither, generated, and of these reasoning.

Dollars by kind are tokens times the price table (`prices`); what a record itself says a session cost is beside them. A
model that has no price costs null: its tokens are counted, and its sessions are told as not priced.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ...page import Block, Table, Text
from . import plots
from .figures import Distribution, Figures, Share, number, percent
from .section import Options, distribution_table
from .source import Source

__all__ = ["KINDS", "SECTION", "Cost", "CostSection", "ModelCost"]

KINDS = ("input", "cached", "cache_creation", "output")
"""Kinds of tokens that add up to all of them."""
_NAMES = {
    "input": "input, not cached",
    "cached": "input, from the cache",
    "cache_creation": "input, written to the cache",
    "output": "output",
    "reasoning": "of that, reasoning",
}
_TOKENS = {
    "input": "input_tokens - coalesce(cached_tokens, 0) - coalesce(cache_creation_tokens, 0)",
    "cached": "cached_tokens",
    "cache_creation": "cache_creation_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
}
_MODELS = 12
_UNTOLD = "count(*) FILTER (cost_input_usd IS NULL AND input_tokens IS NULL AND output_tokens IS NULL)"


class ModelCost(Figures):
    """Requests to one model, or to all."""

    model: str | None
    """Null for requests whose model is not known; `all` for the sum."""
    requests: int
    priced: int
    """Requests whose dollars by kind are known."""
    tokens: dict[str, int | None]
    """By kind, `reasoning` being a part of `output`; null where no request tells."""
    dollars: dict[str, float | None]
    """Likewise, of the priced requests."""
    total: float | None
    """Dollars of the priced requests."""


class Cost(Figures):
    """Money and what it was spent on."""

    prices: tuple[str, ...]
    """Day and source of the price tables behind the dollars by kind."""
    sources: dict[str, int]
    """Sessions by whose word their cost is: `recorded`, `prices` or `not known`."""
    unpriced: dict[str, int]
    """Requests that tell their tokens, by models that have no price."""
    uncounted: int = 0
    """Requests that do not tell their tokens, whatever their model costs."""
    all: ModelCost
    models: tuple[ModelCost, ...]
    """The twelve that got most requests."""
    per_session: dict[str, Distribution]
    """Dollars by kind, and `recorded` or computed in all."""
    difference: Share | None
    """What records say sessions cost, of what the price table says of the same sessions; null without any such."""


class CostSection:
    """Tokens and dollars by kind."""

    name = "cost"
    family = "workload"
    title = "Cost by kind of token"
    silent = "no request tells its tokens, and no record its cost"

    def measure(self, source: Source, options: Options) -> Cost | None:
        """Null where neither tokens nor costs are known."""
        found = source.rows(f"{_counts('model')} GROUP BY model ORDER BY count(*) DESC, model")
        whole = source.row(_counts("'all'"))
        sources = source.rows(
            "SELECT coalesce(cost_source, 'not known') AS said, count(*) AS n FROM e GROUP BY 1 ORDER BY 1"
        )
        sessions = source.describe(
            "e", {"total": "cost_usd", **{kind: f"cost_{kind}_usd" for kind in (*KINDS, "reasoning")}}
        )
        if not any(one.n for one in sessions.values()) and not whole["t_output"]:
            return None
        return Cost(
            prices=source.prices,
            sources={row["said"]: row["n"] for row in sources},
            unpriced={
                row["model"] or "not known": left
                for row in found
                if (left := row["n"] - row["priced"] - row["untold"]) > 0
            },
            uncounted=whole["untold"],
            all=_model(whole),
            models=tuple(_model(row) for row in found[:_MODELS]),
            per_session=sessions,
            difference=_difference(source),
        )

    def headline(self, found: Cost) -> Sequence[tuple[str, str]]:
        """Dollars in all and where most of them went."""
        shares = _shares(found.all)
        return (
            ("cost per session, mean USD", number(found.per_session["total"].mean)),
            ("priced requests", percent(found.all.priced / found.all.requests if found.all.requests else None)),
            *((f"share of dollars: {_NAMES[kind]}", percent(shares.get(kind))) for kind in KINDS),
        )

    def blocks(self, found: Cost, options: Options) -> Sequence[Block]:
        """By kind, by model, per session."""
        bars = {label: shares for label, shares in _bars(found).items() if shares}
        caption = "Share of dollars by kind of token, of requests whose model has a price."
        drawn = [plots.stacked("cost", bars, x="dollars, %", caption=caption)] if bars else []
        return [
            Text(_said(found)),
            _kinds(found.all),
            *drawn,
            *_by_model(found),
            *distribution_table("Per session, USD", found.per_session, _SESSION_ROWS),
        ]


def _counts(model: str) -> str:
    tokens = ", ".join(f"sum({sql}) AS t_{kind}" for kind, sql in _TOKENS.items())
    dollars = ", ".join(f"sum(cost_{kind}_usd) AS d_{kind}" for kind in _TOKENS)
    counts = f"count(*) AS n, count(cost_input_usd) AS priced, {_UNTOLD} AS untold"
    return f"SELECT {model} AS model, {counts}, {tokens}, {dollars} FROM r"


def _model(row: Mapping[str, Any]) -> ModelCost:
    dollars = {kind: row[f"d_{kind}"] for kind in _TOKENS}
    known = [dollars[kind] for kind in KINDS if dollars[kind] is not None]
    tokens = {kind: None if row[f"t_{kind}"] is None else int(row[f"t_{kind}"]) for kind in _TOKENS}
    total = sum(known) if known else None
    return ModelCost(
        model=row["model"], requests=row["n"], priced=row["priced"], tokens=tokens, dollars=dollars, total=total
    )


def _difference(source: Source) -> Share | None:
    """Of sessions whose cost is recorded and whose tokens are priced."""
    parts = " + ".join(f"cost_{kind}_usd" for kind in KINDS)
    row = source.row(
        f"SELECT count(*) AS n, sum(cost_usd) AS said, sum({parts}) AS priced FROM e "
        f"WHERE cost_source = 'recorded' AND {parts} IS NOT NULL AND cost_usd IS NOT NULL AND {parts} > 0"
    )
    return Share(part=row["said"], whole=row["priced"], n=row["n"]) if row["n"] else None


def _shares(one: ModelCost) -> dict[str, float]:
    return {kind: (one.dollars[kind] or 0.0) / one.total for kind in KINDS} if one.total else {}


def _bars(found: Cost) -> dict[str, dict[str, float]]:
    priced = [one for one in found.models if one.total]
    shown = [found.all, *priced] if len(priced) != 1 else priced
    return {
        f"{_label(one)}, ${number(one.total)}": {_NAMES[kind]: share for kind, share in _shares(one).items()}
        for one in shown
    }


def _label(one: ModelCost) -> str:
    return "model not known" if one.model is None else one.model


def _said(found: Cost) -> str:
    prices = "; ".join(found.prices) or "a day that the tables do not say"
    said = f"Dollars by kind are tokens times the price table as of {prices}. "
    told = ", ".join(f"{name}: {count:,}" for name, count in found.sources.items())
    said += f"Whose word the cost of sessions is: {told}."
    if found.unpriced:
        names = ", ".join(f"{name} ({count:,})" for name, count in list(found.unpriced.items())[:6])
        said += f" Requests without a price, whose cost is not known rather than zero: {names}."
    if found.uncounted:
        said += f" {found.uncounted:,} requests do not tell their tokens, so that no price tells their cost."
    if found.difference is not None and found.difference.value is not None:
        said += (
            f" Records of {found.difference.n:,} sessions say themselves what they cost: "
            f"{percent(found.difference.value)} of what the price table says of them."
        )
    return said


def _kinds(one: ModelCost) -> Table:
    shares = _shares(one)
    rows = tuple(
        (_NAMES[kind], number(one.tokens[kind]), number(one.dollars[kind]), percent(shares.get(kind)))
        for kind in _NAMES
    )
    whole = ("all", number(_sum(one.tokens)), number(one.total), "-" if one.total is None else "100.0%")
    title = f"By kind: {one.requests:,} requests, dollars of the {one.priced:,} that have a price"
    return Table(title, ("tokens", "count", "USD", "share of dollars"), (*rows, whole))


def _sum(tokens: Mapping[str, int | None]) -> int | None:
    known = [tokens[kind] for kind in KINDS if tokens[kind] is not None]
    return sum(count for count in known if count is not None) if known else None


def _by_model(found: Cost) -> list[Block]:
    if not found.models:
        return []
    rows = tuple(
        (
            _label(one),
            f"{one.requests:,}",
            f"{one.priced:,}",
            *(number(one.dollars[kind]) for kind in KINDS),
            number(one.total),
        )
        for one in found.models
    )
    columns = ("model", "requests", "priced", "not cached", "from the cache", "to the cache", "output", "all")
    return [Table("By model, USD", columns, rows)]


_SESSION_ROWS = (
    ("total", "in all, as recorded or by the price table", 1.0),
    *((kind, _NAMES[kind], 1.0) for kind in KINDS),
    ("reasoning", _NAMES["reasoning"], 1.0),
)
SECTION = CostSection()
