"""What came of asking about a step."""

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..service.usage import Usage
from .schema import Answer
from .view import StepView

__all__ = ["Outcome", "Pending", "Trouble"]

Trouble = Literal["malformed", "service", "too_long", "budget", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of asking one model once."""

    model: str
    endpoint: str
    sample: int
    key: str
    """Address of the whole exchange in the cache."""
    answer: Answer | None = None
    error: str | None = None
    """Why there is no answer."""
    trouble: Trouble | None = None
    cached: bool = False
    requests: int = 0
    """Answers it took, also where they came from the cache."""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    latency_ms: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: everything but the reasons, which the cache holds."""
        scores = {name: one["score"] for name, one in self.answer.model_dump().items()} if self.answer else None
        return {
            "model": self.model,
            "endpoint": self.endpoint,
            "sample": self.sample,
            "key": self.key,
            "scores": scores,
            "error": self.error,
            "trouble": self.trouble,
            "cached": self.cached,
            "requests": self.requests,
            "usage": self.usage.model_dump(exclude_none=True),
            "cost_usd": self.cost_usd,
            "latency_ms": self.latency_ms,
        }


@dataclass(frozen=True, slots=True)
class Pending:
    """Questions about one step that are being asked."""

    view: StepView
    asked: tuple[tuple[Future[Outcome], bool], ...]
    """Each with whether somebody else asked the same before."""

    def outcomes(self) -> tuple[Outcome, ...]:
        """Wait for all of them. Raises ConfigError when the service refuses the key or the model."""
        found = [(future.result(), shared) for future, shared in self.asked]
        return tuple(replace(one, cached=True) if shared and one.requests else one for one, shared in found)
