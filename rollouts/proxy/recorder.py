"""Writes what the proxy saw: one line a request, beside the loop that serves."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from ..loopback import Journal
from .folding import Folder
from .masking import Masker
from .records import Exchange

__all__ = ["Recorder"]

_LARGEST = 1 << 35


class Recorder:
    """Removes secrets and repetitions and appends. Lines are written in the order in which they are given."""

    def __init__(self, path: Path, masker: Masker, *, bodies: bool) -> None:
        """Raises UsageError when another process records there."""
        self._journal = Journal(path, fsync=False, max_bytes=_LARGEST)
        self._masker, self._bodies = masker, bodies
        self._folder = Folder(masker)
        self._worker = ThreadPoolExecutor(1, "trajhub-proxy-record")

    @property
    def full(self) -> bool:
        """Whether nothing more can be recorded."""
        return self._journal.full

    def put(self, exchange: Exchange) -> None:
        """Record a request, with its bodies as they were."""
        self._worker.submit(self._write, exchange)

    def close(self) -> None:
        """Write what waits; may be called again."""
        self._worker.shutdown()
        self._journal.close()

    def _write(self, exchange: Exchange) -> None:
        bodies, count = dict[str, Any](), 0
        for name in ("request", "response"):
            value = getattr(exchange, name) if self._bodies else None
            bodies[name], number = self._folder.fold(value)
            count += number
        told = exchange.model_dump(mode="json", exclude={"request", "response"}, exclude_defaults=True)
        told, number = self._masker.value(told)
        self._journal.append(to_json({**told, "secrets": count + number, **bodies}) + b"\n")
