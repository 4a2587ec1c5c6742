"""What can be set about rewards. The defaults are `configs/rubric.yaml`; every rule that is not listed is off."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..errors import ConfigError
from ..validation import validated
from .judge.config import JudgeConfig
from .scores import CRITERIA

__all__ = [
    "MILESTONES",
    "CriterionConfig",
    "EpisodeConfig",
    "LayerWeights",
    "LayersConfig",
    "RubricConfig",
    "RubricSource",
    "load_config",
]

MILESTONES = ("explored", "located", "reproduced", "changed", "verified", "submitted")
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Criterion = Literal["goal_progress", "tool_choice", "argument_correctness", "use_of_information", "non_redundancy"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CriterionConfig(_Strict):
    """One criterion."""

    weight: Weight
    """Its share in the reward of a step; 0 shows its scores without counting them."""
    rules: Mapping[str, Weight]
    """Weight of each rule in the criterion's mean; a rule that is not named is off."""


class MilestoneWeights(_Strict):
    """What each milestone counts in the coverage of an episode."""

    explored: Weight = 0.05
    """Source files read, up to three."""
    located: Weight = 0.2
    """The place to change was read."""
    reproduced: Weight = 0.1
    """A check was run before the first change."""
    changed: Weight = 0.25
    """Existing source differs from the start, and was read before."""
    verified: Weight = 0.25
    """The last change was checked, and the check passed."""
    submitted: Weight = 0.15
    """A checked change was handed in."""


class EpisodeConfig(_Strict):
    """How an episode is judged as a whole."""

    sound: Annotated[float, Field(ge=0, le=1)] = 0.7
    """A step worth at least this much costs nothing; one below it wastes the difference."""
    patience: Annotated[float, Field(gt=0)] = 10.0
    """Waste that halves the process score."""
    tampering: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Factor while existing tests or test infrastructure are changed."""
    milestones: MilestoneWeights = MilestoneWeights()


class LayerWeights(_Strict):
    """What each layer counts where they are combined; only the relation matters."""

    rules: Weight = 1.0
    judge: Weight = 1.0


class LayersConfig(_Strict):
    """Who scores, and how several opinions become one."""

    combine: Literal["rules", "judge", "weighted"] = "rules"
    """`rules`: rules only; `judge`: the judge in place of the rules; `weighted`: their weighted mean."""
    veto: bool = False
    """A decisive rule that gives 0 wins over the judge."""
    weights: LayerWeights = LayerWeights()
    criteria: Mapping[Criterion, LayerWeights] = Field(default_factory=dict[Criterion, LayerWeights])
    """Other weights for single criteria."""
    missing: Literal["rules", "none"] = "rules"
    """What takes the place of a score that the judge could not give: the rules' score, or none."""


class RubricConfig(_Strict):
    """The whole rubric."""

    criteria: Mapping[str, CriterionConfig]
    privileged: bool = True
    """Apply rules that know the reference patch. Switch it off where an agent gets to see its scores."""
    episode: EpisodeConfig = EpisodeConfig()
    outcome_weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the verdict in a combined score; 0 keeps outcome and process apart."""
    layers: LayersConfig = LayersConfig()
    judge: JudgeConfig | None = None
    """Needed unless `layers.combine` is `rules`; see docs/judge.md."""

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each criterion, in their order."""
        return {name: self.criteria[name].weight for name in CRITERIA if name in self.criteria}

    @model_validator(mode="after")
    def _judge_is_there(self) -> Self:
        if self.layers.combine != "rules" and self.judge is None:
            raise ValueError(f"layers.combine is {self.layers.combine!r}, and there is no judge; give judge.models")
        return self


RubricSource = RubricConfig | Mapping[str, Any] | str | Path | None
"""A rubric, its values, a YAML file, or None for the defaults."""


def load_config(source: RubricSource = None) -> RubricConfig:
    """The rubric that `source` describes. Raises ConfigError, saying which value is wrong and where."""
    if isinstance(source, RubricConfig):
        return source
    if isinstance(source, Mapping):
        return _validated(source, "the mapping given")
    if source is None:
        text, name = (files("trajectory_hub.configs") / "rubric.yaml").read_text("utf-8"), "rubric.yaml"
    else:
        text, name = _read(Path(source)), str(source)
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the rubric {name} is not YAML: {error}") from error
    return _validated(values, f"the rubric {name}")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the rubric {path} cannot be read: {error}") from error


def _validated(values: object, name: str) -> RubricConfig:
    return validated(RubricConfig, values, f"{name} (configs/rubric.yaml is an example)")
