"""What a wrong key of a configuration is answered with."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field
from trajectory_hub.errors import ConfigError
from trajectory_hub.validation import validated


class Strict(BaseModel):
    """What all of them have in common."""

    model_config = ConfigDict(extra="forbid")


class Limits(Strict):
    """A part."""

    max_steps: int = Field(default=1, ge=1)
    seconds: float = 1


class Whole(Strict):
    """Parts in a union, a sequence and a mapping."""

    limits: Limits | None = None
    several: tuple[Limits, ...] = ()
    named: Mapping[str, Limits] = {}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"limit": {}}, "limit: Extra inputs are not permitted; did you mean limits?"),
        ({"limits": {"max_stps": 3}}, "limits.max_stps: Extra inputs are not permitted; did you mean max_steps?"),
        ({"several": [{}, {"second": 3}]}, "several.1.second: Extra inputs are not permitted; did you mean seconds?"),
        ({"named": {"a": {"x": 3}}}, "named.a.x: Extra inputs are not permitted; known are max_steps, seconds"),
        ({"limits": {"max_steps": 0}}, "limits.max_steps: Input should be greater than or equal to 1"),
        ([], "top level: Input should be a valid dictionary"),
    ],
)
def test_every_wrong_value_is_named_with_the_key_that_was_meant(values: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validated(Whole, values, "the file", under="at.")
    assert str(caught.value).startswith(f"the file is not valid:\n  at.{said}")


def test_all_of_them_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"max_steps: .*\n  seconds: "):
        validated(Limits, {"max_steps": 0, "seconds": "x"})


def test_what_is_right_is_the_model() -> None:
    assert validated(Whole, {"limits": {"max_steps": 2}}).limits == Limits(max_steps=2)
