"""Prediction tasks: what is predicted, from what was known by then, and which rows belong together.

- `success`: after k steps, will the episode be resolved? Of episodes that go on after step k.
- `cost_overrun`: after k steps, will it cost more than the budget? Likewise.
- `next_tool_failure`: will the call that is about to be made fail?
- `tool_latency`: how long will the call that is about to be made take?
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...rollouts.steering.facts import StepFacts
from ...rollouts.steering.features import CALL_NAMES, NAMES
from ...rollouts.steering.predictor import Target
from .data import Trace

__all__ = ["CANDIDATES", "Budget", "Floats", "Problem", "call_problem", "choose_at", "episode_problem", "set_budget"]

Floats = NDArray[np.float64]
CANDIDATES = (1, 2, 3, 5, 8, 12, 20, 30, 50)
"""Steps after which episodes are looked at unless others are asked for."""
_ROWS, _EACH, _MOST = 40, 10, 5


@dataclass(frozen=True, slots=True)
class Budget:
    """What an episode may cost."""

    limit: float
    unit: Literal["usd", "tokens"]

    def cost(self, trace: Trace) -> float | None:
        """What an episode cost, in the unit."""
        return trace.cost_usd if self.unit == "usd" else trace.tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Rows to learn from."""

    target: Target
    at: int | None
    names: tuple[str, ...]
    x: Floats
    """Rows by features; NaN where not known."""
    y: Floats
    """0 or 1; for `tool_latency` log(1 + milliseconds)."""
    groups: NDArray[np.int64]
    """Number of each row's group: rows of one group never lie on both sides of a split."""
    rows: tuple[tuple[int, int], ...]
    """Where each row is from: trace and step."""

    @property
    def binary(self) -> bool:
        """Whether a probability is predicted, rather than a time."""
        return self.target != "tool_latency"

    @property
    def group_count(self) -> int:
        """How many groups there are."""
        return len(np.unique(self.groups))


def set_budget(traces: Sequence[Trace], limit: float | None) -> Budget:
    """A budget in US dollars where all costs are known, else in tokens; by default what 80% of the episodes cost.

    Raises UsageError when neither is known.
    """
    units: tuple[Literal["usd", "tokens"], ...] = ("usd", "tokens")
    for unit in units:
        costs = [Budget(0, unit).cost(trace) for trace in traces]
        known = [cost for cost in costs if cost is not None]
        if known and len(known) == len(costs) and (unit == "tokens" or max(known) > 0):
            return Budget(float(np.quantile(known, 0.8)) if limit is None else limit, unit)
    raise UsageError("cost_overrun needs the cost or the tokens of every episode; see `trajhub trace sql`")


def choose_at(traces: Sequence[Trace], outcomes: Sequence[bool | None]) -> tuple[int, ...]:
    """Steps at which enough episodes of both kinds go on. Raises UsageError when there is none."""
    found = [
        at for at in CANDIDATES if _enough([o for t, o in zip(traces, outcomes, strict=True) if len(t.steps) > at])
    ]
    if not found:
        told = f"{_ROWS} episodes that go on after the first step, {_EACH} of each outcome"
        raise UsageError(f"there is too little to learn from: at least {told}, are needed")
    places = {round(float(place)) for place in np.linspace(0, len(found) - 1, min(_MOST, len(found)))}
    return tuple(found[place] for place in sorted(places))


def _enough(outcomes: Sequence[bool | None]) -> bool:
    known = [outcome for outcome in outcomes if outcome is not None]
    return len(known) >= _ROWS and _EACH <= sum(known) <= len(known) - _EACH


def episode_problem(
    traces: Sequence[Trace], outcomes: Sequence[bool | None], target: Target, at: int, groups: Sequence[str]
) -> Problem:
    """One row for each episode that goes on after `at` steps and whose outcome is known."""
    chosen = [i for i, trace in enumerate(traces) if len(trace.steps) > at and outcomes[i] is not None]
    return Problem(
        target=target,
        at=at,
        names=NAMES,
        x=np.array([traces[i].after(at) for i in chosen], dtype=np.float64).reshape(len(chosen), len(NAMES)),
        y=np.array([float(bool(outcomes[i])) for i in chosen]),
        groups=_numbers([groups[i] for i in chosen]),
        rows=tuple((i, at) for i in chosen),
    )


def call_problem(
    traces: Sequence[Trace], target: Target, groups: Sequence[str], *, most: int | None = None, seed: int = 0
) -> Problem:
    """One row for each call whose outcome is known; `most` rows are drawn where there are more.

    A call that timed out says nothing of how long calls like it take that come to an end, so times are those of the
    others: else, where more than one in a hundred hangs, the longest time that is worth waiting would be the time-out.
    """
    found = [
        (i, j)
        for i, trace in enumerate(traces)
        for j, step in enumerate(trace.steps)
        if step.action != "malformed" and _known(step, target)
    ]
    if not found:
        raise UsageError(f"no call's outcome is known, so {target} cannot be learnt")
    if most is not None and len(found) > most:
        drawn = np.random.default_rng(seed).choice(len(found), most, replace=False)
        found = [found[int(place)] for place in np.sort(drawn)]
    wanted = set(found)
    vectors = [
        history.call_vector(step.call)
        for i, trace in enumerate(traces)
        for j, (history, step) in enumerate(trace.histories())
        if (i, j) in wanted
    ]
    steps = [traces[i].steps[j] for i, j in found]
    latency = target == "tool_latency"
    return Problem(
        target=target,
        at=None,
        names=CALL_NAMES,
        x=np.array(vectors, dtype=np.float64),
        y=np.array([log1p(step.tool_ms or 0.0) if latency else float(bool(step.failed)) for step in steps]),
        groups=_numbers([groups[i] for i, _ in found]),
        rows=tuple(found),
    )


def _known(step: StepFacts, target: Target) -> bool:
    if target == "tool_latency":
        return step.tool_ms is not None and step.error != "timeout"
    return step.failed is not None


def _numbers(labels: Sequence[str]) -> NDArray[np.int64]:
    order = {label: number for number, label in enumerate(sorted(set(labels)))}
    return np.array([order[label] for label in labels], dtype=np.int64)
