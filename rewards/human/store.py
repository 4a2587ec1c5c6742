"""Labels on disk: one SQLite file that several annotators, and several programs, may write at once.

A save is on disk before `save` returns (write-ahead log, `synchronous=FULL`). Nothing is ever changed or removed:
labelling an item again adds a save, undoing adds a withdrawal. What holds is each annotator's last save of an item
that is not withdrawn.
"""

import json
import sqlite3
import threading
from collections.abc import Container, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter

from ...errors import DiskFull, InfrastructureError, UsageError
from .labels import Item, NotApplicable, PairItem, PairLabel, Save, StepAnswer, StepItem, StepLabel, labels_of

__all__ = ["LabelStore"]

_APPLICATION = 0x74726C62  # "trlb": `file` and we can tell whose database it is
_VERSION = 1
_SCHEMA = """
CREATE TABLE items (item_id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE saves (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    item_id TEXT NOT NULL REFERENCES items,
    annotator TEXT NOT NULL,
    created TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX saves_of_annotator ON saves (annotator, item_id, created, number);
CREATE TABLE withdrawals (key TEXT PRIMARY KEY REFERENCES saves (key), created TEXT NOT NULL) WITHOUT ROWID;
CREATE VIEW holding AS SELECT number FROM (
    SELECT number, row_number() OVER (PARTITION BY annotator, item_id ORDER BY created DESC, number DESC) AS place
    FROM saves WHERE key NOT IN (SELECT key FROM withdrawals)
) WHERE place = 1;
"""
_SAVES = """SELECT saves.body, withdrawals.created FROM saves LEFT JOIN withdrawals USING (key)"""
_HELD_BY = "annotator = ? AND key NOT IN (SELECT key FROM withdrawals)"
_NEWEST = "ORDER BY saves.created DESC, number DESC"
_ITEM: TypeAdapter[StepItem | PairItem] = TypeAdapter(Item)


class LabelStore:
    """The labels in one file. Safe to share between threads."""

    def __init__(self, path: Path | str, *, create: bool = True) -> None:
        """Open `path`, or make it unless `create` is false. Raises UsageError when it is not there or no label file."""
        self.path = Path(path)
        if not create and not self.path.exists():
            raise UsageError(f"there is no label file {self.path}; `trajhub label RUN --labels {self.path}` makes one")
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(self.path, timeout=30, check_same_thread=False, isolation_level=None)
        except sqlite3.OperationalError as error:
            raise UsageError(f"the label file {self.path} cannot be opened: {error}") from error
        try:
            self._prepare()
        except (sqlite3.DatabaseError, UsageError) as error:
            self._db.close()
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"{self.path} cannot be used as a label file: {error}") from error

    def _prepare(self) -> None:
        application = self._pragma("application_id")
        empty = self._pragma("schema_version") == 0
        if not empty and application != _APPLICATION:
            raise UsageError(f"{self.path} is a database of another program, not a label file")
        if (version := self._pragma("user_version")) > _VERSION:
            raise UsageError(f"{self.path} has version {version}, this program knows {_VERSION}: upgrade it")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        if empty:
            self._create()

    def _create(self) -> None:
        with self._writing():
            if self._pragma("application_id") == _APPLICATION:
                return  # another process was quicker
            for statement in _SCHEMA.split(";\n"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def _pragma(self, name: str) -> int:
        with closing(self._db.execute(f"PRAGMA {name}")) as cursor:
            return int(cursor.fetchone()[0])

    @contextmanager
    def _writing(self) -> Generator[None]:
        """One transaction, begun as a writer; whatever is raised inside rolls it back."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
                raise (DiskFull if full else InfrastructureError)(f"{self.path} was not written: {error}") from error
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def register(self, items: Iterable[StepItem | PairItem]) -> None:
        """Remember what items stand for. An item must be known before it is labelled."""
        rows = [(item.item_id, item.model_dump_json()) for item in items]
        with self._writing():
            self._db.executemany("INSERT OR IGNORE INTO items VALUES (?, ?)", rows)

    def save(self, save: Save) -> bool:
        """Keep a save, on disk when this returns; false when its key is known. Raises UsageError on an unknown item."""
        return self.save_all([save]) == 1

    def save_all(self, saves: Iterable[Save]) -> int:
        """Keep several saves, all or none, and withdraw those that are withdrawn; the number of those that were new."""
        new = 0
        with self._writing():
            for save in saves:
                self._check(save)
                new += self._insert(save)
        return new

    def _insert(self, save: Save) -> int:
        body = save.model_dump_json(exclude={"withdrawn"})
        values = (save.key, save.item_id, save.annotator, _stamp(save.created), body)
        query = "INSERT OR IGNORE INTO saves (key, item_id, annotator, created, body) VALUES (?, ?, ?, ?, ?)"
        new = self._db.execute(query, values).rowcount
        if save.withdrawn is not None:
            self._db.execute("INSERT OR IGNORE INTO withdrawals VALUES (?, ?)", (save.key, _stamp(save.withdrawn)))
        return new

    def _check(self, save: Save) -> None:
        item = self._item(save.item_id)
        if item is None:
            raise UsageError(f"the label file {self.path} knows no item {save.item_id}")
        if isinstance(save.answer, StepAnswer) != isinstance(item, StepItem):
            raise UsageError(f"item {save.item_id} is a {item.kind}, and the answer is not one to a {item.kind}")

    def undo(self, annotator: str, within: Container[str] | None = None) -> Save | None:
        """Withdraw the last save of `annotator` that holds, and return it; None when there is nothing to undo.

        With `within`, saves of other items are left alone.
        """
        now = Save.now()
        with self._writing():
            rows = self._db.execute(f"SELECT item_id, body FROM saves WHERE {_HELD_BY} {_NEWEST}", (annotator,))
            body = next((body for item_id, body in rows if within is None or item_id in within), None)
            if body is None:
                return None
            save = Save.model_validate_json(body)
            self._db.execute("INSERT INTO withdrawals VALUES (?, ?)", (save.key, _stamp(now)))
        return save.model_copy(update={"withdrawn": now})

    def item(self, item_id: str) -> StepItem | PairItem | None:
        """What an item stands for; None when it is not known."""
        with self._lock:
            return self._item(item_id)

    def _item(self, item_id: str) -> StepItem | PairItem | None:
        row = self._db.execute("SELECT body FROM items WHERE item_id = ?", (item_id,)).fetchone()
        return None if row is None else _ITEM.validate_json(row[0])

    def items(self) -> Iterator[StepItem | PairItem]:
        """Every known item, labelled or not, by id."""
        yield from (_ITEM.validate_json(body) for (body,) in self._rows("SELECT body FROM items ORDER BY item_id"))

    def answer(self, annotator: str, item_id: str) -> Save | None:
        """What holds of one annotator on one item."""
        return next(
            self._saves(f"{_SAVES} WHERE {_HELD_BY} AND item_id = ? {_NEWEST} LIMIT 1", annotator, item_id), None
        )

    def answered(self, annotator: str) -> set[str]:
        """The items that one annotator has labelled."""
        return {item_id for (item_id,) in self._rows(f"SELECT DISTINCT item_id FROM saves WHERE {_HELD_BY}", annotator)}

    def holding(self) -> Iterator[Save]:
        """Each annotator's last save of each item that is not withdrawn, oldest first."""
        yield from self._saves(f"{_SAVES} WHERE number IN (SELECT number FROM holding) ORDER BY number")

    def history(self) -> Iterator[Save]:
        """Every save ever made, oldest first, withdrawn and superseded ones included."""
        yield from self._saves(f"{_SAVES} ORDER BY number")

    def steps(self) -> Iterator[StepLabel]:
        """The scores that hold: one label a step, criterion and annotator. Criteria that do not apply have none."""
        yield from (label for label in self._labels() if isinstance(label, StepLabel))

    def not_applicable(self) -> Iterator[NotApplicable]:
        """Where annotators say that a criterion does not apply to a step."""
        yield from (label for label in self._labels() if isinstance(label, NotApplicable))

    def pairs(self) -> Iterator[PairLabel]:
        """The choices that hold: one label a pair and annotator."""
        yield from (label for label in self._labels() if isinstance(label, PairLabel))

    def _labels(self) -> Iterator[StepLabel | NotApplicable | PairLabel]:
        items = {item.item_id: item for item in self.items()}
        for save in self.holding():
            yield from labels_of(items[save.item_id], save)

    def _saves(self, query: str, *values: str) -> Iterator[Save]:
        for body, withdrawn in self._rows(query, *values):
            yield Save.model_validate(json.loads(body) | {"withdrawn": withdrawn})

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()


def _stamp(moment: datetime) -> str:
    """A moment as text that sorts by time."""
    return moment.isoformat(timespec="microseconds")
