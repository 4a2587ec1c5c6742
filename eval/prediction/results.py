"""What a prediction task came to, as data: `prediction.json`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from .metrics import Estimate

__all__ = ["CalibrationBin", "Importance", "ModelScores", "PredictionReport", "Strategies", "Strategy", "TaskResult"]

_STRICT = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null", use_attribute_docstrings=True)


class ModelScores(BaseModel):
    """One model's scores on rows whose groups it has not seen."""

    model_config = _STRICT

    name: str
    scores: dict[str, Estimate]
    gains: dict[str, Estimate]
    """By how much it is better than the baseline, in the same resamples; positive is better."""


class CalibrationBin(BaseModel):
    """Predictions of about the same size, and what came true."""

    model_config = _STRICT

    predicted: float
    observed: Estimate
    rows: int


class Importance(BaseModel):
    """By how much the loss grows when a feature is shuffled among the rows of a fold."""

    model_config = _STRICT

    feature: str
    loss: float
    spread: float
    """Standard deviation over shuffles."""


class TaskResult(BaseModel):
    """One task: a target, after so many steps."""

    model_config = _STRICT

    target: str
    at: int | None
    rows: int
    groups: int
    mean: float
    """Share of ones; for times the median in milliseconds."""
    models: tuple[ModelScores, ...]
    best: str
    """The least loss among models other than the baselines."""
    baseline: str
    """The baseline with the least loss."""
    lead: Estimate
    """By how much the best model's loss (log loss, or pinball loss) is less than that baseline's."""
    better: bool
    """Whether its gain over every baseline in that loss has an interval above zero."""
    calibration: tuple[CalibrationBin, ...] = ()
    importances: tuple[Importance, ...] = ()


class Strategy(BaseModel):
    """Episodes that went alike."""

    model_config = _STRICT

    episodes: int
    tasks: int
    resolved: Estimate | None
    """Share of the graded ones that are resolved."""
    steps: float
    """Median."""
    marks: dict[str, float]
    """Measures in which it differs most from all episodes, in standard deviations."""
    example: str
    """The episode that is nearest to its middle."""


class Strategies(BaseModel):
    """A clustering, and why it has so many clusters."""

    model_config = _STRICT

    method: Literal["kmeans", "agglomerative"]
    clusters: tuple[Strategy, ...]
    silhouettes: dict[int, float]
    """By number of clusters."""
    stabilities: dict[int, float]
    """Mean adjusted Rand index between clusterings of halves and of all."""


class PredictionReport(BaseModel):
    """Everything that one call of `trajhub trace predict` found."""

    model_config = _STRICT

    target: str
    runs: tuple[str, ...]
    split: Literal["task", "repository"]
    folds: int
    seed: int
    resamples: int
    episodes: int
    tasks: int
    resolved: int
    graded: int
    budget: float | None = None
    budget_unit: str | None = None
    results: tuple[TaskResult, ...]
    strategies: Strategies | None = None
    versions: dict[str, str]
