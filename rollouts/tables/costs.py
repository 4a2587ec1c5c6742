"""What an episode cost: in all, and by kind of token."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...rewards.service.usage import PriceTable, Usage
from .. import payloads

__all__ = ["KINDS", "by_kind", "costs_of"]

KINDS = ("input", "cached", "cache_creation", "output", "reasoning")
"""Kinds of tokens that have a column `cost_<kind>_usd`."""


def by_kind(prices: PriceTable, model: str | None, usage: Usage) -> dict[str, float | None]:
    """Dollars by kind of token, by the price table; null without a price or without counts."""
    price = prices.price(model)
    costs = price.by_kind(usage) if price is not None else None
    return {f"cost_{kind}_usd": costs[kind] if costs is not None else None for kind in KINDS}


def costs_of(
    requests: Sequence[Mapping[str, Any]],
    end: payloads.EpisodeEnd | None,
    prices: PriceTable,
    model: str | None,
    usage: Usage,
    *,
    own: bool,
    priced: bool,
) -> dict[str, Any]:
    """Columns of an episode: of all requests, or of the episode's counts where the record tells no requests.

    `own`: recorded here, so that no request means no cost; `priced`: some request's cost is from the price table.
    """
    parts = by_kind(prices, model, usage)
    if requests:
        found = {name: [row[name] for row in requests] for name in parts}
        parts = {name: None if None in values else sum(values) for name, values in found.items()}
    costs = [row["cost_usd"] for row in requests]
    if not costs and own:
        return {"cost_usd": 0.0, "cost_source": "recorded", **parts}
    if costs and None not in costs:
        return {"cost_usd": sum(costs), "cost_source": "prices" if priced else "recorded", **parts}
    whole = end.cost_usd if end is not None and (end.requests or end.cost_usd) else None
    price = prices.price(model) if whole is None and not costs else None
    counted = price.cost(usage) if price is not None else None
    source = "recorded" if whole is not None else "prices" if counted is not None else None
    return {"cost_usd": whole if whole is not None else counted, "cost_source": source, **parts}
