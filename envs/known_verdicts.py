"""Verdicts that were given before: the same patch to the same task, in the same image, by the same rules."""

import hashlib
import threading
from collections import OrderedDict

from pydantic import BaseModel

from .task import Task
from .verdict import Reason, Verdict

__all__ = ["KnownVerdicts"]

_ROOM = 256 << 20
"""Characters of logs that are kept."""
_FOR_GOOD = frozenset({Reason.RESOLVED, Reason.TESTS_FAILED, Reason.PATCH_DOES_NOT_APPLY, Reason.FORGED})
"""What another run would say, too; everything else may have been chance."""


class KnownVerdicts:
    """The newest verdicts of this process, as many as there is room for; safe to share between threads."""

    def __init__(self, room: int = _ROOM) -> None:
        self._verdicts = OrderedDict[str, Verdict]()
        self._room = room
        self._lock = threading.Lock()

    @staticmethod
    def key(task: Task, image_id: str, patch: str, config: BaseModel) -> str:
        """What a verdict depends on."""
        parts = (task.model_dump_json(), image_id, patch, config.model_dump_json())
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()

    def get(self, key: str) -> Verdict | None:
        """The verdict, marked as reused."""
        with self._lock:
            found = self._verdicts.get(key)
        return None if found is None else found.model_copy(update={"reused": True})

    def add(self, key: str, verdict: Verdict) -> None:
        """Remember a verdict that would be the same again."""
        if verdict.reason not in _FOR_GOOD:
            return
        with self._lock:
            self._drop(key)
            self._verdicts[key] = verdict
            self._room -= _size(verdict)
            while self._room < 0:
                self._drop(next(iter(self._verdicts)))

    def _drop(self, key: str) -> None:
        gone = self._verdicts.pop(key, None)
        self._room += _size(gone) if gone is not None else 0


def _size(verdict: Verdict) -> int:
    return len(verdict.log) + len(verdict.canary_log) + 1000
