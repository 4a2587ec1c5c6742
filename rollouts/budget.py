"""What an episode and a run may cost, and who counts it."""

import threading

from pydantic import BaseModel, ConfigDict, Field

from ..errors import ConfigError, StopReason
from ..rewards.service.usage import Price, PriceTable, Usage

__all__ = ["Budget", "Ledger", "Price", "PriceTable", "RunLedger", "cost_ceiling"]


class Budget(BaseModel):
    """Limits besides those of the environment; None is no limit. Those of the run may change when it is resumed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: int | None = Field(default=None, ge=1)
    """Input and output tokens an episode may use."""
    cost_usd: float | None = Field(default=None, ge=0)
    """Money an episode may cost."""
    run_seconds: float | None = Field(default=None, gt=0)
    """Wall time the run may take; episodes that it ends are redone on resume."""
    run_cost_usd: float | None = Field(default=None, ge=0)
    """Money the run may cost, earlier sittings included."""

    @property
    def counts_money(self) -> bool:
        """Whether some limit needs prices."""
        return self.cost_usd is not None or self.run_cost_usd is not None


class RunLedger:
    """Counts what a run has spent. Thread-safe."""

    def __init__(self, budget: Budget, spent_usd: float = 0.0) -> None:
        self.budget = budget
        self._spent = spent_usd
        self._lock = threading.Lock()

    @property
    def spent_usd(self) -> float:
        """Everything that is known to have been spent."""
        return self._spent

    @property
    def exhausted(self) -> bool:
        """Whether the run may spend no more."""
        limit = self.budget.run_cost_usd
        return limit is not None and self._spent >= limit

    def add(self, cost: float) -> None:
        """Count `cost` dollars."""
        with self._lock:
            self._spent += cost


class Ledger:
    """Counts what one episode has used. One thread writes it."""

    def __init__(self, run: RunLedger, price: Price | None) -> None:
        self.run = run
        self.price = price
        self.usage = Usage()
        self.requests = 0
        self._cost: float | None = 0.0 if price is not None else None

    @property
    def cost_usd(self) -> float | None:
        """What the episode has cost; None when it asked a model whose price, or usage, is not known."""
        return 0.0 if self.requests == 0 else self._cost

    def exceeded(self) -> tuple[StopReason, str] | None:
        """The limit that forbids another request, and a sentence about it."""
        budget = self.run.budget
        if budget.cost_usd is not None and (self.cost_usd or 0.0) >= budget.cost_usd:
            return StopReason.COST_LIMIT, f"the episode has cost {self.cost_usd:.4f} of {budget.cost_usd} USD"
        if self.run.exhausted:
            # Not an outcome of the episode: it is done again when the run goes on with a larger budget.
            return StopReason.INTERRUPTED, f"the run has cost {self.run.spent_usd:.4f} of {budget.run_cost_usd} USD"
        if budget.tokens is not None and (self.usage.total or 0) >= budget.tokens:
            return StopReason.TOKEN_LIMIT, f"the episode has used {self.usage.total} of {budget.tokens} tokens"
        return None

    def add(self, usage: Usage) -> float | None:
        """Count one request and give its cost. Raises ConfigError when a limit cannot be kept without it."""
        cost = self.price.cost(usage) if self.price else None
        self.charge(usage, cost)
        return cost

    def charge(self, usage: Usage, cost: float | None, requests: int = 1) -> None:
        """Count requests whose cost somebody else worked out. Raises ConfigError as `add` does."""
        self.requests += requests
        self.usage = self.usage.plus(usage)
        if cost is None:
            self._cost = None
            if self.run.budget.counts_money:
                raise ConfigError("the service reports no token usage, so the cost limit cannot be kept; remove it")
        else:
            self.run.add(cost)
            self._cost = None if self._cost is None else self._cost + cost


def cost_ceiling(budget: Budget, price: Price | None, episodes: int) -> float | None:
    """The most that `episodes` may cost, the last request of each aside; None when nothing bounds it."""
    limits = list[float]()
    if budget.cost_usd is not None:
        limits.append(budget.cost_usd * episodes)
    if budget.tokens is not None and price is not None:
        dearest = max(price.input, price.output, price.cached_input or 0, price.cache_creation or 0)
        limits.append(budget.tokens * dearest / 1e6 * episodes)
    if budget.run_cost_usd is not None:
        limits.append(budget.run_cost_usd)
    return min(limits, default=None)
