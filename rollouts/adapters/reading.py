"""What adapters share: JSON lines with their numbers, however damaged, and values of any type made into ours.

Nothing here raises for what a source holds. A value of the wrong type is None (or empty), never an exception; text that
is no UTF-8 is shown with replacement characters or codes, and lone surrogates as codes, so that every value can be
written into a log.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydantic_core import from_json, to_json

from ...errors import UsageError
from ..payloads import Usage, clean
from .base import Unread

__all__ = [
    "LONGEST",
    "NotJson",
    "Row",
    "anthropic_usage",
    "as_dict",
    "as_dicts",
    "as_float",
    "as_int",
    "as_list",
    "as_str",
    "as_text",
    "compact",
    "head_records",
    "is_object",
    "json_rows",
    "moment",
    "openai_usage",
    "parse_arguments",
    "parse_json",
    "parse_partial",
    "read_json",
]

LONGEST = 256 << 20
"""Bytes of the longest record that is read; a longer one is counted and passed over."""
_DEEPEST = 150
_BLOCK = 1 << 20
_BOM = b"\xef\xbb\xbf"
_FAR = (datetime(1970, 1, 2, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC))


class NotJson(UsageError):
    """Raised when text that should be JSON is none, or is nested too deep to be kept."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file of JSON lines."""

    number: int
    """From 1."""
    value: Any

    @property
    def where(self) -> str:
        """For messages."""
        return f"line {self.number}"


def parse_json(data: bytes | str) -> Any:
    """The value that `data` spells. Raises NotJson."""
    try:
        return from_json(data, cache_strings="keys")
    except ValueError as error:
        reason = str(error)
    # The fast parser refuses lone surrogates, which JSON allows, and invalid UTF-8; the slow one tells them apart.
    try:
        text = data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise NotJson(reason) from None
    if _depth_over(value, _DEEPEST):
        raise NotJson(f"nested deeper than {_DEEPEST}")
    return clean(value)


def _depth_over(value: Any, limit: int) -> bool:
    """Whether a value is nested deeper than `limit`, found without recursion."""
    level: list[Any] = [value]
    for _ in range(limit):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(cast("dict[str, Any]", item).values())
            elif isinstance(item, list):
                below.extend(cast("list[Any]", item))
        if not below:
            return False
        level = below
    return True


def parse_partial(data: bytes | str) -> tuple[Any, str | None]:
    """What of a torn document can be read, and what is wrong with it (None when nothing is). Raises NotJson."""
    try:
        return parse_json(data), None
    except NotJson as error:
        reason = str(error)
    try:
        return clean(from_json(data, allow_partial="trailing-strings")), reason
    except ValueError:
        raise NotJson(reason) from None


def read_json(path: Path, *, partial: bool = False) -> tuple[Any, str | None]:
    """A file that is one JSON document, and what is wrong with it: with `partial` a torn one gives what is readable.

    Raises NotJson when nothing can be read, UsageError when the file is too large to be one document.
    """
    if path.stat().st_size > LONGEST:
        raise UsageError(f"{path} is one JSON document of more than {LONGEST >> 20} MiB; split it")
    data = path.read_bytes().removeprefix(_BOM)
    return parse_partial(data) if partial else (parse_json(data), None)


def json_rows(path: Path, *, longest: int = LONGEST) -> Iterator[Row | Unread]:
    """The records of a file of JSON lines; empty lines are none. Memory is bounded by the longest record."""
    with path.open("rb") as file:
        for number, line, whole in _lines(file, longest):
            text = line.strip()
            if number == 1:
                text = text.removeprefix(_BOM)
            if not whole:
                yield Unread(kind="oversized record", where=f"line {number}")
            elif text:
                yield _row(number, text, torn=not line.endswith(b"\n"))


def _row(number: int, text: bytes, *, torn: bool) -> Row | Unread:
    try:
        return Row(number, parse_json(text))
    except NotJson as error:
        deep = str(error).startswith("nested")
        kind = "record nested too deep" if deep else "torn last line" if torn else "line that is not JSON"
        return Unread(kind=kind, where=f"line {number}: {error}", broken=not deep)


def _lines(file: BinaryIO, longest: int) -> Iterator[tuple[int, bytes, bool]]:
    """Number, bytes and whether they are the whole line."""
    number = 0
    while line := file.readline(longest):
        number += 1
        whole = line.endswith(b"\n") or len(line) < longest
        yield number, line, whole
        while not whole and (line := file.readline(_BLOCK)):
            whole = line.endswith(b"\n")


def head_records(head: bytes, most: int = 20) -> list[dict[str, Any]]:
    """The first JSON objects among the lines of a file's beginning, for `recognise`; the cut last line is left out.

    They are not to be changed: one adapter after the other is asked about the same beginning, which is read once.
    """
    return list(_head_records(head, most))


@lru_cache(maxsize=4)
def _head_records(head: bytes, most: int) -> Sequence[dict[str, Any]]:
    lines = head.removeprefix(_BOM).split(b"\n", most * 2)
    found: list[dict[str, Any]] = []
    for line in lines[: most * 2]:
        with suppress(NotJson):
            value = parse_json(line) if line.strip() else None
            if isinstance(value, dict):
                found.append(cast("dict[str, Any]", value))
        if len(found) >= most:
            break
    return found


def is_object(value: Any) -> bool:
    """Whether the value is an object."""
    return isinstance(value, dict)


def as_dict(value: Any) -> dict[str, Any]:
    """The value, if it is an object; an empty one otherwise."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value, if it is an array; an empty one otherwise."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of an array."""
    return [cast("dict[str, Any]", item) for item in as_list(value) if isinstance(item, dict)]


def as_str(value: Any) -> str | None:
    """The value, if it is text that is not empty."""
    return value if isinstance(value, str) and value else None


def as_int(value: Any) -> int | None:
    """The value, if it is a whole number that is not negative and can be a count."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else None


def as_float(value: Any) -> float | None:
    """The value, if it is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > 1e300:
        return None
    number = float(value)
    return number if number == number else None


def as_text(value: Any) -> str:
    """Anything as text: text as it is, the text of content blocks, other values as JSON, None as nothing."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        blocks = cast("list[Any]", value)
        return "\n".join(_block_text(block) for block in blocks)
    return compact(value)


def _block_text(block: Any) -> str:
    if isinstance(block, dict):
        text = cast("dict[str, Any]", block).get("text")
        if isinstance(text, str):
            return text
    return block if isinstance(block, str) else compact(block)


def compact(value: Any) -> str:
    """A value as JSON without spaces."""
    return to_json(value).decode()


def parse_arguments(value: Any) -> dict[str, Any] | None:
    """The arguments of a call, which formats give as an object or as its JSON; None when they are neither."""
    if isinstance(value, str):
        try:
            value = parse_json(value) if value.strip() else {}
        except NotJson:
            return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def moment(value: Any) -> datetime | None:
    """A time: ISO 8601 text (UTC where it names no zone), or seconds, milli-, micro- or nanoseconds since 1970."""
    found: datetime | None = None
    with suppress(ValueError, OverflowError, OSError):
        if isinstance(value, str):
            found = datetime.fromisoformat(value) if len(value) < 64 and value[:1].isdigit() else None
        elif isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            number = float(value)
            while number > 1e11:
                number /= 1000
            found = datetime.fromtimestamp(number, UTC)
    if found is None:
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return found if _FAR[0] < found < _FAR[1] else None


def anthropic_usage(usage: Mapping[str, Any]) -> Usage:
    """Token counts as Anthropic gives them: `input_tokens` there is what no cache held."""
    plain, read = as_int(usage.get("input_tokens")), as_int(usage.get("cache_read_input_tokens"))
    created = as_int(usage.get("cache_creation_input_tokens"))
    known = [count for count in (plain, read, created) if count is not None]
    return Usage(
        input_tokens=sum(known) if known else None,
        cached_input_tokens=read,
        cache_creation_tokens=created,
        output_tokens=as_int(usage.get("output_tokens")),
        reasoning_tokens=as_int(as_dict(usage.get("output_tokens_details")).get("thinking_tokens")),
    )


def openai_usage(usage: Mapping[str, Any]) -> Usage:
    """Token counts as OpenAI's APIs and programs give them, by any of their names; inputs include cached ones."""
    inputs = as_dict(usage.get("prompt_tokens_details")) or as_dict(usage.get("input_tokens_details"))
    outputs = as_dict(usage.get("completion_tokens_details")) or as_dict(usage.get("output_tokens_details"))
    return Usage(
        input_tokens=_first_int(usage, ("prompt_tokens", "input_tokens")),
        cached_input_tokens=_first_int({**inputs, **usage}, ("cached_input_tokens", "cached_tokens")),
        cache_creation_tokens=_first_int({**inputs, **usage}, ("cache_creation_tokens",)),
        output_tokens=_first_int(usage, ("completion_tokens", "output_tokens")),
        reasoning_tokens=_first_int({**outputs, **usage}, ("reasoning_output_tokens", "reasoning_tokens")),
    )


def _first_int(mapping: Mapping[str, Any], names: Sequence[str]) -> int | None:
    return next((count for name in names if (count := as_int(mapping.get(name))) is not None), None)
