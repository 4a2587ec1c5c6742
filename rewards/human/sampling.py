"""Which items are worth a person's time. Every strategy is a pure function of the candidates and the seed."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from ...errors import UsageError
from ..scores import CRITERIA
from .labels import PairItem, StepItem

__all__ = ["STRATEGIES", "Candidate", "Strategy", "shuffle_key", "shuffled", "take"]

Strategy = Literal["random", "disagreement", "criterion", "outcome"]
STRATEGIES: tuple[str, ...] = get_args(Strategy)
_RANGES = 5
_Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An item that may be labelled, and what strategies know of it. None of this is ever shown to an annotator."""

    item: StepItem | PairItem
    rules: _Scores = field(default_factory=dict[str, float])
    """The rules' score by criterion, in [0, 1]; of a pair, half the difference of the episodes' means plus one half."""
    judge: _Scores = field(default_factory=dict[str, float])
    """The judge's, likewise."""
    outcome: str = "not graded"
    """The stratum it belongs to."""

    @property
    def disagreement(self) -> float | None:
        """The largest difference between the two layers by one criterion; None where they share no criterion."""
        shared = self.rules.keys() & self.judge.keys()
        return max((abs(self.rules[name] - self.judge[name]) for name in shared), default=None)


def shuffle_key(seed: int, *parts: str) -> str:
    """Where something comes in a random order; the same on every machine."""
    return hashlib.sha256("\x1f".join([str(seed), *parts]).encode()).hexdigest()


def shuffled(candidates: Iterable[Candidate], seed: int) -> list[Candidate]:
    """The candidates in the random order of `seed`, whatever order they come in."""
    return sorted(candidates, key=lambda candidate: shuffle_key(seed, candidate.item.item_id))


def take(
    candidates: Iterable[Candidate], strategy: str, *, limit: int | None, seed: int, criterion: str | None = None
) -> list[Candidate]:
    """At most `limit` candidates by `strategy`. Raises UsageError when it needs what the candidates lack."""
    if strategy not in STRATEGIES:
        raise UsageError(f"there is no strategy {strategy!r}; choose one of {', '.join(STRATEGIES)}")
    if (strategy == "criterion") != (criterion is not None):
        raise UsageError("the strategy criterion, and no other, needs --criterion NAME")
    ordered = shuffled(candidates, seed)
    if strategy == "disagreement":
        return _by_disagreement(ordered)[:limit]
    if strategy == "criterion":
        return _by_criterion(ordered, criterion or "")[:limit]
    if strategy == "outcome":
        return _in_turn(ordered, lambda candidate: candidate.outcome)[:limit]
    return ordered[:limit]


def _by_disagreement(ordered: Sequence[Candidate]) -> list[Candidate]:
    """Most disputed first; the sort is stable, so that equals stay in random order."""
    compared = [(dispute, each) for each in ordered if (dispute := each.disagreement) is not None]
    if ordered and not compared:
        missing = "scores of a judge" if any(each.rules for each in ordered) else "scores of the rules"
        raise UsageError(
            f"the strategy disagreement compares two layers, and the runs hold no {missing}; "
            "score them first (`trajhub judge RUN`), or choose another strategy"
        )
    return [each for _, each in sorted(compared, key=lambda pair: -pair[0])]


def _by_criterion(ordered: Sequence[Candidate], criterion: str) -> list[Candidate]:
    """In turn from each fifth of the range of one criterion's scores, so that rare scores are labelled as often."""
    if criterion not in CRITERIA:
        raise UsageError(f"there is no criterion {criterion!r}; choose one of {', '.join(CRITERIA)}")
    scored = [each for each in ordered if criterion in each.rules]
    if ordered and not scored:
        raise UsageError(f"the rules give no score for {criterion} anywhere in these runs; choose another strategy")
    return _in_turn(scored, lambda candidate: f"{min(int(candidate.rules[criterion] * _RANGES), _RANGES - 1)}")


def _in_turn(ordered: Iterable[Candidate], stratum: Callable[[Candidate], str]) -> list[Candidate]:
    """One of each stratum, then the next of each, until all are used; strata in the order of their names."""
    places: dict[str, int] = {}
    ranked = list[tuple[int, str, Candidate]]()
    for candidate in ordered:
        name = stratum(candidate)
        places[name] = place = places.get(name, 0) + 1
        ranked.append((place, name, candidate))
    return [candidate for _, _, candidate in sorted(ranked, key=lambda entry: entry[:2])]
