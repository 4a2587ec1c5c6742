"""Rows in token form: what a model read and wrote, by the ids that the server recorded, and never tokenised again.

A prompt that begins with all that was read and written before continues a sequence; where it does not (observations
were dropped from the context), a new sequence begins.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...rollouts.run_dir import EPISODES
from ...rollouts.tokens import TokenTurn, token_turns
from ..preferences.preference import Preference, Side
from ..trajectories.filters import EpisodeFilter
from ..trajectories.intake import Usable
from ..trajectories.records import Source
from .rows import Row, origin, pair_facts, reward_of

__all__ = ["NoTokens", "TokenRows", "sequences"]


class NoTokens(UsageError):
    """Raised for an episode whose tokens were not recorded, or are not one sequence where they have to be."""


@dataclass(frozen=True, slots=True)
class _Sequence:
    """Tokens that follow each other, and which of them the model wrote."""

    ids: tuple[int, ...]
    mask: tuple[int, ...]
    turns: tuple[TokenTurn, ...]


def sequences(turns: Sequence[TokenTurn]) -> Iterator[_Sequence]:
    """The turns, joined as far as each continues the one before."""
    chain = list[TokenTurn]()
    for turn in turns:
        if chain and not turn.continues(chain[-1]):
            yield _joined(chain)
            chain = []
        chain.append(turn)
    if chain:
        yield _joined(chain)


def _joined(chain: Sequence[TokenTurn]) -> _Sequence:
    """The mask leaves out answers that became no step: the episode was over by then."""
    last = chain[-1]
    ids = last.prompt_ids + last.completion_ids
    mask = [0] * len(ids)
    for turn in chain:
        if turn.steps:
            start = len(turn.prompt_ids)
            mask[start : start + len(turn.completion_ids)] = [1] * len(turn.completion_ids)
    return _Sequence(ids, tuple(mask), tuple(turn for turn in chain if turn.steps))


class TokenRows:
    """Makes rows of episodes, or of pairs of them; the last few episodes read are kept."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._folders: Mapping[str, Path] = {source.run_id: source.folder for source in sources}
        self._turns = lru_cache(64)(token_turns)

    def trajectory(self, usable: Usable) -> Iterator[Row]:
        """One row a sequence. Raises NoTokens."""
        for sequence in sequences(self._read(usable.outline.folder)):
            if sequence.turns:
                rewards = [reward_of(usable, turn.steps) for turn in sequence.turns]
                ids, mask = list(sequence.ids), list(sequence.mask)
                yield {"input_ids": ids, "assistant_masks": mask, **origin(usable), "rewards": rewards}

    def steps(self, usable: Usable, wanted: EpisodeFilter) -> Iterator[Row | None]:
        """One row an answer; None for one whose steps are not worth enough. Raises NoTokens."""
        for turn in self._read(usable.outline.folder):
            if not turn.steps or turn.steps[0] < usable.inherited:
                continue
            if not all(wanted.reward(reward) for reward in usable.step_rewards(turn.steps)):
                yield None
                continue
            yield {
                "prompt_ids": list(turn.prompt_ids),
                "completion_ids": list(turn.completion_ids),
                **origin(usable),
                "step": turn.steps[0],
                "reward": reward_of(usable, turn.steps),
            }

    def preference(self, pair: Preference) -> Row:
        """A pair; its prompt is what the tokens of both sides share. Raises NoTokens."""
        ids, masks = zip(*(self._side(side, pair) for side in (pair.chosen, pair.rejected)), strict=True)
        shared = _shared(ids, masks)
        tokens: dict[str, Any] = {"prompt_ids": list(ids[0][:shared])}
        for name, found, mask in zip(("chosen", "rejected"), ids, masks, strict=True):
            tokens |= {f"{name}_ids": list(found[shared:]), f"{name}_masks": list(mask[shared:])}
        return {**tokens, **pair_facts(pair)}

    def _side(self, side: Side, pair: Preference) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """From the beginning to the end of the answer that differs, or of the episode."""
        folder = self._folders[side.run_id] / EPISODES / side.episode_id
        turns = [turn for turn in self._read(folder) if turn.steps]
        first = next((at for at, turn in enumerate(turns) if pair.step in turn.steps), None)
        if first is None:
            raise NoTokens(f"{folder.name}: no model took step {pair.step}")
        compared = turns[first : first + 1] if pair.level == "step" else turns[first:]
        found = list(sequences(compared))
        if len(found) > 1:
            raise NoTokens(f"{folder.name}: its answers are not one sequence of tokens")
        return found[0].ids, found[0].mask

    def _read(self, folder: Path) -> tuple[TokenTurn, ...]:
        try:
            turns = self._turns(folder)
        except UsageError as error:
            raise NoTokens(str(error)) from None
        if not turns:
            raise NoTokens(f"{folder.name}: no model was asked")
        return turns


def _shared(ids: Sequence[Sequence[int]], masks: Sequence[Sequence[int]]) -> int:
    """How many first tokens are the same, and written by neither side."""
    count = 0
    for one, other, bit, other_bit in zip(*ids, *masks, strict=False):
        if one != other or bit or other_bit:
            break
        count += 1
    return count
