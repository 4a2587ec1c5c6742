"""Labels as tables: who gave what to which item, by criterion."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ..scores import CRITERIA
from .bootstrap import Floats
from .labels import PairLabel, StepLabel

__all__ = ["PREFERENCE", "Ratings", "ratings_of"]

PREFERENCE = "preference"
"""Choices between two trajectories, measured like a criterion: a is 1, b is 0, a tie between them."""
_CHOICE: Mapping[str, float] = MappingProxyType({"a": 1.0, "tie": 0.5, "b": 0.0})


@dataclass(frozen=True, slots=True)
class Ratings:
    """Who gave what to which item, by one criterion."""

    criterion: str
    items: tuple[str, ...]
    annotators: tuple[str, ...]
    values: Floats
    """(items, annotators), NaN where somebody did not rate."""

    def shared(self) -> "Ratings":
        """Only the items that at least two people rated."""
        kept = np.flatnonzero(np.isfinite(self.values).sum(axis=1) >= 2)
        return Ratings(self.criterion, tuple(self.items[i] for i in kept), self.annotators, self.values[kept])


def ratings_of(steps: Iterable[StepLabel], pairs: Iterable[PairLabel] = ()) -> list[Ratings]:
    """The labels as one table for each criterion, in the order of `CRITERIA`, preferences last."""
    given: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    names: dict[str, str] = {}
    for step in steps:
        given[step.criterion][step.item_id, step.annotator] = step.value
        names[step.item_id] = f"{step.run_id}/{step.episode_id} step {step.step}"
    for pair in pairs:
        given[PREFERENCE][pair.item_id, pair.annotator] = _CHOICE[pair.chosen]
        names[pair.item_id] = f"{pair.run_a}/{pair.episode_a} or {pair.run_b}/{pair.episode_b}"
    return [_table(name, given[name], names) for name in (*CRITERIA, PREFERENCE) if name in given]


def _table(criterion: str, given: Mapping[tuple[str, str], float], names: Mapping[str, str]) -> Ratings:
    items = sorted({item for item, _ in given}, key=lambda item: (names[item], item))
    people = sorted({annotator for _, annotator in given})
    values = [[given.get((item, annotator), np.nan) for annotator in people] for item in items]
    return Ratings(criterion, tuple(names[item] for item in items), tuple(people), np.array(values, dtype=np.float64))
