"""What became of each source that is done: a line of JSON each, in the order in which they were.

Memory holds where a source's line begins, in the list of sources; the lines stay on disk.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from ..files import room_for, sha256_of
from .found import Found, Source
from .report import SourceReport

__all__ = ["JOURNAL", "Journal"]

JOURNAL = "ingest.jsonl"


class Journal:
    """The journal of a run, open for the one process that works on it. Raises DiskFull."""

    def __init__(self, folder: Path) -> None:
        path = folder / JOURNAL
        self._path = path
        self._lock = threading.Lock()
        with room_for(path):
            self._file = path.open("a+b", buffering=0)
        self._end = 0

    def recall(self, found: Found) -> list[str]:
        """Mark the sources that earlier commands did; the names of those that have changed since.

        A torn last line is cut off. Sources that could not be read to their end are to be read again.
        """
        changed = list[str]()
        for place, report in self._reports(0):
            source = found.source(report.source)
            if source is None or report.problem:
                continue
            if source.stamp != report.stamp and report.sha256 != _sha256(source):
                changed.append(source.name)
            found.done(source.name, place)
        return changed

    def note(self, report: SourceReport) -> None:
        """Add what became of a source; may be called by several threads."""
        line = json.dumps(report.as_dict()).encode() + b"\n"
        with self._lock, room_for(self._path):
            self._file.write(line)

    def mark(self, found: Found) -> None:
        """Mark the sources that were done since the journal was opened."""
        for place, report in self._reports(self._end):
            found.done(report.source, place)

    def report(self, found: Found, name: str) -> SourceReport | None:
        """What became of a source that is marked; None of one that is not."""
        place = found.place(name)
        if place is None:
            return None
        self._file.seek(place)
        return SourceReport.of(json.loads(self._file.readline()))

    def lines(self, found: Found) -> Iterator[bytes]:
        """What became of the sources that are marked, in the order in which they were found."""
        with self._path.open("rb") as file:
            for place in found.places:
                file.seek(place)
                yield file.readline()

    def _reports(self, place: int) -> Iterator[tuple[int, SourceReport]]:
        """What the journal holds from a place on, and where."""
        with self._path.open("rb") as file:
            file.seek(place)
            for line in file:
                if not line.endswith(b"\n"):
                    self._file.truncate(place)
                    break
                yield place, SourceReport.of(json.loads(line))
                place += len(line)
        self._end = place

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _sha256(source: Source) -> str | None:
    path = Path(source.path)
    return sha256_of(path) if path.is_file() else "a folder that was changed"
