"""Server-sent events, as they come in pieces."""

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["EventStream", "ServerEvent"]

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE = re.compile(rb"\r\n|\n|\r")
_LONGEST = 1 << 25


class ServerEvent(NamedTuple):
    """One event: its bytes with the blank line that ends it, and its data."""

    raw: bytes
    data: bytes


class EventStream:
    """Finds events in pieces of a stream. An event of more than 32 MiB is passed over."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """The events that `piece` completes."""
        self._buffer += piece
        while (end := _END.search(self._buffer, self._searched)) is not None:
            raw = bytes(self._buffer[: end.end()])
            del self._buffer[: end.end()]
            self._searched = 0
            yield ServerEvent(raw, _data(raw))
        self._searched = max(0, len(self._buffer) - 3)
        if len(self._buffer) > _LONGEST:
            self._buffer.clear()
            self._searched = 0

    def rest(self) -> bytes:
        """What came after the last whole event."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return rest


def _data(raw: bytes) -> bytes:
    lines = (line[5:].removeprefix(b" ") for line in _LINE.split(raw) if line.startswith(b"data:"))
    return b"\n".join(lines)
