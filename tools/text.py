"""Bounded text: what an observation may hold, and how it says what it leaves out."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

__all__ = ["bound", "clip_line", "decode", "is_binary", "number_lines", "sha256", "without_surrogates"]

_BINARY_PROBE = 8000
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def decode(data: bytes) -> str:
    r"""Bytes as text; what is not UTF-8 is shown as `\xNN`."""
    return data.decode("utf-8", errors="backslashreplace")


def without_surrogates(value: Any) -> Any:
    """`value` with lone surrogates, which are text to Python and JSON but not to UTF-8, shown as codes."""
    if isinstance(value, str):
        return value if value.isascii() else _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", value)
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {without_surrogates(key): without_surrogates(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [without_surrogates(item) for item in cast("Sequence[Any]", value)]
    return value


def is_binary(data: bytes) -> bool:
    """Whether the bytes are not text, by git's rule: a NUL near the beginning."""
    return b"\0" in data[:_BINARY_PROBE]


def clip_line(line: str, width: int) -> str:
    """At most `width` characters of a line, saying how many are left out."""
    if len(line) <= width:
        return line
    return f"{line[:width]}… [+{len(line) - width} characters]"


def bound(text: str, limit: int) -> str:
    """At most about `limit` bytes of text: its head and its tail, with a notice between."""
    data = text.encode("utf-8", errors="backslashreplace")
    if len(data) <= limit:
        return text
    half = limit // 2
    head = data[:half].decode("utf-8", errors="ignore")
    tail = data[-half:].decode("utf-8", errors="ignore") if half else ""
    return f"{head}\n[... {len(data) - 2 * half} of {len(data)} bytes left out ...]\n{tail}"


def number_lines(lines: list[str], start: int, *, width: int = 2000) -> str:
    """Lines as an agent reads them: number, tab, text."""
    return "\n".join(f"{number:6d}\t{clip_line(line, width)}" for number, line in enumerate(lines, start))
