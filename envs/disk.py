"""A container's disk allowance, watched from outside: most storage drivers have no quota of their own."""

import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["DiskWatch"]


class DiskWatch:
    """Tells when the files a container has written exceed `limit` bytes.

    Measuring walks the container's writable layer, so it is done only once the file system that holds the layer
    has lost at least half of what is left of the allowance since the last measurement. Where the layer is not visible
    on this host, `ask` (the engine's own, slower, measurement) is used at every call.
    """

    def __init__(self, layer: str | None, limit: int, ask: Callable[[], int | None]) -> None:
        self._layer = Path(layer) if layer and os.access(layer, os.R_OK | os.X_OK) else None
        self._limit = limit
        self._ask = ask
        self._used = 0
        self._free = self._free_now()

    def exceeded(self) -> bool:
        """Whether the allowance is used up. Cheap while nothing much was written."""
        if self._layer is None:
            return (self._ask() or 0) > self._limit
        free = self._free_now()
        self._free = max(self._free, free)  # what others give back hides nothing that is written from now on
        if self._free - free < max(self._limit - self._used, 0) / 2:
            return self._used > self._limit and self._measure() > self._limit
        self._free = free
        return self._measure() > self._limit

    def _measure(self) -> int:
        self._used = _usage(str(self._layer))
        return self._used

    def _free_now(self) -> int:
        if self._layer is None:
            return 0
        try:
            stat = os.statvfs(self._layer)
        except OSError:
            return 0
        return stat.f_bavail * stat.f_frsize


def _usage(folder: str) -> int:
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                total += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    total += _usage(entry.path)
    except OSError:
        return total
    return total
