"""Secrets kept from records and from agents."""

from collections.abc import Iterable
from typing import Any, cast

from ..quality import find_secrets

__all__ = ["KeyFilter", "Masker"]

_SHORTEST = 8
"""Known secrets of fewer characters are too common as words to be looked for."""
_NAMED = 256
"""Longest value that is looked at together with its name."""


class Masker:
    """Removes secrets from bodies: those that are known, and what looks like one."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = tuple(sorted({secret for secret in known if len(secret) >= _SHORTEST}, key=len, reverse=True))

    def text(self, text: str) -> tuple[str, int]:
        """The text without secrets, and how many there were."""
        count = 0
        for secret in self._known:
            if secret in text:
                count += text.count(secret)
                text = text.replace(secret, "[removed: key]")
        pieces, last = list[str](), 0
        for found in find_secrets(text) if len(text) >= _SHORTEST else ():
            end = _end_of_key(text, found.start) if found.kind == "private key" else found.end
            if found.start >= last:
                pieces += (text[last : found.start], f"[removed: {found.kind}]")
                last, count = end, count + 1
        return "".join([*pieces, text[last:]]), count

    def value(self, value: Any) -> tuple[Any, int]:
        """JSON without secrets, and how many there were. A value is also judged by its name."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            masked = [self.value(item) for item in cast("list[Any]", value)]
            return [item for item, _ in masked], sum(number for _, number in masked)
        if isinstance(value, dict):
            return self._object(cast("dict[str, Any]", value))
        return value, 0

    def _object(self, value: dict[str, Any]) -> tuple[dict[str, Any], int]:
        shown, count = dict[str, Any](), 0
        for name, part in value.items():
            clean_name, in_name = self.text(name)
            clean, number = self.value(part)
            if number == 0 and isinstance(part, str) and len(part) <= _NAMED and find_secrets(f"{name}={part}"):
                clean, number = "[removed: value of a name that promises a secret]", 1
            shown[clean_name] = clean
            count += in_name + number
        return shown, count


def _end_of_key(text: str, start: int) -> int:
    """Where a private key ends: after the line that says so, else nowhere."""
    end = text.find("-----END", start)
    if end < 0:
        return len(text)
    close = text.find("-----", end + 8)
    return len(text) if close < 0 else close + 5


class KeyFilter:
    """Blots a key out of a stream that may repeat it, in pieces; lengths stay as they are.

    Nothing is held back but the end of a piece that the key begins with.
    """

    def __init__(self, key: str | None) -> None:
        self._key = (key or "").encode()
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What may be passed on of a piece and of what was held."""
        if len(self._key) < _SHORTEST:
            return piece
        data = (self._held + piece).replace(self._key, b"*" * len(self._key))
        keep = self._overlap(data)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def rest(self) -> bytes:
        """What was held, at the end."""
        held, self._held = self._held, b""
        return held

    def _overlap(self, data: bytes) -> int:
        """Length of the longest end of `data` that the key begins with."""
        start = data.rfind(self._key[:1], max(0, len(data) - len(self._key) + 1))
        longest = 0
        while start >= 0:
            if self._key.startswith(data[start:]):
                longest = len(data) - start
            start = data.rfind(self._key[:1], max(0, len(data) - len(self._key) + 1), start)
        return longest
