"""What a label is: a person's word on one criterion of one step, or on two trajectories of one task."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from ..scores import CRITERIA

__all__ = [
    "POINTS",
    "Annotator",
    "Chosen",
    "Item",
    "NotApplicable",
    "PairAnswer",
    "PairItem",
    "PairLabel",
    "Save",
    "Side",
    "StepAnswer",
    "StepItem",
    "StepLabel",
    "Utc",
    "labels_of",
    "nearest_point",
]

POINTS: Mapping[int, float] = MappingProxyType({1: 0.0, 2: 0.25, 3: 0.5, 4: 0.75, 5: 1.0})
"""The scale that annotators see, and the value in [0, 1] that each point stands for."""


def nearest_point(value: float) -> int:
    """The point of the scale that is nearest to a value in [0, 1]; the lower one of two."""
    return min(POINTS, key=lambda point: (abs(POINTS[point] - value), point))


Side = Literal["a", "b"]
Chosen = Literal["a", "b", "tie"]


def _name(value: object) -> object:
    return " ".join(value.split()) if isinstance(value, str) else value


Annotator = Annotated[
    str, BeforeValidator(_name), Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
]
"""The name of an annotator; runs of white space count as one blank."""


def _item_id(kind: str, *parts: object) -> str:
    text = "\x1f".join(str(part) for part in parts)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


Utc = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
"""A moment; kept in UTC whatever it came in."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StepItem(_Frozen):
    """One step of one episode, to be scored on the criteria. Its id tells nothing of where it comes from."""

    kind: Literal["step"] = "step"
    item_id: str
    run_id: str
    episode_id: str
    task_id: str
    step: int = Field(ge=0)

    @classmethod
    def of(cls, *, run_id: str, episode_id: str, task_id: str, step: int) -> Self:
        """The item of a step; the same step has the same id everywhere."""
        name = _item_id("step", run_id, episode_id, step)
        return cls(item_id=name, run_id=run_id, episode_id=episode_id, task_id=task_id, step=step)


class PairItem(_Frozen):
    """Two trajectories of one task, to be chosen between."""

    kind: Literal["pair"] = "pair"
    item_id: str
    task_id: str
    run_a: str
    episode_a: str
    run_b: str
    episode_b: str

    @classmethod
    def of(cls, task_id: str, first: tuple[str, str], second: tuple[str, str]) -> Self:
        """The item of two (run, episode); which of them is given first makes no difference."""
        a, b = sorted((first, second))
        name = _item_id("pair", *a, *b)
        return cls(item_id=name, task_id=task_id, run_a=a[0], episode_a=a[1], run_b=b[0], episode_b=b[1])


Item = Annotated[StepItem | PairItem, Field(discriminator="kind")]


class StepAnswer(_Frozen):
    """What one save says of a step: a value in [0, 1] for each criterion answered, None where it does not apply."""

    values: Mapping[str, Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None] = Field(min_length=1)

    @field_validator("values")
    @classmethod
    def _known(cls, values: Mapping[str, float | None]) -> Mapping[str, float | None]:
        for name in values:
            if name not in CRITERIA:
                raise ValueError(f"{name!r} is no criterion; there are {', '.join(CRITERIA)}")
        return values


class PairAnswer(_Frozen):
    """What one save says of a pair."""

    chosen: Chosen
    left: Side | None = None
    """The trajectory that was shown on the left, so that a habit of choosing one side can be seen."""


class Save(_Frozen):
    """One save of one annotator, as the store keeps it for good."""

    key: str = Field(min_length=1, max_length=200)
    """Chosen by who saves; saving the same key again changes nothing."""
    item_id: str
    annotator: Annotator
    created: Utc
    answer: StepAnswer | PairAnswer
    note: str = Field(default="", max_length=10_000)
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """How long the item was looked at."""
    withdrawn: Utc | None = None
    """When it was undone."""

    @staticmethod
    def now() -> datetime:
        """The present time, as `created` holds it."""
        return datetime.now(UTC)


class _Label(_Frozen):
    item_id: str
    task_id: str
    annotator: Annotator
    created: Utc
    note: str = ""
    seconds: float | None = None
    """How long the item was looked at, all criteria together; None when not known."""


class _OfStep(_Label):
    run_id: str
    episode_id: str
    step: int
    criterion: str


class StepLabel(_OfStep):
    """One annotator's score of one step by one criterion."""

    value: float = Field(ge=0, le=1)


class NotApplicable(_OfStep):
    """One annotator's word that a criterion does not apply to a step."""


class PairLabel(_Label):
    """One annotator's choice between two trajectories of one task."""

    chosen: Chosen
    episode_a: str
    episode_b: str
    run_a: str
    run_b: str
    left: Side | None = None
    """The trajectory that was shown on the left; None when not known."""


def labels_of(item: StepItem | PairItem, save: Save) -> Iterator[StepLabel | NotApplicable | PairLabel]:
    """The labels that one save of `item` gives."""
    common: dict[str, Any] = item.model_dump(exclude={"kind"})
    common |= save.model_dump(include={"annotator", "created", "note", "seconds"})
    if isinstance(save.answer, PairAnswer):
        yield PairLabel(chosen=save.answer.chosen, left=save.answer.left, **common)
        return
    for criterion, value in save.answer.values.items():
        if value is None:
            yield NotApplicable(criterion=criterion, **common)
        else:
            yield StepLabel(criterion=criterion, value=value, **common)
