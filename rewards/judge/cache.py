"""Every answer that was paid for, by the hash of what determines it: the same question again costs nothing."""

import json
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ..service.usage import Usage

__all__ = ["JudgeCache", "Record", "key_of"]

_VERSION = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY, created TEXT NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL,
  prompt TEXT NOT NULL, prompt_sha256 TEXT NOT NULL, sample INTEGER NOT NULL,
  request TEXT NOT NULL, answer TEXT, error TEXT, attempts TEXT NOT NULL,
  requests INTEGER NOT NULL, usage TEXT NOT NULL, cost_usd REAL, latency_ms REAL NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One question to one model and what came of it: what the judge saw is `request`, word for word."""

    key: str
    model: str
    endpoint: str
    prompt: str
    """Name and version."""
    prompt_sha256: str
    sample: int
    request: Mapping[str, Any]
    answer: str | None
    """The text of the valid answer; None when none came."""
    error: str | None
    """Why there is no answer."""
    attempts: tuple[Mapping[str, Any], ...]
    """Each answer that was not valid, with what was wrong."""
    requests: int
    """Answers it took."""
    usage: Usage
    cost_usd: float | None
    latency_ms: float
    created: str = ""


def key_of(body: Mapping[str, Any], sample: int) -> str:
    """The address of an answer: everything that determines it, and nothing of where it is asked."""
    canonical = json.dumps({"body": body, "sample": sample}, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()


class JudgeCache:
    """A SQLite file. Thread-safe, and safe for several processes at once; each answer is on disk when `put` returns."""

    def __init__(self, path: Path | None) -> None:
        """None keeps answers in memory. Raises UsageError when the file is something else, or cannot be opened."""
        self._lock = threading.Lock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", timeout=60, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"the judge's cache {path} cannot be opened: {error}") from None
        try:
            self._prepare()
        except (sqlite3.DatabaseError, UsageError) as error:
            self._db.close()
            raise UsageError(f"{path} is not a judge's cache ({error}); move it away, or name another") from None

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise UsageError(f"it has version {version}, this program knows {_VERSION}")
        self._db.execute(_TABLE)
        self._db.execute(f"PRAGMA user_version={_VERSION}")

    def get(self, key: str) -> Record | None:
        """The answer to a question that was asked before."""
        with self._lock:
            row = self._db.execute(f"SELECT {_COLUMNS} FROM answers WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        told: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
        told["usage"] = Usage.model_validate_json(told["usage"])
        told["request"], told["attempts"] = json.loads(told["request"]), tuple(json.loads(told["attempts"]))
        return Record(**told)

    def put(self, record: Record) -> None:
        """Keep an answer; one that is there is replaced."""
        values = {
            **{name: getattr(record, name) for name in _NAMES},
            "created": record.created or datetime.now(UTC).isoformat(timespec="seconds"),
            "request": json.dumps(record.request, ensure_ascii=False),
            "attempts": json.dumps(record.attempts, ensure_ascii=False),
            "usage": record.usage.model_dump_json(exclude_none=True),
        }
        with self._lock:
            places = ", ".join(f":{name}" for name in _NAMES)
            self._db.execute(f"INSERT OR REPLACE INTO answers ({_COLUMNS}) VALUES ({places})", values)

    def __len__(self) -> int:
        """How many answers it holds."""
        with self._lock:
            return self._db.execute("SELECT count(*) FROM answers").fetchone()[0]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


_NAMES = tuple(Record.__slots__)
_COLUMNS = ", ".join(_NAMES)
