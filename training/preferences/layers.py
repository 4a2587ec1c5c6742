"""Who says what a trajectory is worth as a process: the event log's own score, or a layer that scored the run later."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

from ...rollouts.score_log import episode_worth
from ..trajectories.intake import Usable
from ..trajectories.records import Outline

__all__ = ["Layers"]


class Layers:
    """Process scores of episodes, with the names of the layers behind them."""

    def __init__(self, layer: str | None = None) -> None:
        """`layer`: one whose scores lie in the runs' `scores/`, and stand for the process score: the process score that
        it gives itself, else its mean step reward.
        """
        self._layer = layer
        self._means = cache(episode_worth)

    def score(self, usable: Usable) -> tuple[float | None, tuple[str, ...]]:
        """What an episode is worth, and by whose word."""
        if self._layer is not None:
            return self._means(usable.outline.source.folder, self._layer).get(usable.outline.folder.name), (
                self._layer,
            )
        said = {
            criterion.layer or "unknown"
            for reward in usable.trajectory.rewards
            if reward is not None
            for criterion in reward.criteria
            if criterion.score is not None
        }
        return usable.trajectory.process_score, tuple(sorted(said)) or ("unknown",)

    def rescored(self, outlines: Sequence[Outline]) -> Iterator[Outline]:
        """The episodes with these scores in place of their own."""
        for outline in outlines:
            if self._layer is None:
                yield outline
            else:
                means = self._means(outline.source.folder, self._layer)
                yield replace(outline, process=means.get(outline.folder.name))
