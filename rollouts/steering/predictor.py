"""A predictor as a file of plain JSON: weights of a linear model or the nodes of trees, and a small evaluator.

The evaluator needs nothing but Python, and gives what scikit-learn's model gave.
"""

from bisect import bisect_left
from collections.abc import Sequence
from hashlib import sha256
from math import exp, expm1, isnan
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import ConfigError
from ...validation import first_problem
from .features import CALL_NAMES, NAMES

__all__ = ["Constant", "Head", "Linear", "Predictor", "Recipe", "Target", "Tree", "Trees", "read_predictor"]

Target = Literal["success", "cost_overrun", "next_tool_failure", "tool_latency"]
_STRICT = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", use_attribute_docstrings=True)


class Constant(BaseModel):
    """The same for everybody."""

    model_config = _STRICT

    kind: Literal["constant"] = "constant"
    value: float

    def raw(self, values: Sequence[float]) -> float:
        """The value."""
        return self.value


class Linear(BaseModel):
    """A weighted sum of standardised features; those that are not known count as `fill`."""

    model_config = _STRICT

    kind: Literal["linear"] = "linear"
    fill: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def raw(self, values: Sequence[float]) -> float:
        """The sum."""
        total = self.intercept
        parts = zip(values, self.fill, self.mean, self.scale, self.weights, strict=True)
        for value, fill, mean, scale, weight in parts:
            total += weight * ((fill if isnan(value) else value) - mean) / scale
        return total


class Tree(BaseModel):
    """Nodes of a tree by position, the first one the root. A leaf has no feature: -1."""

    model_config = _STRICT

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    """A value at most as large goes left."""
    unknown_left: tuple[bool, ...]
    """Whether a value that is not known goes left."""
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]
    """What a leaf adds."""

    def add(self, values: Sequence[float]) -> float:
        """The value of the leaf that `values` lead to."""
        node = 0
        while (feature := self.feature[node]) >= 0:
            value = values[feature]
            goes_left = self.unknown_left[node] if isnan(value) else value <= self.threshold[node]
            node = self.left[node] if goes_left else self.right[node]
        return self.value[node]


class Trees(BaseModel):
    """Gradient-boosted trees: a start value, and what each tree adds."""

    model_config = _STRICT

    kind: Literal["trees"] = "trees"
    start: float
    trees: tuple[Tree, ...]

    def raw(self, values: Sequence[float]) -> float:
        """The sum."""
        return self.start + sum(tree.add(values) for tree in self.trees)


class Head(BaseModel):
    """One prediction."""

    model_config = _STRICT

    at: int | None = None
    """After how many steps; None for a prediction about each call."""
    quantile: float | None = None
    """Which quantile of the time; None for a probability."""
    link: Literal["logistic", "log1p"]
    """From the model's sum to a probability, or from log(1 + milliseconds) to milliseconds."""
    model: Annotated[Constant | Linear | Trees, Field(discriminator="kind")]

    def predict(self, values: Sequence[float]) -> float:
        """A probability, or milliseconds."""
        raw = self.model.raw(values)
        return _sigmoid(raw) if self.link == "logistic" else max(0.0, expm1(min(raw, 50.0)))


class Recipe(BaseModel):
    """How a predictor was made: enough to make it again from other episodes."""

    model_config = _STRICT

    model: Literal["baseline", "linear", "trees"]
    seed: int = 0
    at: tuple[int, ...] = ()
    quantiles: tuple[float, ...] = ()
    budget: float | None = None
    """Of `cost_overrun`: what counts as over."""
    budget_unit: Literal["usd", "tokens"] | None = None


class Predictor(BaseModel):
    """A target, and a head for each step or quantile at which it is predicted."""

    model_config = _STRICT

    format: Literal["trajectory-hub-predictor/1"] = "trajectory-hub-predictor/1"
    target: Target
    features: tuple[str, ...]
    recipe: Recipe
    heads: tuple[Head, ...]
    episodes: int
    """How many it learnt from."""
    tasks: tuple[str, ...]
    """The tasks it has seen: nothing of them may be judged by it."""
    versions: dict[str, str] = Field(default_factory=dict[str, str])

    def head_at(self, steps: int) -> Head | None:
        """The head for an episode after exactly so many steps."""
        return next((head for head in self.heads if head.at == steps), None)

    def head_for(self, quantile: float) -> Head:
        """The head of a quantile, or of the next larger one. Raises ConfigError when there is none."""
        known = sorted((head.quantile, index) for index, head in enumerate(self.heads) if head.quantile is not None)
        place = bisect_left(known, (quantile - 1e-9, -1))
        if place == len(known):
            raise ConfigError(f"the predictor knows no quantile from {quantile} on; it has {[q for q, _ in known]}")
        return self.heads[known[place][1]]


def read_predictor(path: str | Path, digest: str | None = None) -> tuple[Predictor, str]:
    """A predictor, and the SHA-256 of its file.

    Raises ConfigError when there is none, when it is not the one with `digest`, or when its features are not ours.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read the predictor {path}: {error.strerror}; `trajhub trace predict` makes one"
        ) from None
    found = sha256(data).hexdigest()
    if digest is not None and found != digest:
        raise ConfigError(f"{path} is not the predictor that was asked for: its SHA-256 is {found}, not {digest}")
    try:
        predictor = Predictor.model_validate_json(data)
    except ValidationError as error:
        raise ConfigError(f"{path} is no predictor: {first_problem(error)}") from None
    if predictor.features not in (NAMES, CALL_NAMES):
        raise ConfigError(f"{path} was made with other features than this version computes; make it again")
    return predictor, found


def _sigmoid(raw: float) -> float:
    return 1 / (1 + exp(-raw)) if raw >= 0 else (small := exp(raw)) / (1 + small)
