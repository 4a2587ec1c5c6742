"""Predictions for a replay: nobody is judged by a predictor that saw its task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import UsageError
from ...rollouts.steering.predictor import Predictor
from .data import Trace
from .make import make_predictor

__all__ = ["Judges", "judges_for"]


@dataclass(frozen=True, slots=True)
class Judges:
    """A predictor for each trace."""

    each: tuple[Predictor, ...]
    folds: tuple[int, ...]
    """The part that each trace is in; traces of one task are in one part."""
    unseen: int
    """Traces that the given predictor may judge itself, since their tasks are new to it."""


def judges_for(
    traces: Sequence[Trace], given: Predictor, folds: int, seed: int, each: Callable[[], None] = lambda: None
) -> Judges:
    """The given predictor for tasks that it has not seen; for others one made by its recipe from other parts.

    Raises UsageError when there is nothing else to learn from.
    """
    tasks = sorted({trace.task for trace in traces})
    order = [int(place) for place in np.random.default_rng(seed).permutation(len(tasks))]
    count = min(folds, len(tasks))
    part = {tasks[place]: number % count for number, place in enumerate(order)}
    seen = set(given.tasks)
    if seen.isdisjoint(tasks):
        return Judges((given,) * len(traces), tuple(part[trace.task] for trace in traces), len(traces))
    if count < 2:
        raise UsageError("the predictor has seen the only task of these runs, and there is no other to learn from")
    made = dict[int, Predictor]()
    for number in range(count):
        others = [trace for trace in traces if part[trace.task] != number]
        made[number] = make_predictor(others, given.target, given.recipe)
        each()
    judges = tuple(made[part[trace.task]] if trace.task in seen else given for trace in traces)
    unseen = sum(trace.task not in seen for trace in traces)
    return Judges(judges, tuple(part[trace.task] for trace in traces), unseen)
