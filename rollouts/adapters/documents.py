"""Files that are one JSON document: read whole where they are small, member by member where they are not.

A torn or damaged document gives what stands before the damage, and one `Unread` that says where it broke.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from pydantic_core import from_json

from ...errors import MissingExtra
from ..payloads import clean
from .base import Sample, Unread
from .reading import NotJson, as_dict, head_records, parse_json, parse_partial

__all__ = ["SMALL", "Document", "first_object", "glimpse", "open_document", "readable_part", "stem"]

SMALL = 16 << 20
"""Bytes of a document that is read whole; a larger one is read twice, in memory bounded by its largest list item."""
_BOM = b"\xef\xbb\xbf"
_PLACE = re.compile(r"line (\d+) column (\d+)$")


@dataclass(slots=True)
class Document:
    """A JSON document: an object whose long lists are apart, or a list (under the name "")."""

    path: Path
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    """Its members, those aside that `items` gives."""
    damage: Unread | None = None
    """Where it broke."""
    held: dict[str, list[Any]] | None = None
    """The long lists of a small document; None for one that is streamed."""

    def items(self, name: str) -> Iterator[Any]:
        """The items of a long list, one in memory at a time where the document is large."""
        if self.held is not None:
            return iter(self.held.get(name, ()))
        return _streamed_items(self.path, name)


def open_document(path: Path, lists: frozenset[str]) -> Document:
    """The document in a file, the members named in `lists` apart. Raises NotJson where nothing of it can be read."""
    if path.stat().st_size > SMALL:
        return _survey(path, lists)
    data = path.read_bytes().removeprefix(_BOM)
    value, problem = readable_part(data)
    damage = None if problem is None else Unread(kind="torn document", where=problem, broken=True)
    if isinstance(value, list):
        return Document(path, damage=damage, held={"": cast("list[Any]", value)})
    if not isinstance(value, dict):
        raise NotJson(f"{path} is neither an object nor a list")
    members = cast("dict[str, Any]", value)
    apart = {key: cast("list[Any]", item) for key, item in members.items() if key in lists and isinstance(item, list)}
    rest = {key: item for key, item in members.items() if key not in apart}
    return Document(path, fields=rest, damage=damage, held=apart)


def readable_part(data: bytes) -> tuple[Any, str | None]:
    """The value that `data` spells, as far as it does, and what is wrong with it. Raises NotJson."""
    try:
        return parse_json(data), None
    except NotJson as error:
        reason = str(error)
    place = _PLACE.search(reason)
    if place is None:
        raise NotJson(reason)
    whole = data[: _offset(data, int(place[1]), int(place[2]))]
    for part in (data, whole, whole[:-1]):
        try:
            return clean(from_json(part, allow_partial="trailing-strings", cache_strings="keys")), reason
        except ValueError:
            continue
    raise NotJson(reason)


def _offset(data: bytes, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = data.find(b"\n", start) + 1
    return start + max(column - 1, 0)


def glimpse(sample: Sample) -> Any:
    """What can be read of a file's beginning as one JSON document, not to be changed; None where it is none."""
    return _glimpse(sample.head)


@lru_cache(maxsize=4)  # one adapter after the other is asked about the same beginning
def _glimpse(head: bytes) -> Any:
    data = head.removeprefix(_BOM)
    try:
        return clean(from_json(data, allow_partial="trailing-strings")) if data.strip() else None
    except ValueError as error:
        if "trailing characters" in str(error):  # lines of JSON
            return None
    try:
        return parse_partial(data)[0]
    except NotJson:
        return None


def first_object(sample: Sample) -> dict[str, Any]:
    """The first record of a file of JSON lines, as far as its beginning shows it; empty where there is none."""
    records = head_records(sample.head, most=1)
    if records:
        return records[0]
    lines = [line for line in sample.head.removeprefix(_BOM).split(b"\n") if line.strip()]
    return as_dict(glimpse(Sample(path=sample.path, head=lines[0]))) if len(lines) == 1 else {}


def stem(path: Path) -> str:
    """A file's name without its endings."""
    return path.name.split(".")[0] or path.name


class _Events:
    """The events of a document as a streaming parser gives them."""

    def __init__(self, path: Path) -> None:
        try:
            import ijson
        except ImportError:
            raise MissingExtra(
                f"{path} is larger than {SMALL >> 20} MiB, and reading it needs ijson: "
                "pip install 'agent-trajectory-hub[trace]'"
            ) from None
        self._file = path.open("rb")
        if self._file.read(3) != _BOM:
            self._file.seek(0)
        parser = cast("Any", ijson)
        self._events = cast("Iterator[tuple[str, Any]]", parser.basic_parse(self._file, use_float=True))
        self._builder = cast("Callable[[], Any]", parser.ObjectBuilder)
        self.broken: tuple[type[Exception], ...] = (parser.JSONError, ValueError)

    def close(self) -> None:
        self._file.close()

    def next(self) -> tuple[str, Any]:
        return next(self._events, ("eof", None))

    def skip(self, event: str) -> None:
        """Pass over the value that begins with `event`."""
        depth = event.startswith("start_")
        while depth:
            event, _ = self.next()
            depth += event.startswith("start_") - event.startswith("end_")
            if event == "eof":
                return

    def build(self, event: str, value: Any) -> Any:
        """The value that begins with `event`."""
        builder = self._builder()
        builder.event(event, value)
        depth = event.startswith("start_")
        while depth:
            event, value = self.next()
            if event == "eof":
                raise ValueError("ends within a value")
            builder.event(event, value)
            depth += event.startswith("start_") - event.startswith("end_")
        return builder.value


def _survey(path: Path, lists: frozenset[str]) -> Document:
    """The members of a large document that are no long lists."""
    document, events = Document(path), _Events(path)
    try:
        if events.next()[0] != "start_map":
            return document
        while (entry := events.next())[0] == "map_key":
            event, value = events.next()
            if event == "start_array" and entry[1] in lists:
                events.skip(event)
            else:
                document.fields[str(entry[1])] = events.build(event, value)
    except events.broken as error:
        document.damage = Unread(kind="torn document", where=str(error).splitlines()[0], broken=True)
    finally:
        events.close()
    return document


def _streamed_items(path: Path, name: str) -> Iterator[Any]:
    events = _Events(path)
    try:
        event, _ = events.next()
        while name and event == "start_map" and (entry := events.next())[0] == "map_key":
            inner, _ = events.next()
            if entry[1] == name:
                event = inner
                break
            events.skip(inner)
        if event != "start_array":
            return
        while (entry := events.next())[0] not in ("end_array", "eof"):
            yield events.build(*entry)
    except events.broken:
        return
    finally:
        events.close()
