"""A file of lines that is durable before anybody is answered: what waits together is put on disk together.

**What survives.** A line whose future is done is on disk: the process, or with `fsync` the machine, may die. A death
leaves at most one torn line, which nobody was told of; the next writer of the file cuts it off.
"""

import fcntl
import os
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from ...errors import DiskFull, UsageError
from ..files import room_for
from ..log_file import last_line

__all__ = ["Journal"]

_BATCH = 4096
"""Lines written together at most."""

_Waiting = tuple[bytes, "Future[None]"]


class Journal:
    """Appends lines, from any thread. Raises UsageError when another process has the file open for appending."""

    def __init__(self, path: Path, *, fsync: bool = True, max_bytes: int | None = None) -> None:
        self.path = path
        self._fsync = fsync
        self._max_bytes = max_bytes
        with room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock()
        self._size = _mend(self._fd)
        self._queue = SimpleQueue[_Waiting | None]()
        self._closed = False
        self._thread = Thread(target=self._run, name="trajhub-journal", daemon=True)
        self._thread.start()

    @property
    def size(self) -> int:
        """Bytes that are in the file."""
        return self._size

    @property
    def full(self) -> bool:
        """Whether the file has reached its largest size."""
        return self._max_bytes is not None and self._size >= self._max_bytes

    def append(self, line: bytes) -> "Future[None]":
        """Done when the line, which ends with a newline, is on disk; fails with DiskFull, nothing of it written."""
        done = Future[None]()
        self._queue.put((line, done))
        return done

    def close(self) -> None:
        """Write what waits and close the file; may be called again."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        os.close(self._fd)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise UsageError(f"{self.path} is being written by another process; choose another folder") from error

    def _run(self) -> None:
        last = False
        while not last:
            batch, last = self._next()
            if batch:
                self._commit(batch)

    def _next(self) -> tuple[list[_Waiting], bool]:
        """What waits, and whether nothing comes after it."""
        first = self._queue.get()
        batch = list[_Waiting]()
        while first is not None:
            batch.append(first)
            if len(batch) == _BATCH or self._queue.empty():
                return batch, False
            first = self._queue.get()
        return batch, True

    def _commit(self, batch: Sequence[_Waiting]) -> None:
        problem: DiskFull | None = None
        try:
            self._write(b"".join(line for line, _ in batch))
        except DiskFull as error:
            problem = error
        for _, done in batch:
            if not done.set_running_or_notify_cancel():
                continue
            if problem is None:
                done.set_result(None)
            else:
                done.set_exception(problem)

    def _write(self, data: bytes) -> None:
        """All of it, or nothing. Raises DiskFull."""
        written = 0
        try:
            with room_for(self.path):
                while written < len(data):
                    written += os.pwrite(self._fd, data[written:], self._size + written)
                if self._fsync:
                    os.fdatasync(self._fd)
        except DiskFull:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)


def _mend(fd: int) -> int:
    """Cut a torn last line off; the size that is left."""
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        size = last_line(fd, size)[0]
        os.ftruncate(fd, size)
    return size
