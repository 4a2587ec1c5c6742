"""The event log of one episode: append-only, one event a line, safe against being killed at any moment.

**What survives.** All events given to one `EventWriter.append` reach the kernel in one `write` before it
returns, so the death of the process (SIGKILL included) loses nothing that was appended. A crash of the
machine may lose what the kernel had not yet put on disk: `fsync="step"` closes that gap for every append,
the default `fsync="episode"` for every finished episode, `"never"` not at all.

**What a death leaves behind.** At most the last line is torn. `EventReader` leaves a torn line out and says
so; `EventWriter`, opened on the same file again, cuts it off and goes on with the next number.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from .chain import link, seal_line
from .events import EVENT_CLASSES, SCHEMA_VERSION, AnyEvent, Event, event_body, now, parse_event
from .log_file import DiskLog, Fsync, LogCorrupt, LogFile, last_line
from .payloads import Payload, Plain, clean
from .timestamps import iso

__all__ = [
    "EventReader",
    "EventWriter",
    "Fsync",
    "Header",
    "LogCorrupt",
    "events_from_end",
    "first_event",
    "last_event",
    "read_events",
]

_KINDS = {payload: kind.value for payload, (_cls, kind) in EVENT_CLASSES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What all events of an episode have in common."""

    run_id: str
    episode_id: str
    task_id: str
    agent: str
    agent_version: str
    model: str | None = None
    repo: str
    commit: str
    seed: int | None = None

    @classmethod
    def of(cls, event: AnyEvent) -> "Header":
        """The header that `event` was written with."""
        return cls(**{name: getattr(event, name) for name in cls.__slots__})


class EventWriter:
    """Appends events to one file. Not thread-safe: one episode has one writer at a time."""

    def __init__(self, log: Path | LogFile, header: Header, *, fsync: Fsync = "episode") -> None:
        """`fsync` is for a path; a log that is open knows its own."""
        self.header = header
        self._common = {"schema_version": SCHEMA_VERSION} | {n: getattr(header, n) for n in Header.__slots__}
        self._before, self._after = _frame(self._common)
        self._file: LogFile = DiskLog(log, fsync) if isinstance(log, Path) else log
        self._closed = False
        last = self._file.last
        self.seq = last.seq + 1 if last is not None else 0
        self._chain = last.chain if last is not None else None

    def event(
        self,
        payload: Payload,
        *,
        t_start: datetime | None = None,
        t_end: datetime | None = None,
        duration_ms: float = 0.0,
    ) -> Event:
        """The next event, not yet written. Without times it is an instant: now."""
        cls, kind = EVENT_CLASSES[type(payload)]
        end = t_end or t_start or now()
        fields = self._common | {
            "seq": self.seq,
            "event_type": kind.value,
            "t_start": t_start or end,
            "t_end": end,
            "duration_ms": duration_ms,
            "payload": payload,
        }
        self.seq += 1
        return cls.model_validate(fields)

    def append(self, *events: AnyEvent) -> None:
        """Write the events in one piece. Raises DiskFull, the log left as it was, when there is no room."""
        data, chain = self._chained(events)
        self._file.append(data)
        self._chain = chain

    def extend(self, *items: tuple[Payload | Plain, datetime, datetime, float]) -> None:
        """Make events of payloads, starts, ends and durations (ms), and append them in one piece.

        The lines are those that `event` and `append` give, in a third of the time; with plain payloads in a quarter.
        """
        lines, chain = list[bytes](), self._chain
        for item in items:
            body = self._body(*item)
            chain = link(chain, body)
            lines.append(seal_line(body, chain))
        self._file.append(b"".join(lines))
        self._chain = chain

    def _body(self, payload: Payload | Plain, start: datetime, end: datetime, duration_ms: float) -> bytes:
        """The JSON object of the next event, put together from its parts instead of a model of it."""
        plain = isinstance(payload, Plain)
        try:
            told = to_json(payload.fields, inf_nan_mode="null") if plain else _payload_json(payload)
        except (PydanticSerializationError, UnicodeEncodeError):
            model = payload.model() if plain else payload
            return _encode(self.event(model, t_start=start, t_end=end, duration_ms=duration_ms))
        kind = _KINDS[payload.kind if plain else type(payload)]
        times = f'"t_start":"{iso(start)}","t_end":"{iso(end)}"'
        middle = f',"seq":{self.seq},"event_type":"{kind}",{times},"duration_ms":'
        self.seq += 1
        return b"".join((self._before, middle.encode(), to_json(float(duration_ms)), self._after, told, b"}"))

    def _chained(self, events: Iterable[AnyEvent]) -> tuple[bytes, str | None]:
        """The lines of the events, each linked to the one before, and the chain value of the last."""
        lines, chain = list[bytes](), self._chain
        for event in events:
            body = _encode(event)
            chain = link(chain, body)
            lines.append(seal_line(body, chain))
        return b"".join(lines), chain

    def write(
        self,
        payload: Payload,
        *,
        t_start: datetime | None = None,
        t_end: datetime | None = None,
        duration_ms: float = 0.0,
    ) -> None:
        """Make one event and append it."""
        end = t_end or t_start or now()
        self.extend((payload, t_start or end, end, duration_ms))

    @property
    def closed(self) -> bool:
        """Whether the file was closed."""
        return self._closed

    def close(self) -> None:
        """Close the file; may be called again."""
        self._closed = True
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _frame(common: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """What stands in a line before its number and between its times and its payload."""
    names = list(common)
    cut = names.index("task_id") + 1
    before, after = ({name: common[name] for name in part} for part in (names[:cut], names[cut:]))
    return to_json(clean(before))[:-1], b"," + to_json(clean(after))[1:-1] + b',"payload":'


def _payload_json(payload: Payload) -> bytes:
    return payload.__pydantic_serializer__.to_json(payload)


def _encode(event: AnyEvent) -> bytes:
    try:
        return event_body(event)
    except (PydanticSerializationError, UnicodeEncodeError):
        return event_body(parse_event(to_json(clean(event.model_dump()))))


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise LogCorrupt(f"{path} cannot be read: {error.strerror}") from error


class EventReader:
    """Iterates over the events of a log in constant memory.

    `torn` is the number of bytes of an unfinished last line. A line in the middle that is no event raises
    LogCorrupt, or, with `tolerant`, is left out and listed in `problems`.
    """

    def __init__(self, path: Path, *, tolerant: bool = False) -> None:
        self.path = path
        self.tolerant = tolerant
        self.torn = 0
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[AnyEvent]:
        with _opened(self.path) as file:
            for number, line in enumerate(file, 1):
                try:
                    event = parse_event(line)
                except ValidationError as error:
                    if not line.endswith(b"\n"):
                        self.torn = len(line)
                        return
                    self._problem(number, error)
                    continue
                yield event

    def _problem(self, number: int, error: ValidationError) -> None:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        message = f"{self.path}:{number}: not an event: {where + ': ' if where else ''}{first['msg']}"
        if not self.tolerant:
            raise LogCorrupt(message) from None
        self.problems.append(message)


def read_events(path: Path) -> Iterator[AnyEvent]:
    """The events of a log; a torn last line is left out."""
    return iter(EventReader(path))


def first_event(path: Path) -> AnyEvent | None:
    """The first event of a log; None when there is none."""
    return next(read_events(path), None)


def events_from_end(path: Path) -> Iterator[AnyEvent]:
    """The events of a log, last first; a torn last line is left out."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        while size:
            size, line = last_line(fd, size)
            try:
                event = parse_event(line)
            except ValidationError:
                continue
            yield event
    finally:
        os.close(fd)


def last_event(path: Path) -> AnyEvent | None:
    """The last whole event of a log; None when there is none."""
    return next(events_from_end(path), None)
