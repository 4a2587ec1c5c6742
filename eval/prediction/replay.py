"""Policies replayed offline: what success would have cost, had the episodes been steered.

Early stop: an episode that is stopped counts as not resolved, whatever its patch was by then, and costs what it had
cost by then. Dynamic time-out: a command that took longer than its deadline is cut there. What was cut is lost, unless
it was going to time out anyway: an episode that lost a result counts as not resolved (`cut`) or as it was (`cut, at
best`). With a retry nothing is lost, and the deadline's time is spent besides. How long a second try takes, a record
tells only where the agent made one itself: `retry` has it take as long as the first; `retry, as repeated` as long as
the agent's own next try, which then need not be made, or as those of other tasks did on average.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...rollouts.steering.config import DynamicTimeout
from ...rollouts.steering.facts import StepFacts
from ...rollouts.steering.predictor import Predictor
from .crossed import Judges
from .data import Trace
from .metrics import Estimate, Resamples, estimate
from .problem import Floats
from .replay_results import Point

__all__ = ["MARGINS", "THRESHOLDS", "Ledger", "base_ledger", "early_stop", "point", "timeouts"]

THRESHOLDS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
MARGINS = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_REPEATED = "retry, as repeated"
UNITS = ("usd", "million_tokens", "minutes")


@dataclass(frozen=True, slots=True)
class Ledger:
    """Episodes by position: whether they are resolved, what they cost, whether a policy touched them. NaN: unknown."""

    resolved: Floats
    spent: Mapping[str, Floats]
    touched: Floats


def base_ledger(traces: Sequence[Trace]) -> Ledger:
    """As recorded."""
    spent = {
        "usd": [trace.cost_usd for trace in traces],
        "million_tokens": [None if trace.tokens is None else trace.tokens / 1e6 for trace in traces],
        "minutes": [None if trace.wall_s is None else trace.wall_s / 60 for trace in traces],
    }
    known = {unit: _array(values) for unit, values in spent.items()}
    return Ledger(_array([float(bool(trace.resolved)) for trace in traces]), known, np.zeros(len(traces)))


def _array(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def early_stop(traces: Sequence[Trace], judges: Judges) -> Callable[[float], Ledger]:
    """For a threshold, the episodes as they would have been."""
    base = base_ledger(traces)
    chances = [_chances(trace, judge) for trace, judge in zip(traces, judges.each, strict=True)]

    def at(threshold: float) -> Ledger:
        resolved, touched = base.resolved.copy(), base.touched.copy()
        spent = {unit: values.copy() for unit, values in base.spent.items()}
        for i, found in enumerate(chances):
            step = next((step for step, chance in found if chance < threshold), None)
            if step is None:
                continue
            resolved[i], touched[i] = 0.0, 1.0
            for unit, value in _spent_by(traces[i], step).items():
                spent[unit][i] = min(spent[unit][i], value)
        return Ledger(resolved, spent, touched)

    return at


def _chances(trace: Trace, judge: Predictor) -> list[tuple[int, float]]:
    """The steps after which it could be stopped, and the predicted success there."""
    heads = {head.at: head for head in judge.heads if head.at is not None and len(trace.steps) > head.at}
    return [(at, heads[at].predict(trace.after(at))) for at in sorted(heads)]


def _spent_by(trace: Trace, steps: int) -> dict[str, float]:
    """What an episode had spent after so many steps; NaN where that is not known."""
    answers = trace.answers(steps - 1)
    elapsed = trace.elapsed[steps - 1]
    costs = [None] if answers is None else [one.cost_usd for one in answers]
    tokens = [None] if answers is None else [n for one in answers for n in (one.input_tokens, one.output_tokens)]
    return {
        "usd": float(_array(costs).sum()),
        "million_tokens": float(_array(tokens).sum()) / 1e6,
        "minutes": np.nan if elapsed is None else elapsed / 60,
    }


def timeouts(traces: Sequence[Trace], judges: Judges, config: DynamicTimeout) -> Callable[[float, str], Ledger]:
    """For a margin and a way (`cut`, `cut, at best`, `retry` or `retry, as repeated`), the episodes as they would
    have been.
    """
    base = base_ledger(traces)
    calls = [_calls(trace, judges.each[i], config.quantile) for i, trace in enumerate(traces)]
    usual = _usual_repeats(traces, calls)

    def at(margin: float, way: str) -> Ledger:
        wanted = config.model_copy(update={"margin": margin})
        resolved, touched = base.resolved.copy(), base.touched.copy()
        minutes = base.spent["minutes"].copy()
        for i, found in enumerate(calls):
            before = False
            for call in found:
                deadline = wanted.deadline(call.predicted) * 1000
                made, before = call.second and before and way == _REPEATED, call.took > deadline
                if made or not before:
                    continue  # it is the second try of a call that was cut, or in time
                touched[i] = 1.0
                minutes[i] += call.changed(way, wanted, usual.get(traces[i].task)) / 60_000
                if way == "cut" and not call.hopeless:
                    resolved[i] = 0.0
        return replace(base, resolved=resolved, spent={**base.spent, "minutes": minutes}, touched=touched)

    return at


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that could hit a deadline. Times are milliseconds."""

    took: float
    predicted: float
    hopeless: bool
    """It timed out anyway."""
    second: bool
    """It is the agent's own next try of a call that timed out."""
    again: "_Call | None" = None
    """The agent's own next try, where it made one after this one timed out."""

    def changed(self, way: str, config: DynamicTimeout, usual: float | None) -> float:
        """By how much the episode is longer when it is cut."""
        deadline = config.deadline(self.predicted) * 1000
        if way.startswith("cut"):
            return deadline - self.took
        if way == "retry" or not self.hopeless:
            return deadline
        if self.second:
            return deadline - self.took  # what timed out in full is not tried twice again
        if self.again is not None:
            # The second try takes the place of the agent's own, which it makes all the same when that hung too.
            own = config.deadline(self.again.predicted) * 1000 if self.again.hopeless else 0.0
            return deadline - self.took + min(own, self.again.took)
        return deadline if usual is None else deadline + usual - self.took


def _calls(trace: Trace, judge: Predictor, quantile: float) -> list[_Call]:
    head = judge.head_for(quantile)
    found = list[_Call]()
    following: StepFacts | None = None
    later: _Call | None = None
    known = [(step, head.predict(history.call_vector(step.call))) for history, step in trace.histories()]
    for place in reversed(range(len(known))):
        step, predicted = known[place]
        if step.tool_ms is None or step.action == "malformed":
            following, later = step, None
            continue
        again = later if step.error == "timeout" and following is not None and _same(step, following) else None
        second = place > 0 and known[place - 1][0].error == "timeout" and _same(known[place - 1][0], step)
        following, later = step, _Call(step.tool_ms, predicted, step.error == "timeout", second, again)
        found.append(later)
    return found[::-1]


def _same(step: StepFacts, following: StepFacts) -> bool:
    """Whether a step is the one before it, done again."""
    return bool(following.repeated) and following.call == step.call


def _usual_repeats(traces: Sequence[Trace], calls: Sequence[Sequence[_Call]]) -> dict[str, float]:
    """For each task what a second try after a time-out took on average in the other tasks; none where there is none."""
    by_task = dict[str, list[float]]()
    for trace, found in zip(traces, calls, strict=True):
        by_task.setdefault(trace.task, []).extend(call.again.took for call in found if call.again is not None)
    total, count = sum(map(sum, by_task.values())), sum(map(len, by_task.values()))
    return {task: (total - sum(mine)) / (count - len(mine)) for task, mine in by_task.items() if count > len(mine)}


def point(name: str, setting: float, base: Ledger, steered: Ledger, samples: Resamples) -> Point:
    """A policy's figures beside those without it, in the same resamples."""
    figures = dict[str, Estimate | None]()
    for unit in UNITS:
        known = ~np.isnan(base.spent[unit]) & ~np.isnan(steered.spent[unit])
        enough = known.any() and float(base.spent[unit][known].sum()) > 0
        figures |= _per(unit, base, steered, known.astype(np.float64), samples) if enough else {}
    won = samples.sums(base.resolved)
    with np.errstate(invalid="ignore", divide="ignore"):
        kept = samples.sums(steered.resolved) / won
    return Point(
        policy=name,
        setting=setting,
        touched=float(steered.touched.mean()),
        resolved=float(steered.resolved.mean()),
        successes_kept=estimate(kept),
        figures={key: value for key, value in figures.items() if value is not None},
    )


def _per(unit: str, base: Ledger, steered: Ledger, known: Floats, samples: Resamples) -> dict[str, Estimate | None]:
    """Successes per unit with and without, how much more that is, and the share of the spending that is saved."""

    def sums(values: Floats) -> Floats:
        return samples.sums(np.where(known > 0, values, 0.0))

    spent, spent_now = sums(base.spent[unit]), sums(steered.spent[unit])
    with np.errstate(invalid="ignore", divide="ignore"):
        before, after = sums(base.resolved) / spent, sums(steered.resolved) / spent_now
        gain, saved = after / before - 1, 1 - spent_now / spent
    return {
        f"per_{unit}_without": estimate(before),
        f"per_{unit}": estimate(after),
        f"per_{unit}_gain": estimate(gain),
        f"{unit}_saved": estimate(saved),
    }
