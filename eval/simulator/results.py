"""What a simulation came to, as data, with intervals over seeds: `simulation.json`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from ..gate.clusters import quantile
from .cluster import Outcome
from .config import SimulatorConfig

__all__ = ["FIGURES", "Mean", "PolicyResult", "SimulationReport", "compare", "figures_of"]

_STRICT = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null", use_attribute_docstrings=True)
FIGURES = {
    "completion_mean_s": "mean job completion time in seconds, from a session's arrival to its last answer",
    "completion_p50_s": "its median",
    "completion_p95_s": "its 95th percentile",
    "slowdown_mean": "completion time over what the session takes alone with a perfect cache, mean",
    "queued_mean_s": "seconds that a request waits for a place, mean",
    "hit_share": "share of the tokens that a session had sent before which were still cached",
    "prefilled_tokens": "prompt tokens that were read",
    "sessions_per_minute": "sessions completed a minute until the last one",
    "output_tokens_per_s": "tokens generated a second until then",
    "evictions": "caches of idle sessions that made room",
}
"""What is reported, and what it means."""


class Mean(BaseModel):
    """Mean over seeds, with Student's 95% interval; None with one seed."""

    model_config = _STRICT

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        return f"{self.value:.4g}" if self.low is None else f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


class PolicyResult(BaseModel):
    """One policy."""

    model_config = _STRICT

    name: str
    figures: dict[str, Mean]
    over_first: dict[str, Mean]
    """Ratio to the first policy, less 1, on the same arrivals: -0.1 is a tenth less."""


class SimulationReport(BaseModel):
    """Everything that one call of `trajhub trace simulate` found."""

    model_config = _STRICT

    sources: tuple[str, ...]
    config: SimulatorConfig
    sessions: int
    requests: int
    left_out: dict[str, int]
    seeds: int
    """Simulations of each policy; 1 where nothing is drawn."""
    policies: tuple[PolicyResult, ...]


def figures_of(outcome: Outcome) -> dict[str, float]:
    """The figures of one simulation."""
    took = np.array(outcome.completion)
    span = max(outcome.end, 1e-9)
    return {
        "completion_mean_s": float(took.mean()),
        "completion_p50_s": float(np.quantile(took, 0.5)),
        "completion_p95_s": float(np.quantile(took, 0.95)),
        "slowdown_mean": float(np.mean(outcome.slowdown)),
        "queued_mean_s": outcome.queued / outcome.requests,
        "hit_share": outcome.cached_tokens / outcome.prefix_tokens if outcome.prefix_tokens else 0.0,
        "prefilled_tokens": float(outcome.prompt_tokens - outcome.cached_tokens),
        "sessions_per_minute": 60 * len(took) / span,
        "output_tokens_per_s": outcome.output_tokens / span,
        "evictions": float(outcome.evictions),
    }


def compare(found: Mapping[str, Sequence[Mapping[str, float]]]) -> tuple[PolicyResult, ...]:
    """From the figures of each policy, one set a seed."""
    first = next(iter(found.values()))
    return tuple(
        PolicyResult(
            name=name,
            figures={key: _mean([one[key] for one in sets]) for key in FIGURES},
            over_first={
                key: _mean([one[key] / base[key] - 1 for one, base in zip(sets, first, strict=True)])
                for key in FIGURES
                if all(base[key] > 0 for base in first)
            },
        )
        for name, sets in found.items()
    )


def _mean(values: Sequence[float]) -> Mean:
    given: Any = np.array(values)
    middle = float(given.mean())
    if len(values) < 2:
        return Mean(value=middle)
    half = quantile(0.975, len(values) - 1) * float(given.std(ddof=1)) / len(values) ** 0.5
    return Mean(value=middle, low=middle - half, high=middle + half)
