"""Reads configurations by their models: one message that names every wrong value, and the key that was meant."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from .errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["first_problem", "problems", "validated"]

Model = TypeVar("Model", bound="BaseModel")
_LISTED = 12
"""As many known keys are listed where none is like the wrong one."""


def validated(model: type[Model], values: object, what: str = "the configuration", *, under: str = "") -> Model:
    """The values as a `model`. Raises ConfigError that names each wrong value by its key, after `under` if given."""
    from pydantic import ValidationError

    try:
        return model.model_validate(values)
    except ValidationError as error:
        said = [f"{under}{problem}" for problem in problems(error, model)]
        raise ConfigError(f"{what} is not valid:\n  " + "\n  ".join(said)) from None


def problems(error: "ValidationError", model: "type[BaseModel]") -> list[str]:
    """What is wrong with each value, after its key; of an unknown key, also which one was probably meant."""
    found = error.errors(include_url=False)
    return [_problem(one) + _meant(model, one["loc"], one["type"]) for one in found]


def first_problem(error: "ValidationError") -> str:
    """What is wrong with the first of the values, after its key."""
    return _problem(error.errors(include_url=False)[0])


def _problem(one: "ErrorDetails") -> str:
    return f"{'.'.join(map(str, one['loc'])) or 'top level'}: {one['msg']}"


def _meant(model: "type[BaseModel]", place: Sequence[int | str], kind: str) -> str:
    if kind != "extra_forbidden":
        return ""
    known = _keys(model, place[:-1])
    close = get_close_matches(str(place[-1]), known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known are {', '.join(known)}" if 0 < len(known) <= _LISTED else ""


def _keys(model: "type[BaseModel]", path: Sequence[int | str]) -> list[str]:
    """Names of the fields at a place inside a model. What is no field on the way is an index, a key, or a tag."""
    here = [model]
    for key in path:
        inner = [
            found for one in here if key in one.model_fields for found in _models(one.model_fields[str(key)].annotation)
        ]
        here = inner or here
    return list(dict.fromkeys(name for one in here for name in one.model_fields))


def _models(annotation: Any) -> "Iterator[type[BaseModel]]":
    """The models that an annotation holds: those of unions, sequences and mappings too."""
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
