"""What is steered, and how."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["DynamicTimeout", "EarlyStop", "SteeringConfig"]

_STRICT = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class EarlyStop(BaseModel):
    """End an episode that will probably fail."""

    model_config = _STRICT

    predictor: str
    """File of a predictor of `success`; it says after which steps it predicts."""
    sha256: str | None = None
    """Of that file; filled in when a run begins, and compared when it is resumed."""
    threshold: float = Field(default=0.1, ge=0, le=1)
    """Stop when the predicted probability of success is below."""


class DynamicTimeout(BaseModel):
    """Wait for a command no longer than commands like it take. A time-out that the agent itself asks for is kept."""

    model_config = _STRICT

    predictor: str
    """File of a predictor of `tool_latency`."""
    sha256: str | None = None
    """Of that file; filled in when a run begins, and compared when it is resumed."""
    quantile: float = Field(default=0.99, gt=0, lt=1)
    """Of the predicted times; the next larger one that the predictor knows."""
    margin: float = Field(default=3.0, gt=0)
    """The deadline is so many times the predicted quantile, between floor and ceiling."""
    floor: float = Field(default=5.0, gt=0)
    """Seconds that every command is given."""
    ceiling: float | None = Field(default=None, gt=0)
    """Seconds that no command is given more of at first; null: the environment's own time-outs, which always hold."""
    retry: bool = True
    """Do a command that hit its dynamic deadline once more, with the full time."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.ceiling is not None and self.floor > self.ceiling:
            raise ValueError(f"the floor of {self.floor:g} s is above the ceiling of {self.ceiling:g} s")
        return self

    def deadline(self, predicted_ms: float) -> float:
        """Seconds that a command is given."""
        wanted = max(self.margin * predicted_ms / 1000, self.floor)
        return wanted if self.ceiling is None else min(wanted, self.ceiling)


class SteeringConfig(BaseModel):
    """Policies that act on predictions; none is switched on unless it is named."""

    model_config = _STRICT

    early_stop: EarlyStop | None = None
    timeout: DynamicTimeout | None = None
