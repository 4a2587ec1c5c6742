"""Records changed field by field, for tests that measure what is lost of them."""

import copy
import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

Place = tuple[str | int, ...]
Record = dict[str, Any]


def leaves(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where the values are that hold no others."""
    if isinstance(value, dict):
        for key, item in cast("Record", value).items():
            yield from leaves(item, (*place, key))
    elif isinstance(value, list):
        for number, item in enumerate(cast("list[Any]", value)):
            yield from leaves(item, (*place, number))
    else:
        yield place


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value[:17] + "59.5Z" if re.match(r"\d{4}-\d\d-\d\dT", value) else f"{value}~"
    return "said"


def changed(whole: Any, place: Place) -> Any:
    """A copy in which one leaf is another."""
    other = copy.deepcopy(whole)
    inner = other
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = _other(inner[place[-1]])
    return other


def declared(field: str, loses: Iterable[str]) -> bool:
    """Whether a loss names the field, at the end of its path or at the beginning of it; `*` stands for letters."""
    for names in loses:
        for name in names.split(", "):
            pattern = re.escape(name).replace(r"\*", r"\w*")
            if re.search(rf"(^|[./]){pattern}($|[.\[])", field):
                return True
    return False
