"""The sources of a command, in a temporary file: memory does not grow with how many there are."""

import os
import sqlite3
import weakref
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from ...errors import DiskFull

__all__ = ["Found", "Rows", "Source"]

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -1024;
BEGIN;
CREATE TABLE source (
    number INTEGER PRIMARY KEY, name TEXT UNIQUE, path BLOB, format TEXT, bytes INTEGER, stamp INTEGER, place INTEGER
);
CREATE TABLE unknown (number INTEGER PRIMARY KEY, name TEXT, path BLOB);
CREATE TABLE content (sha256 TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE copy (number INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE seen (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE part (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE entry (folder INTEGER, name BLOB, PRIMARY KEY (folder, name)) WITHOUT ROWID;
"""
_PAGE = 256
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file, or a folder that holds one run."""

    name: str
    """Its path from the folder that was named; no other source of the command has it."""
    path: str
    format: str
    bytes: int
    stamp: int
    """When it was last changed, in nanoseconds since 1970; of several files the latest."""


class Rows(Collection[Item]):
    """What a query gives, read anew each time; one at a time is in memory."""

    def __init__(self, found: "Found", columns: str, rest: str, make: Callable[..., Item]) -> None:
        self._found = found
        self._columns = columns
        self._rest = rest
        self._make = make

    def __iter__(self) -> Iterator[Item]:
        return (self._make(*row) for row in self._found.ask(f"SELECT {self._columns} FROM {self._rest}"))

    def __len__(self) -> int:
        return self._found.ask(f"SELECT count(*) FROM {self._rest}").fetchone()[0]

    def __contains__(self, item: object) -> bool:
        return any(found == item for found in self)


class Found:
    """What was found at some paths. Raises DiskFull when there is no room for the temporary file."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._db.executescript(_TABLES)
        self._folders = 0
        weakref.finalize(self, self._db.close)

    def ask(self, query: str, *values: object) -> sqlite3.Cursor:
        """What one statement gives."""
        try:
            return self._db.execute(query, values)
        except sqlite3.OperationalError as error:
            raise DiskFull(f"the list of sources finds no room in the temporary folder: {error}") from None

    @property
    def sources(self) -> Rows[Source]:
        """All sources, in the order in which they were found."""
        return self._sources("source ORDER BY number")

    @property
    def left(self) -> Rows[Source]:
        """Those without a place in the journal, in the order in which they were found."""
        return self._sources("source WHERE place IS NULL ORDER BY number")

    @property
    def left_by_size(self) -> Rows[Source]:
        """Those without a place in the journal, the largest first."""
        return self._sources("source WHERE place IS NULL ORDER BY bytes DESC, number")

    @property
    def places(self) -> Rows[int]:
        """Where the journal tells of each source that is done, in the order in which they were found."""
        return Rows(self, "place", "source WHERE place IS NOT NULL ORDER BY number", int)

    @property
    def unrecognised(self) -> Rows[str]:
        """Files in folders that no adapter knows, and links and special files that are not followed."""
        return Rows(self, "name", "unknown ORDER BY number", str)

    @property
    def copies(self) -> Rows[str]:
        """Sources that hold the same bytes as one before them, as far as `compare` was told."""
        return Rows(self, "name", "copy ORDER BY number", str)

    def compare(self, name: str, sha256: str) -> None:
        """A source has this checksum."""
        if not self.ask("INSERT OR IGNORE INTO content VALUES (?)", sha256).rowcount:
            self.ask("INSERT INTO copy (name) VALUES (?)", name)

    def _sources(self, rest: str) -> Rows[Source]:
        return Rows(self, "name, path, format, bytes, stamp", rest, _source)

    @property
    def bytes(self) -> int:
        """Of all sources."""
        return self.ask("SELECT coalesce(sum(bytes), 0) FROM source").fetchone()[0]

    @property
    def bytes_left(self) -> int:
        """Of those without a place in the journal."""
        return self.ask("SELECT coalesce(sum(bytes), 0) FROM source WHERE place IS NULL").fetchone()[0]

    @property
    def formats(self) -> list[str]:
        """Of the sources, sorted."""
        return [row[0] for row in self.ask("SELECT DISTINCT format FROM source ORDER BY format")]

    def listing(self) -> Iterator[dict[str, Any]]:
        """What tells these sources from others, by name."""
        for name, form, size in self.ask("SELECT name, format, bytes FROM source ORDER BY name"):
            yield {"source": name, "format": form, "bytes": size}

    def fingerprint(self) -> str:
        """SHA-256 over the listing."""
        digest = sha256()
        for row in self.listing():
            digest.update(f"{row['source']}\0{row['format']}\0{row['bytes']}\n".encode())
        return digest.hexdigest()

    def source(self, name: str) -> Source | None:
        """The source of that name."""
        return next(iter(self._sources_named(name)), None)

    def _sources_named(self, name: str) -> Iterator[Source]:
        query = "SELECT name, path, format, bytes, stamp FROM source WHERE name = ?"
        return (_source(*row) for row in self.ask(query, name))

    def done(self, name: str, place: int) -> None:
        """Remember where the journal tells of a source."""
        self.ask("UPDATE source SET place = ? WHERE name = ?", place, name)

    def place(self, name: str) -> int | None:
        """Where the journal tells of a source; None of one that is not done."""
        row = self.ask("SELECT place FROM source WHERE name = ?", name).fetchone()
        return None if row is None else row[0]

    def is_new(self, path: Path) -> bool:
        """Whether a file or folder is come upon for the first time."""
        return self.ask("INSERT OR IGNORE INTO seen VALUES (?)", os.fsencode(path)).rowcount > 0

    def add(self, label: str, path: Path, form: str, files: Sequence[os.stat_result], parts: Iterable[Path]) -> None:
        """One more source, consisting of `files`; `parts` are read along with it, so they are no sources."""
        for part in parts:
            self.ask("INSERT OR IGNORE INTO part VALUES (?)", os.fsencode(part))
        name, count = label, 1
        while self.source(name) is not None:
            count += 1
            name = f"{label}#{count}"
        size = sum(stat.st_size for stat in files)
        stamp = max((stat.st_mtime_ns for stat in files), default=0)
        row = (name, os.fsencode(path), form, size, stamp)
        self.ask("INSERT INTO source (name, path, format, bytes, stamp) VALUES (?, ?, ?, ?, ?)", *row)

    def add_unrecognised(self, name: str, path: Path | None = None) -> None:
        """One more file of no format; none after all when it turns out to be part of a source."""
        where = None if path is None else os.fsencode(path)
        self.ask("INSERT INTO unknown (name, path) VALUES (?, ?)", name, where)

    @contextmanager
    def entries(self, folder: Path) -> Generator[Iterator[str]]:
        """The names of what is in a folder, sorted."""
        self._folders += 1
        number = self._folders
        with os.scandir(folder) as children:
            for child in children:
                self.ask("INSERT INTO entry VALUES (?, ?)", number, os.fsencode(child.name))
        yield self._sorted(number)
        self.ask("DELETE FROM entry WHERE folder = ?", number)

    def _sorted(self, folder: int) -> Iterator[str]:
        query = f"SELECT name FROM entry WHERE folder = ? AND name > ? ORDER BY name LIMIT {_PAGE}"
        last = b""
        while page := self.ask(query, folder, last).fetchall():
            yield from (os.fsdecode(row[0]) for row in page)
            last = page[-1][0]

    def finish(self) -> None:
        """The search is over: what is part of a source is none itself."""
        for table in ("source", "unknown"):
            self.ask(f"DELETE FROM {table} WHERE path IN (SELECT path FROM part)")
        for table in ("seen", "part", "entry"):
            self.ask(f"DROP TABLE {table}")


def _source(name: str, path: bytes, form: str, size: int, stamp: int) -> Source:
    return Source(name=name, path=os.fsdecode(path), format=form, bytes=size, stamp=stamp)
