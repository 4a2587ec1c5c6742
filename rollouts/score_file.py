"""Rewriting a layer's file of scores: by one process at a time, and the file is old or new, never half."""

import fcntl
import os
from pathlib import Path

from ..errors import ConfigError, DiskFull
from .files import room_for

__all__ = ["ScoreFile"]


class ScoreFile:
    """The file that is to replace a layer's scores. The old one stands until `replace`."""

    def __init__(self, path: Path, layer: str) -> None:
        """Raises ConfigError while another process writes scores of this layer, and DiskFull."""
        self._path, self._lock = path, _lock(path, layer)
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with room_for(path):
                self._file = self._partial.open("wb")
        except DiskFull:
            os.close(self._lock)
            raise

    def write(self, lines: bytes) -> None:
        """Add whole lines. Raises DiskFull."""
        with room_for(self._path):
            self._file.write(lines)

    def replace(self) -> None:
        """Put what was written in the place of the old file. Raises DiskFull."""
        with room_for(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._partial.replace(self._path)

    def close(self) -> None:
        """Release the lock; what was written since the last `replace` is dropped."""
        try:
            self._file.close()
        finally:
            self._partial.unlink(missing_ok=True)
            os.close(self._lock)


def _lock(path: Path, layer: str) -> int:
    """A descriptor that holds the lock of a file; the system frees it when the process dies."""
    with room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise ConfigError(
            f"another process ({holder}) writes scores of {layer!r} into {path}; wait for it, or stop it"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock
