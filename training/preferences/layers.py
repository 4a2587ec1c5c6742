"""Who says what a trajectory is worth as a process: the event log's own score, or a layer that scored the run later."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from ...rollouts.score_log import read_scores
from ..trajectories.intake import Usable
from ..trajectories.records import Outline

__all__ = ["Layers"]


class Layers:
    """Process scores of episodes, with the names of the layers behind them."""

    def __init__(self, layer: str | None = None) -> None:
        """`layer`: one whose scores lie in the runs' `scores/`; its mean step reward stands for the process score."""
        self._layer = layer
        self._means = cache(_mean_rewards)

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


def _mean_rewards(run: Path, layer: str) -> Mapping[str, float]:
    """The mean step reward of each episode by a layer. Raises UsageError when the layer has not scored the run."""
    rewards: defaultdict[str, list[float]] = defaultdict(list)
    for row in read_scores(run, layer):
        if row.reward is not None:
            rewards[row.episode_id].append(row.reward)
    return {episode: round(sum(found) / len(found), 6) for episode, found in rewards.items()}
