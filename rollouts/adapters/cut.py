"""One file that holds several sessions, cut into them, with a look ahead of bounded length."""

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .base import Unread
from .reading import Row, as_dict, json_rows, moment

__all__ = ["Cut", "Named", "merged"]

Named = tuple[str, Row | Unread]
"""A row, and the name of its file where that is not the source itself."""
_PEEK = 400
_START = datetime(1970, 1, 1, tzinfo=UTC)


class Cut:
    """The rows of one session after the other."""

    def __init__(
        self,
        rows: Iterator[Named],
        begins: Callable[[dict[str, Any]], str | None],
        enough: Callable[[dict[str, Any]], bool],
    ) -> None:
        """`begins` tells which session a record begins, if it may begin one; `enough` ends the look ahead."""
        self._rows = rows
        self._begins = begins
        self._enough = enough
        self._ahead = deque[Named]()
        self._session: str | None = None
        self._gone = set[str]()

    def peek(self) -> list[dict[str, Any]] | None:
        """The first records of the next session, as far as it looks ahead; None when there are no more rows."""
        while len(self._ahead) < _PEEK and (named := next(self._rows, None)) is not None:
            self._ahead.append(named)
            if self._enough(_record(named[1])):
                break
        if not self._ahead:
            return None
        self._session, found = None, list[dict[str, Any]]()
        for _name, row in self._ahead:
            record = _record(row)
            session = self._begins(record)
            if session is not None and self._session not in (None, session) and session not in self._gone:
                break
            self._session = self._session or session
            found.append(record)
        self._session, session = None, self._session
        return [{"session": session}, *found]

    def __iter__(self) -> Iterator[Named]:
        """The rows of this session."""
        while (named := self._next()) is not None:
            session = self._begins(_record(named[1]))
            if session is not None and session not in self._gone:
                if self._session not in (None, session):
                    self._ahead.appendleft(named)
                    self._gone.add(self._session or "")
                    return
                self._session = session
            yield named

    def _next(self) -> Named | None:
        return self._ahead.popleft() if self._ahead else next(self._rows, None)


def _record(row: Row | Unread) -> dict[str, Any]:
    return as_dict(row.value) if isinstance(row, Row) else {}


def merged(own: Iterator[Named], companions: Sequence[Path]) -> Iterator[Named]:
    """A session's own rows with those of the files beside it, by time; each of these bears the name of its file."""
    if not companions:
        return own
    streams = [own, *(_of_file(file) for file in companions)]
    ordered = heapq.merge(*map(_by_time, streams), key=lambda item: item[0])
    return (named for _at, named in ordered)


def _of_file(path: Path) -> Iterator[Named]:
    return ((path.name, row) for row in json_rows(path))


def _by_time(rows: Iterator[Named]) -> Iterator[tuple[datetime, Named]]:
    """Each row with the latest time so far in its file, which orders it among the others' rows."""
    latest = _START
    for named in rows:
        record = _record(named[1])
        at = moment(record.get("timestamp")) or moment(record.get("startTime"))
        latest = max(latest, at or latest)
        yield latest, named
