"""The hash chain of a log: which line was changed, removed or put in afterwards can be named.

`chain` of line n is SHA-256(`chain` of line n-1, as 32 bytes, none for the first, followed by line n without its own
`chain`). It is always the last member of the object, so what was hashed is found without parsing. Who may write the
file may also make a whole new chain, but not one with the same head: so the heads of a run are combined into its seal,
to be kept or published elsewhere.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

__all__ = ["ChainBreak", "ChainReport", "link", "seal_line", "seal_of", "verify_chain"]

_SUFFIX = re.compile(rb',"chain":"([0-9a-f]{64})"\}\n\Z')
_SUFFIX_LENGTH = len(b',"chain":""}\n') + 64
_BEFORE_CHAINS = re.compile(rb'"schema_version":\s*"1\.0"')
_SEQ = re.compile(rb'"seq":(\d+)')


def link(before: str | None, body: bytes) -> str:
    """The chain value of a line. `body` is its JSON object without the member `chain` and without a newline."""
    return sha256((bytes.fromhex(before) if before else b"") + body).hexdigest()


def seal_line(body: bytes, chain: str) -> bytes:
    """A whole line, newline included, of its JSON object and its chain value."""
    return body[:-1] + b',"chain":"' + chain.encode() + b'"}\n'


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """A line that is not what was written there."""

    line: int
    """From 1."""
    seq: int | None
    """The event's own number, where it can be read."""
    reason: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What the chain of one log says."""

    events: int
    chained: int
    """Lines that carry a chain value; those of version 1.0 carry none, any other must."""
    head: str | None
    """Chain value of the last line."""
    breaks: tuple[ChainBreak, ...]


def verify_chain(path: Path) -> ChainReport:
    """Check every line of a log, in constant memory. A torn last line is no part of the log."""
    with path.open("rb") as file:
        return verify_lines(file)


def verify_lines(lines: Iterable[bytes]) -> ChainReport:
    """Check the lines of a log."""
    breaks: list[ChainBreak] = []
    events = chained = 0
    before: str | None = None
    for number, line in enumerate(_whole(lines), 1):
        events += 1
        found = _SUFFIX.search(line, max(len(line) - _SUFFIX_LENGTH, 0))
        if found is None:
            if before is not None or not _BEFORE_CHAINS.search(line):
                breaks.append(ChainBreak(number, _seq(line), "has lost its chain value"))
            continue
        chained += 1
        value = found[1].decode()
        if value != link(before, line[: found.start()] + b"}"):
            breaks.append(ChainBreak(number, _seq(line), _why(events, chained, _seq(line))))
        before = value
    return ChainReport(events, chained, before, tuple(breaks))


def seal_of(heads: Iterable[tuple[str, str | None]]) -> str:
    """One figure for a whole run: SHA-256 over the sorted names of its episodes and the heads of their chains."""
    digest = sha256()
    for name, head in sorted(heads):
        digest.update(f"{name} {head or '-'}\n".encode())
    return digest.hexdigest()


def _whole(lines: Iterable[bytes]) -> Iterator[bytes]:
    return (line for line in lines if line.endswith(b"\n"))


def _seq(line: bytes) -> int | None:
    found = _SEQ.search(line)
    return int(found[1]) if found else None


def _why(events: int, chained: int, seq: int | None) -> str:
    if seq is not None and seq != events - 1:
        return f"is event {seq} at the place of event {events - 1}: lines were removed, added or moved"
    if chained == 1 and events > 1:
        return "does not begin a chain: the lines before it lost theirs"
    return "was changed after it was written, or the line before it was replaced"
