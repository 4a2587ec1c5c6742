"""What a judge may spend. A request is begun only when what it may cost at most is still there."""

import threading
from dataclasses import dataclass

from ...errors import ConfigError
from ..service.usage import Price, Usage
from .config import JudgeBudget

__all__ = ["Hold", "JudgeLedger", "token_estimate"]

_CHARACTERS_PER_TOKEN = 3
"""Fewer than any current tokenizer needs for English and code, so that an estimate is rather too high."""


def token_estimate(characters: int) -> int:
    """Tokens that a text of so many characters is assumed to have."""
    return -(-characters // _CHARACTERS_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Hold:
    """What is set apart for one request that is under way."""

    tokens: int
    usd: float


class JudgeLedger:
    """Counts requests, tokens and money of one sitting. Thread-safe."""

    def __init__(self, budget: JudgeBudget) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._held_tokens, self._held_usd = 0, 0.0
        self.requests = 0
        self.usage = Usage()
        self.cost_usd: float | None = 0.0
        """None once a request's cost is not known."""
        self._counted_tokens, self._counted_usd = 0, 0.0

    def check(self, model: str, price: Price | None) -> None:
        """Raise ConfigError when a limit in money cannot be kept for a model."""
        if self._budget.usd is not None and price is None:
            raise ConfigError(
                f"budget.usd is set, but the price table has no price for {model!r}; add one with -c prices.yaml:\n"
                f"  prices: {{models: {{{model}: {{input: 0.5, output: 1.5}}}}}}   # USD per million tokens"
            )

    def hold(self, input_tokens: int, output_tokens: int, price: Price | None) -> Hold | str:
        """Set apart what a request may use at most; a sentence about the limit when that is not there."""
        asked = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        hold = Hold(input_tokens + output_tokens, (price.cost(asked) if price else None) or 0.0)
        with self._lock:
            refusal = self._refusal(hold)
            if refusal:
                return refusal
            self.requests += 1
            self._held_tokens += hold.tokens
            self._held_usd += hold.usd
        return hold

    def _refusal(self, hold: Hold) -> str | None:
        limits = self._budget
        if limits.requests is not None and self.requests >= limits.requests:
            return f"budget: {self.requests} of {limits.requests} requests are made"
        tokens = self._counted_tokens + self._held_tokens
        if limits.tokens is not None and tokens + hold.tokens > limits.tokens:
            return f"budget: {tokens} of {limits.tokens} tokens are used or set apart, a request may take {hold.tokens}"
        usd = self._counted_usd + self._held_usd
        if limits.usd is not None and usd + hold.usd > limits.usd:
            return f"budget: {usd:.6f} of {limits.usd} USD are used or set apart, a request may take {hold.usd:.6f}"
        return None

    def settle(self, hold: Hold, usage: Usage | None, cost: float | None) -> None:
        """Count what a request really took; None for one that was never answered."""
        with self._lock:
            self._held_tokens -= hold.tokens
            self._held_usd -= hold.usd
            if usage is None:
                self.requests -= 1
                return
            self.usage = self.usage.plus(usage)
            known = usage.input_tokens is not None and usage.output_tokens is not None
            # Of what the service does not say, the most it can have been is counted.
            self._counted_tokens += (usage.total or 0) if known else hold.tokens
            self._counted_usd += hold.usd if cost is None else cost
            self.cost_usd = None if cost is None or self.cost_usd is None else self.cost_usd + cost
