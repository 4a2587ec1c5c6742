"""What exporters share: the rest of a payload, messages' texts, calls' arguments, JSON that always can be written."""

import json
import math
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, cast

from pydantic import BaseModel

from ..events import AnyEvent
from ..payloads import clean

__all__ = [
    "arguments_of",
    "as_items",
    "as_mapping",
    "compact",
    "iso",
    "line",
    "micros",
    "nanos",
    "rest_of",
    "text_of",
    "times_of",
]

_EMPTY: tuple[Any, ...] = (None, "", [], {}, ())


def compact(value: Any) -> str:
    """JSON in one line; lone surrogates and numbers that JSON does not have are told as text."""
    try:
        return _dumps(value)
    except (ValueError, UnicodeEncodeError):
        return _dumps(_plain(clean(value)))


def _dumps(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text.encode()
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("Iterable[Any]", value)]
    return value


def as_mapping(value: object) -> Mapping[str, Any] | None:
    """An object of JSON; None when it is none."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else None


def as_items(value: object) -> list[Any] | None:
    """A list of JSON; None when it is none."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def line(value: Any) -> bytes:
    """One line of a JSONL file."""
    return compact(value).encode() + b"\n"


def rest_of(payload: BaseModel | Mapping[str, Any], taken: Collection[str] = ()) -> dict[str, Any]:
    """What a payload says besides the fields `taken`; what is empty is left out."""
    known = payload.model_dump(mode="json") if isinstance(payload, BaseModel) else payload
    return {key: value for key, value in known.items() if key not in taken and value not in _EMPTY}


def iso(moment: datetime) -> str:
    """As events hold it."""
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def times_of(event: AnyEvent) -> dict[str, Any]:
    """When an event was, and how long it took."""
    return {"t_start": iso(event.t_start), "t_end": iso(event.t_end), "duration_ms": event.duration_ms}


def micros(moment: datetime) -> int:
    """Microseconds since the epoch."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + moment.microsecond


def nanos(moment: datetime) -> int:
    """Nanoseconds since the epoch."""
    return micros(moment) * 1000


def text_of(content: object) -> str:
    """A message's content as text; parts that are no text are told as JSON."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list):
        return "\n".join(_part(item) for item in cast("list[Any]", content))
    return compact(content)


def _part(item: Any) -> str:
    if isinstance(item, Mapping):
        text = cast("Mapping[str, Any]", item).get("text")
        if isinstance(text, str):
            return text
    return item if isinstance(item, str) else compact(item)


def arguments_of(raw: object) -> dict[str, Any] | None:
    """The arguments of a call as an object; None when they are none."""
    if isinstance(raw, Mapping):
        return dict(cast("Mapping[str, Any]", raw))
    if raw is None or raw == "":
        return {}
    try:
        value: object = json.loads(raw) if isinstance(raw, str) else None
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
