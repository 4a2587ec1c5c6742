"""Parts of the configuration that stand for themselves: adapters, which rows, how much a turn counts."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

__all__ = ["Count", "LoraSettings", "Names", "NotNegative", "Positive", "Selection", "Share", "StepWeights", "Strict"]

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""One name may stand for a list of one."""


class Strict(BaseModel):
    """Knows its keys and no others, and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class LoraSettings(Strict):
    """Adapters instead of all weights (LoRA); with `bits`, on a quantised base model (QLoRA)."""

    rank: Count = 16
    alpha: Positive = 32
    dropout: Share = 0.0
    targets: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Modules by the end of their names."""
    bits: Literal[4, 8] | None = None
    """Quantise the base model by bitsandbytes: 4 bits (NF4, doubly quantised) or 8."""
    merge: bool = True
    """Write whole weights at the end, which any server loads; else adapters only. Quantised models keep adapters."""

    @model_validator(mode="after")
    def _quantised_are_not_merged(self) -> Self:
        if self.bits is not None and self.merge and "merge" in self.model_fields_set:
            raise ValueError("a quantised model is not merged: leave merge out, or set it to false")
        return self

    @property
    def merges(self) -> bool:
        """Whether whole weights are written."""
        return self.merge and self.bits is None


class Selection(Strict):
    """Which rows of the data are learnt from."""

    resolved: bool | None = None
    """Only rows of episodes with this verdict."""
    min_reward: Share | None = None
    """Least reward: of the row where a row is a step, of every turn where it is a trajectory."""
    min_process: Share | None = None
    """Least process score of the episode."""
    limit: Count | None = None
    """At most so many rows."""
    order: Literal["first", "random", "best"] = "first"
    """Which ones, when there are more: the first, some drawn by `seed`, or those with the best process score (of
    steps: the best reward; of preferences: the greatest margin)."""
    seed: int = 0


class StepWeights(Strict):
    """How much a turn counts in the loss, by its reward: `floor + (1 - floor) * reward ** power`."""

    floor: Share = 0.0
    """Weight of a turn whose reward is 0."""
    power: Positive = 1.0
    missing: NotNegative = 1.0
    """Weight of a turn without a reward."""

    def weight(self, reward: float | None) -> float:
        """Of one turn."""
        if reward is None:
            return self.missing
        return self.floor + (1 - self.floor) * max(reward, 0.0) ** self.power
