"""Where a text that should be in a file, and is not, was probably meant to be, and what differs."""

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher, ndiff

__all__ = ["Nearest", "nearest"]

_TOKEN = re.compile(r"\w+|[^\w\s]")
_CANDIDATES = 8
_COMPARED = 20_000


@dataclass(frozen=True, slots=True)
class Nearest:
    """The lines of a file that come closest to a wanted text."""

    line: int
    """First line, from 1."""
    lines: list[str]
    difference: str
    """What keeps them from being equal, in words or as a diff."""


def nearest(wanted: str, content: str) -> Nearest | None:
    """The closest lines, found in time linear in the file; None when nothing resembles the text."""
    want, have = wanted.strip("\n").split("\n"), content.split("\n")
    starts = _candidates(want, have)
    if not starts:
        return None
    size = len(want)

    def likeness(start: int) -> float:
        window = "\n".join(have[start : start + size])[:_COMPARED]
        return SequenceMatcher(None, "\n".join(want)[:_COMPARED], window, autojunk=True).ratio()

    ratio, best = max((likeness(start), -start) for start in starts)
    if ratio < 0.4:
        return None
    lines = have[-best : -best + size]
    return Nearest(line=1 - best, lines=lines, difference=_difference(wanted.split("\n"), want, lines))


def _candidates(want: list[str], have: list[str]) -> list[int]:
    """Starts of the windows that share most words with the wanted lines."""
    wanted = set(_TOKEN.findall("\n".join(want)))
    if not wanted:
        return []
    squeezed = Counter(_squeeze(line) for line in want if line.strip())
    scores = [len(wanted.intersection(_TOKEN.findall(line))) + 4 * min(squeezed[_squeeze(line)], 1) for line in have]
    size = len(want)
    total = sum(scores[:size])
    windows = [(total, 0)]
    for start in range(1, max(len(have) - size + 1, 1)):
        total += scores[start + size - 1] - scores[start - 1]
        windows.append((total, -start))
    windows.sort(reverse=True)
    return [-start for score, start in windows[:_CANDIDATES] if score > 0]


def _squeeze(line: str) -> str:
    return re.sub(r"\s+", " ", line.strip())


def _difference(given: list[str], want: list[str], have: list[str]) -> str:
    if [line.rstrip("\r") for line in have] == want and any(line.endswith("\r") for line in have):
        return "only the line endings differ: the file has \\r\\n where your text has \\n"
    if have == want and given != want:
        return "only blank lines at its beginning or end differ"
    if [line.rstrip() for line in have] == [line.rstrip() for line in want]:
        return "only whitespace at the end of lines differs"
    if [line.strip() for line in have] == [line.strip() for line in want]:
        return _indentation(want, have)
    if [_squeeze(line) for line in have] == [_squeeze(line) for line in want]:
        return "only whitespace inside the lines differs"
    if [line.lower() for line in have] == [line.lower() for line in want]:
        return "only upper and lower case differ"
    if len(want) > 60:
        return "some lines differ"
    diff = [line.rstrip() for line in ndiff(want, have) if line[0] in "+-"]
    return "`-` is your text, `+` is the file:\n" + "\n".join(line[:300] for line in diff[:40])


def _indentation(want: list[str], have: list[str]) -> str:
    for yours, theirs in zip(want, have, strict=True):
        left, right = (line[: len(line) - len(line.lstrip())] for line in (yours, theirs))
        if left != right:
            return (
                f"only the indentation differs: `{theirs.strip()[:60]}` is indented by {_blank(right)} "
                f"in the file and by {_blank(left)} in your text"
            )
    return "only the indentation differs"


def _blank(blank: str) -> str:
    tabs, spaces = blank.count("\t"), blank.count(" ")
    return f"{tabs} tabs and {spaces} spaces" if tabs else f"{spaces} spaces"
