"""What a step was worth: rubric, rules, judges, people's labels, and the wrapper that turns scores into rewards.

Names are imported on first use.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy

if TYPE_CHECKING:
    from .config import RubricConfig, load_config
    from .recorded import RecordedRubric
    from .rubric import Rubric
    from .scores import CRITERIA, CriterionScore, ProcessScore, RuleScore, StepScore
    from .wrapper import RubricReward

__all__ = [
    "CRITERIA",
    "CriterionScore",
    "ProcessScore",
    "RecordedRubric",
    "Rubric",
    "RubricConfig",
    "RubricReward",
    "RuleScore",
    "StepScore",
    "load_config",
]

__getattr__ = lazy(
    __name__,
    {
        "config": ["RubricConfig", "load_config"],
        "recorded": ["RecordedRubric"],
        "rubric": ["Rubric"],
        "scores": ["CRITERIA", "CriterionScore", "ProcessScore", "RuleScore", "StepScore"],
        "wrapper": ["RubricReward"],
    },
)
