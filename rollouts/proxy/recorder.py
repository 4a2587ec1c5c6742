"""Writes what the proxy saw: one line a request, beside the loop that serves."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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
        request, in_request = self._fold(exchange.request)
        response, in_response = self._fold(exchange.response)
        told = exchange.model_dump(mode="json", exclude={"request", "response"}, exclude_defaults=True)
        told, number = self._masker.value(told)
        line = {**told, "secrets": in_request + in_response + number, "request": request, "response": response}
        self._journal.append(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def _fold(self, body: Any) -> tuple[Any, int]:
        if not self._bodies:
            return None, 0
        try:
            return self._folder.fold(body)
        except RecursionError:
            return {"left_out": "nested too deeply to be searched for secrets"}, 0
