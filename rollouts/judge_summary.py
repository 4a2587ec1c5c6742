"""What a judge said of a run, and what that took."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..rewards.judge.outcome import Outcome
from ..rewards.scores import CRITERIA, CriterionScore
from ..rewards.service.usage import Usage

__all__ = ["CriterionSummary", "JudgeSummary"]


@dataclass(slots=True)
class CriterionSummary:
    """One criterion over all steps."""

    scored: int = 0
    unscored: int = 0
    total: float = 0.0
    spreads: int = 0
    spread_total: float = 0.0

    def add(self, score: CriterionScore) -> None:
        """Count a step."""
        if score.score is None:
            self.unscored += 1
            return
        self.scored += 1
        self.total += score.score
        if score.spread is not None:
            self.spreads += 1
            self.spread_total += score.spread

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "mean": round(self.total / self.scored, 6) if self.scored else None,
            "scored": self.scored,
            "unscored": self.unscored,
            "mean_spread": round(self.spread_total / self.spreads, 6) if self.spreads else None,
        }


@dataclass(slots=True)
class JudgeSummary:
    """Sums over the steps of one sitting; memory grows by 8 bytes a request."""

    layer: str
    steps: int = 0
    flagged: int = 0
    """Steps with an attempt to instruct the judge."""
    asked: int = 0
    """Questions: steps x models x samples."""
    cached: int = 0
    """Of those, answered from the cache."""
    requests: int = 0
    """New requests that were answered."""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = 0.0
    """Of the new requests; None when a model has no price or the service did not say what it used."""
    seconds: float = 0.0
    criteria: dict[str, CriterionSummary] = field(
        default_factory=lambda: {name: CriterionSummary() for name in CRITERIA}
    )
    troubles: Counter[str] = field(default_factory=Counter[str])
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    """An example of each kind of trouble."""
    latencies: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, criteria: Mapping[str, CriterionScore], outcomes: Sequence[Outcome], *, flagged: bool) -> None:
        """Count a step."""
        self.steps += 1
        self.flagged += flagged
        for name, score in criteria.items():
            self.criteria[name].add(score)
        for outcome in outcomes:
            self._ask(outcome)

    def _ask(self, outcome: Outcome) -> None:
        self.asked += 1
        if outcome.trouble is not None:
            self.troubles[outcome.trouble] += 1
            self.reasons.setdefault(outcome.trouble, str(outcome.error))
        if outcome.cached:
            self.cached += 1
        elif outcome.requests:
            self.requests += outcome.requests
            self.usage = self.usage.plus(outcome.usage)
            known = self.cost_usd is not None and outcome.cost_usd is not None
            self.cost_usd = (self.cost_usd or 0.0) + (outcome.cost_usd or 0.0) if known else None
            self.latencies.append(outcome.latency_ms or 0.0)

    def latency(self, share: float) -> float | None:
        """Milliseconds within which that share of the new questions was answered, by the nearest rank."""
        ordered = sorted(self.latencies)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "layer": self.layer,
            "steps": self.steps,
            "criteria": {name: one.as_dict() for name, one in self.criteria.items()},
            "flagged_steps": self.flagged,
            "questions": self.asked,
            "cache_hits": self.cached,
            "cache_hit_share": round(self.cached / self.asked, 4) if self.asked else None,
            "requests": self.requests,
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
            "cost_usd": self.cost_usd,
            "latency_p50_ms": self.latency(0.5),
            "latency_p95_ms": self.latency(0.95),
            "seconds": round(self.seconds, 3),
            "troubles": dict(self.troubles),
            "reasons": self.reasons,
        }
