"""Preferences between single steps: the same was done and seen before, then something else was done.

Episodes of one task form a tree: they share a state as long as they did the same and saw the same (times apart). An
action at a state is worth the mean of what became of the episodes that took it, its continuations. It makes no
difference whether they happened to begin alike, or were branched there on purpose (see `training.sampling`).
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

from ..config import PairsConfig
from ..trajectories.refusal import Refusal, Refusals
from ..trajectories.similarity import jaccard, shingles
from .compare import Candidate, fork_id
from .confidence import Basis, posterior
from .pairs import common_fields, side_of
from .preference import Preference, Reason

__all__ = ["Alternative", "step_pairs"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One action at a state, and the episodes that took it."""

    action: str
    turn: int
    episodes: tuple[Candidate, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Its continuations, by name."""
        return tuple(episode.name for episode in self.episodes)

    def outcomes(self) -> list[float] | None:
        """1 or 0 for each continuation; None unless all have a verdict."""
        found = [episode.resolved for episode in self.episodes]
        return [float(each) for each in found if each is not None] if None not in found else None

    def scores(self) -> list[float] | None:
        """The process score of each continuation; None unless all have one."""
        found = [episode.score for episode in self.episodes]
        return [each for each in found if each is not None] if None not in found else None


@dataclass(frozen=True, slots=True)
class _Found:
    chosen: Alternative
    rejected: Alternative
    reason: Reason
    values: tuple[float, float]
    confidence: float
    pair_id: str

    @property
    def margin(self) -> float:
        return round(self.values[0] - self.values[1], 6)

    def rank(self, seed: int) -> tuple[object, ...]:
        by_process = self.reason is Reason.PROCESS
        return by_process, -self.confidence, -self.margin, fork_id(str(seed), self.pair_id)


def step_pairs(candidates: Sequence[Candidate], config: PairsConfig, refusals: Refusals) -> Iterator[Preference]:
    """The pairs that the episodes of one task give, by state; all others are counted."""
    for alternatives in _forks(candidates):
        found = list[_Found]()
        for left, right in combinations(alternatives, 2):
            pair = _examine(left, right, config)
            if isinstance(pair, _Found):
                found.append(pair)
            else:
                refusals.add(pair, _named(left, right))
        found.sort(key=lambda one: one.rank(config.seed))
        for pair in found[config.per_state :]:
            refusals.add(Refusal.ENOUGH, _named(pair.chosen, pair.rejected))
        for pair in found[: config.per_state]:
            yield _preference(pair)


def _forks(candidates: Sequence[Candidate]) -> Iterator[list[Alternative]]:
    """The states at which different things were done, earliest first, with what was done there."""
    states: deque[tuple[int, list[Candidate]]] = deque((0, group) for group in _grouped(candidates, _start))
    while states:
        turn, here = states.popleft()
        going_on = [candidate for candidate in here if turn < len(candidate.actions)]
        groups = _grouped(going_on, partial(_action, turn))
        found = [Alternative(_action(turn, group[0]), turn, _acting(group, turn)) for group in groups]
        alternatives = [each for each in found if each.episodes]
        if len(alternatives) > 1:
            yield alternatives
        states += [(turn + 1, same) for group in groups for same in _same_seen(group, turn)]


def _action(turn: int, candidate: Candidate) -> str:
    return candidate.actions[turn]


def _start(candidate: Candidate) -> str:
    return candidate.start


def _acting(candidates: Sequence[Candidate], turn: int) -> tuple[Candidate, ...]:
    """The episodes that are continuations of their own of what they did by a turn.

    What a branched episode took over was done once, by its parent, and is counted there; but of the last of these
    steps, the branch is a further continuation.
    """
    return tuple(
        each for each in candidates if each.usable.conversation.turns[turn].steps[-1] >= each.usable.inherited - 1
    )


def _grouped(candidates: Sequence[Candidate], key: Callable[[Candidate], str]) -> list[list[Candidate]]:
    """The candidates by a key, in its order."""
    found: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        found[key(candidate)].append(candidate)
    return [found[each] for each in sorted(found)]


def _same_seen(candidates: Sequence[Candidate], turn: int) -> list[list[Candidate]]:
    """Those that saw the same by a turn, together; nobody who is alone."""
    groups = _grouped(candidates, lambda each: each.seen(turn))
    if len(groups) > 1:
        groups = _grouped(candidates, lambda each: each.seen_plainly(turn))
    return [group for group in groups if len(group) > 1]


def _examine(left: Alternative, right: Alternative, config: PairsConfig) -> _Found | Refusal:
    if jaccard(shingles(left.action, 2), shingles(right.action, 2)) >= config.near_duplicate:
        return Refusal.NEAR_DUPLICATE
    if min(len(left.episodes), len(right.episodes)) < config.min_rollouts:
        return Refusal.FEW_ROLLOUTS
    comparable = False
    for by in config.by:
        values = (left.outcomes(), right.outcomes()) if by == "outcome" else _scores(left, right)
        if values[0] is None or values[1] is None:
            continue
        comparable = True
        means = _mean(values[0]), _mean(values[1])
        if abs(means[0] - means[1]) < max(config.step_margin, 1e-6):
            continue
        first = means[0] > means[1]
        chosen, rejected = (left, right) if first else (right, left)
        confidence = posterior(values[0] if first else values[1], values[1] if first else values[0])
        if confidence < config.min_confidence:
            return Refusal.CONFIDENCE
        pair_id = fork_id("step", chosen.names[0], rejected.names[0], str(_step(left)))
        return _Found(chosen, rejected, Reason(by), (max(means), min(means)), confidence, pair_id)
    return Refusal.TIE if comparable else Refusal.NOT_COMPARABLE


def _scores(left: Alternative, right: Alternative) -> tuple[list[float] | None, list[float] | None]:
    """Process scores, where the same layers gave them."""
    layers = {episode.layers for side in (left, right) for episode in side.episodes}
    return (left.scores(), right.scores()) if len(layers) == 1 else (None, None)


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 6)


def _step(alternative: Alternative) -> int:
    return alternative.episodes[0].usable.conversation.turns[alternative.turn].steps[0]


def _named(left: Alternative, right: Alternative) -> str:
    return f"{left.names[0]} | {right.names[0]} (step {_step(left)})"


def _preference(pair: _Found) -> Preference:
    first, other = pair.chosen.episodes[0], pair.rejected.episodes[0]
    turn = first.usable.conversation.turns[pair.chosen.turn].message
    other_turn = other.usable.conversation.turns[pair.rejected.turn].message
    return Preference(
        pair_id=pair.pair_id,
        level="step",
        step=_step(pair.chosen),
        prompt=first.messages[:turn],
        chosen=side_of(first, first.messages[turn : turn + 1], pair.values[0], pair.chosen.names),
        rejected=side_of(other, other.messages[other_turn : other_turn + 1], pair.values[1], pair.rejected.names),
        reason=pair.reason,
        why=_why(pair),
        layers=("verdict",) if pair.reason is Reason.OUTCOME else first.layers,
        margin=pair.margin,
        confidence=pair.confidence,
        basis=Basis.POSTERIOR,
        **common_fields(first),
    )


def _why(pair: _Found) -> str:
    counts = len(pair.chosen.episodes), len(pair.rejected.episodes)
    if pair.reason is Reason.OUTCOME:
        solved = [round(value * count) for value, count in zip(pair.values, counts, strict=True)]
        return f"{solved[0]} of {counts[0]} continuations resolved, against {solved[1]} of {counts[1]}"
    means = f"{pair.values[0]:.3f} of {counts[0]} continuations, against {pair.values[1]:.3f} of {counts[1]}"
    return f"mean process score {means}"
