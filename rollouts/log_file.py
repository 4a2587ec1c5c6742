"""The file under an event log: lines are added at its end, and a torn last line is cut off.

`LogFile` is what a writer of events needs; `DiskLog` is one on this machine.
"""

import os
from pathlib import Path
from typing import Literal, Protocol

from pydantic import ValidationError

from ..errors import DiskFull, UsageError
from .events import AnyEvent, parse_event
from .files import room_for

__all__ = ["EVENTS", "DiskLog", "Fsync", "LogCorrupt", "LogFile", "last_line"]

EVENTS = "events.jsonl"
"""Name of an episode's log."""

Fsync = Literal["never", "episode", "step"]

_TAIL = 1 << 16


class LogCorrupt(UsageError):
    """Raised when a line in the middle of a log is not an event."""


class LogFile(Protocol):
    """A log that is open for its one writer."""

    @property
    def last(self) -> AnyEvent | None:
        """The last event when it was opened."""
        ...

    def append(self, data: bytes) -> None:
        """Add whole lines, all or none. The death of this process loses nothing of what was added. Raises DiskFull."""
        ...

    def close(self) -> None:
        """Close it; may be called again."""
        ...


class DiskLog:
    """A log in a file. Raises LogCorrupt when its last line is whole, and no event."""

    def __init__(self, path: Path, fsync: Fsync = "episode") -> None:
        self.path = path
        self._fsync: Fsync = fsync
        with room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._size, self._last = _mend(self._fd)
        except LogCorrupt:
            os.close(self._fd)
            raise

    @property
    def last(self) -> AnyEvent | None:
        """The last event when it was opened."""
        return self._last

    def append(self, data: bytes) -> None:
        """Write at the end in one piece. Raises DiskFull, the log left as it was, when there is no room."""
        try:
            with room_for(self.path):
                written = 0
                while written < len(data):
                    written += os.pwrite(self._fd, data[written:], self._size + written)
        except DiskFull:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)
        if self._fsync == "step":
            os.fsync(self._fd)

    def close(self) -> None:
        """Close the file; may be called again."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        if self._fsync == "episode":
            os.fsync(fd)
        os.close(fd)


def _mend(fd: int) -> tuple[int, AnyEvent | None]:
    """Cut a torn last line off; give the size and the last event."""
    size = os.fstat(fd).st_size
    while size:
        start, line = last_line(fd, size)
        try:
            event = parse_event(line)
        except ValidationError:
            # Only a torn line may be cut: anything else is somebody's data.
            if line.endswith(b"\n") and line.strip(b"\0\n"):
                message = f"the last line of a log is not an event (offset {start}); move the log away first"
                raise LogCorrupt(message) from None
            os.ftruncate(fd, start)
            size = start
            continue
        if not line.endswith(b"\n"):
            size += os.pwrite(fd, b"\n", size)
        return size, event
    return 0, None


def last_line(fd: int, size: int) -> tuple[int, bytes]:
    """Offset and bytes of the last line of a file's first `size` bytes."""
    tail, start = b"", size
    while start:
        block = min(_TAIL, start)
        start -= block
        tail = os.pread(fd, block, start) + tail
        cut = tail.rfind(b"\n", 0, len(tail) - 1)
        if cut >= 0:
            return start + cut + 1, tail[cut + 1 :]
    return 0, tail
