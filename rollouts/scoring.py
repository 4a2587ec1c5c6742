"""The rubric of a run: one for all its environments, so that they share a judge's budget, cache and connections."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..envs.registration import WrapperSpec
from ..rewards.rubric import Rubric
from ..rewards.wrapper import RubricReward
from .config import RolloutConfig
from .score_log import SCORES

__all__ = ["JUDGE_CACHE", "SCORER", "judge_cache", "make_rubric", "with_rubric"]

SCORER = "trajectory_hub.rewards.wrapper:RubricReward"
"""The wrapper that `RolloutConfig.rubric` is for."""
JUDGE_CACHE = "judge.sqlite"


def judge_cache(run: Path) -> Path:
    """Where the judge's answers about a run are kept, unless its configuration names another file."""
    return run / SCORES / JUDGE_CACHE


def make_rubric(run: Path | None, config: RolloutConfig) -> Rubric | None:
    """The rubric of a run; None when no rubric scores it, or each environment may as well have its own.

    Without a folder, a judge's answers are kept in memory.
    """
    rubric = config.rubric
    if rubric is None or SCORER not in config.wrappers:
        return None
    if rubric.judge is None or rubric.layers.combine == "rules":
        return Rubric(rubric)
    from ..rewards.judge.asking import Judge
    from ..rewards.judge.layer import JudgeLayer

    return Rubric(rubric, JudgeLayer(Judge(rubric.judge, config.prices, judge_cache(run) if run is not None else None)))


def with_rubric(wrappers: Sequence[str], rubric: Rubric | None) -> list[WrapperSpec]:
    """The wrappers, with `rubric` in the one that scores."""
    if rubric is None:
        return list(wrappers)
    return [partial(RubricReward, rubric=rubric) if name == SCORER else name for name in wrappers]
