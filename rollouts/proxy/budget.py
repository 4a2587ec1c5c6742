"""What an agent may use of models, and what it has."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...rewards.service.usage import Price, PriceTable, Usage

__all__ = ["Budget", "Ledger"]

_BYTES_PER_TOKEN = 4
"""Of text; what a request is charged whose service did not say its tokens, because it was cut off."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the requests of one proxy may use together; None: no limit. What is under way when it is used up ends."""

    requests: int | None = None
    tokens: int | None = None
    """Input and output together."""
    cost_usd: float | None = None
    """A model without a price is refused, since what it costs is not known."""
    status: int | None = None
    """HTTP status of the refusal; None: what the API itself answers when there is no money left."""


@dataclass(slots=True)
class Ledger:
    """What was used. Not thread-safe."""

    budget: Budget
    prices: PriceTable
    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float = 0.0
    guessed_tokens: int = 0
    """Of requests that did not say theirs; they count for the budget, and nowhere else."""
    guessed_usd: float = 0.0
    """Of the same requests."""

    def refusal(self, model: str | None) -> str | None:
        """Why a request must not be made; None when it may."""
        budget, spent = self.budget, (self.usage.total or 0) + self.guessed_tokens
        if budget.requests is not None and self.requests >= budget.requests:
            return f"the budget of {budget.requests} requests is used up"
        if budget.tokens is not None and spent >= budget.tokens:
            return f"the budget of {budget.tokens} tokens is used up ({spent} used)"
        if budget.cost_usd is None:
            return None
        if self.prices.price(model) is None:
            return f"the budget is in dollars, and the price of {model} is not known"
        if self.cost_usd + self.guessed_usd >= budget.cost_usd:
            return f"the budget of {budget.cost_usd:g} dollars is used up"
        return None

    def charge(self, models: Sequence[str | None], usage: Usage, sent: int, received: int) -> float | None:
        """Add a request that was made, with the bytes of its bodies; its cost, None when it is not known.

        `models`: what was asked for, and what the answer says; the first that has a price counts.
        """
        price = next((price for model in models if (price := self.prices.price(model)) is not None), None)
        if usage.total is not None:
            self.usage = self.usage.plus(usage)
        cost = None if price is None else price.cost(usage)
        if usage.input_tokens is None or usage.output_tokens is None:
            self._guess(price, usage, sent, received)
        self.cost_usd += cost or 0.0
        return cost

    def _guess(self, price: Price | None, usage: Usage, sent: int, received: int) -> None:
        given = sent // _BYTES_PER_TOKEN if usage.input_tokens is None else 0
        written = received // _BYTES_PER_TOKEN if usage.output_tokens is None else 0
        self.guessed_tokens += given + written
        if price is not None:
            whole = Usage(input_tokens=usage.input_tokens or given, output_tokens=usage.output_tokens or written)
            self.guessed_usd += price.cost(whole) or 0.0
