"""What requests to a model used and cost: tokens, tries, prices."""

import re
from collections.abc import Mapping
from datetime import date
from importlib.resources import files
from typing import Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Price", "PriceTable", "RequestAttempt", "Usage", "default_prices", "read_usage"]


_CLOUD = re.compile(r"^(?:\w+\.)?anthropic\.|-v\d+(?::\d+)?$|\[1m\]$")
_DATED = re.compile(r"-20\d{6}$")


class Usage(BaseModel, frozen=True, extra="allow", use_attribute_docstrings=True):
    """Tokens of one or more requests. None means that the service did not say."""

    input_tokens: int | None = None
    """All prompt tokens, cached ones included."""
    cached_input_tokens: int | None = None
    """Prompt tokens that the service had in its cache."""
    repeated_input_tokens: int | None = None
    """Prompt tokens that an earlier request of the same episode had: what a prefix cache can save. Since 1.2."""
    repeated_cached_tokens: int | None = None
    """Of those, the ones that the service had in its cache. Since 1.2."""
    cache_creation_tokens: int | None = None
    output_tokens: int | None = None
    """All generated tokens, reasoning included."""
    reasoning_tokens: int | None = None

    @property
    def repeated_hit_share(self) -> float | None:
        """Share of the repeated prompt tokens that a prefix cache saved; None when nothing is known of them."""
        if not self.repeated_input_tokens or self.repeated_cached_tokens is None:
            return None
        return self.repeated_cached_tokens / self.repeated_input_tokens

    def plus(self, other: "Usage") -> "Usage":
        """The sum; a figure that only one side knows is kept."""
        return Usage(**{name: _sum(getattr(self, name), getattr(other, name)) for name in Usage.model_fields})

    @property
    def total(self) -> int | None:
        """Input and output tokens together."""
        return _sum(self.input_tokens, self.output_tokens)


def _sum(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right


class RequestAttempt(BaseModel, frozen=True, extra="allow", use_attribute_docstrings=True):
    """One try of a request that was answered only later, or never."""

    status: int | None = None
    """HTTP status; None when no answer came."""
    error: str | None = None
    duration_ms: float
    waited_s: float = 0.0
    """Pause before the next try."""


class Price(BaseModel):
    """Dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float
    output: float
    cached_input: float | None = None
    """None: as `input`."""
    cache_creation: float | None = None
    """None: as `input`."""

    def cost(self, usage: Usage) -> float | None:
        """Cost of a request; None when the service did not say how many tokens it was."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached, created = usage.cached_input_tokens or 0, usage.cache_creation_tokens or 0
        plain = max(0, usage.input_tokens - cached - created)
        total = plain * self.input + usage.output_tokens * self.output
        total += cached * (self.input if self.cached_input is None else self.cached_input)
        total += created * (self.input if self.cache_creation is None else self.cache_creation)
        return total / 1e6

    def by_kind(self, usage: Usage) -> dict[str, float] | None:
        """Cost of a request by kind of token, in dollars; None as `cost`.

        `input` (neither read from the cache nor written to it), `cached`, `cache_creation` and `output` add up to
        `cost`; `reasoning` is a part of `output`.
        """
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached, created = usage.cached_input_tokens or 0, usage.cache_creation_tokens or 0
        return {
            "input": max(0, usage.input_tokens - cached - created) * self.input / 1e6,
            "cached": cached * (self.input if self.cached_input is None else self.cached_input) / 1e6,
            "cache_creation": created * (self.input if self.cache_creation is None else self.cache_creation) / 1e6,
            "output": usage.output_tokens * self.output / 1e6,
            "reasoning": (usage.reasoning_tokens or 0) * self.output / 1e6,
        }


class PriceTable(BaseModel):
    """Prices by model name, as of a day. A model that is not listed has no price: its cost is unknown, not zero."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: date
    source: str | None = None
    """Where the prices were published."""
    models: Mapping[str, Price] = Field(default_factory=dict[str, Price])

    def price(self, model: str | None) -> Price | None:
        """The price of `model`, by its name or by its name without the provider in front (`openai/gpt-4o`).

        A Claude model is also found without its date, and by what other clouds call it.
        """
        if model is None:
            return None
        name = model.rpartition("/")[2]
        plain = _CLOUD.sub("", name).replace("@", "-")
        names = (model, name, plain, _DATED.sub("", plain) if plain.startswith("claude-") else plain)
        return next((self.models[known] for known in names if known in self.models), None)


def default_prices() -> PriceTable:
    """The table in `configs/prices.yaml`."""
    text = (files("trajectory_hub.configs") / "prices.yaml").read_text("utf-8")
    return PriceTable.model_validate(yaml.safe_load(text))


def read_usage(body: Mapping[str, Any], repeated: int | None = None) -> Usage:
    """The token counts of an answer, whose prompt began with so many tokens of an earlier request.

    None for what it does not say.
    """
    usage = cast("Mapping[str, Any]", body.get("usage") or {})
    prompt = cast("Mapping[str, Any]", usage.get("prompt_tokens_details") or {})
    completion = cast("Mapping[str, Any]", usage.get("completion_tokens_details") or {})
    cached = prompt.get("cached_tokens")
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        cached_input_tokens=cached,
        repeated_input_tokens=repeated,
        repeated_cached_tokens=None if repeated is None or cached is None else min(cached, repeated),
        cache_creation_tokens=prompt.get("cache_creation_tokens"),
        output_tokens=usage.get("completion_tokens"),
        reasoning_tokens=completion.get("reasoning_tokens"),
    )
