"""What a replay of policies came to, as data: `policies.json`."""

from pydantic import BaseModel, ConfigDict

from .metrics import Estimate

__all__ = ["Point", "PoliciesReport"]

_STRICT = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null", use_attribute_docstrings=True)


class Point(BaseModel):
    """A policy at one setting."""

    model_config = _STRICT

    policy: str
    setting: float | None
    """Threshold of an early stop, margin of a time-out; None where it was chosen by other tasks."""
    touched: float
    """Share of episodes that it stopped, or in which it cut a command."""
    resolved: float
    """Share of episodes that are still resolved."""
    successes_kept: Estimate
    """Share of the successes that are still there."""
    figures: dict[str, Estimate]
    """For `usd`, `million_tokens` and `minutes`, where known: successes per unit with the policy (`per_…`) and without
    (`per_…_without`), by how much more that is (`per_…_gain`, 0.1 is a tenth), and the share saved (`…_saved`)."""


class PoliciesReport(BaseModel):
    """Everything that one call of `trajhub trace policies` found."""

    model_config = _STRICT

    runs: tuple[str, ...]
    target: str
    episodes: int
    tasks: int
    resolved: int
    folds: int
    seed: int
    resamples: int
    judged_by_the_file: int
    """Episodes whose tasks the predictor had never seen; the others were judged by predictors made from other tasks."""
    sweep: tuple[Point, ...]
    chosen: Point | None = None
    """Each part at the setting that was best, in successes a minute or a dollar, on the other parts."""
    chosen_by: str | None = None
    """What "best" went by, see `Point.figures`."""
