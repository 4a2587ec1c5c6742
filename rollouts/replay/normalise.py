"""Named normalisers: what two runs of the same command may differ in although they did the same.

A normaliser replaces what it knows by a placeholder. Two texts are equivalent when they are equal after all of them,
and the report names those without which they are not. A point in time is replaced only when it lies within the time in
which its text came about, so that an altered date of a file or a commit is still a difference.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

__all__ = ["LEAD", "NORMALISERS", "Clock", "Normaliser", "needed", "normalise", "paired"]

LEAD = timedelta(hours=2)
"""How long before an episode its sandbox may have been started."""
_MARGIN = 2  # lines, as much as a normaliser looks around
_SLACK = timedelta(seconds=61)  # times without seconds


@dataclass(frozen=True, slots=True)
class Clock:
    """The time in which a text came about, UTC."""

    earliest: datetime
    latest: datetime
    also: frozenset[str] = frozenset()
    """Points in time as the other text has them, written when it came about."""

    @classmethod
    def around(cls, began: datetime, ended: datetime) -> "Clock":
        """For a text written at `ended` in an episode that began at `began`."""
        return cls(began - LEAD, ended)

    def holds(self, moment: datetime) -> bool:
        """Whether `moment` lies within."""
        return self.earliest - _SLACK <= moment <= self.latest + _SLACK


Normaliser = Callable[[str, Clock], str]


def _pattern(placeholder: str, *patterns: str) -> Normaliser:
    expression = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.MULTILINE)
    return lambda text, _: expression.sub(placeholder, text)


_NUMBER = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_FRACTION = r"\d+\.\d+(?:e[+-]?\d+)?"
_durations = _pattern(
    "<duration>",
    rf"\b{_NUMBER}\s?(?:ms|us|µs|μs|ns|msecs?|usecs?)\b",
    rf"\b{_FRACTION}\s?(?:s|secs?|seconds?|m|min|minutes?)\b(?: \(\d+:\d\d:\d\d\))?",
    r"\b\d+m\s?\d+(?:\.\d+)?s\b",
    rf"(?<=timed out after ){_NUMBER} s\b",
    r"(?<=\bin )\d+\s?(?:s|secs?|seconds?)\b",
    rf"\b{_NUMBER}\s?(?:it|iter|ops|[kKMG]?i?B|[kKMG]?bytes)/s(?:ec)?\b",
)
_RULER = re.compile(r"^.*<duration>.*$", re.MULTILINE)
_RUN = re.compile(r"([=\-_ ])\1+")


def _durations_and_rulers(text: str, clock: Clock) -> str:
    """Lines that are filled up to a width are filled less where a duration is longer."""
    return _RULER.sub(lambda match: _RUN.sub(r"\1", match[0]), _durations(text, clock))


_DATED = re.compile(
    r"\b(?P<y>\d{4})-(?P<mo>\d\d)-(?P<d>\d\d)(?:[T _](?P<h>\d\d):?(?P<mi>\d\d)(?::?(?P<s>\d\d))?(?:[.,]\d+)?"
    r"(?: ?(?:Z\b|UTC|GMT|[+-]\d\d:?\d\d))?)?"
)
_MONTHS: Sequence[str] = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? "
_NAMED = re.compile(
    rf"(?:{_DAY})?\b(?P<mon>{'|'.join(_MONTHS)}) +(?P<d>\d{{1,2}}) +"
    r"(?:(?P<h>\d\d):(?P<mi>\d\d)(?::(?P<s>\d\d))?(?:\.\d+)?(?: (?:UTC|GMT))?(?: (?P<y>\d{4})\b)?(?: [+-]\d{4})?"
    r"|(?P<y2>\d{4})\b)"
)
_MAILED = re.compile(
    rf"(?:{_DAY})?\b(?P<d>\d{{1,2}}) (?P<mon>{'|'.join(_MONTHS)}) (?P<y>\d{{4}})"
    r"(?: (?P<h>\d\d):(?P<mi>\d\d)(?::(?P<s>\d\d))?(?: (?:[+-]\d{4}|UTC|GMT))?)?"
)
_EPOCH = re.compile(r"\b(?P<epoch>1\d{9})(?:\.\d+)?\b")
_OF_DAY = re.compile(r"\b(?P<h>[01]\d|2[0-3]):(?P<mi>[0-5]\d):(?P<s>[0-5]\d)(?:[.,]\d+)?\b")


def _moments(match: re.Match[str], clock: Clock) -> list[datetime]:
    """The moments a text may stand for; none when it stands for no point in time."""
    found = match.groupdict()
    if found.get("epoch"):
        return [datetime.fromtimestamp(int(found["epoch"]), UTC)]
    days = [clock.latest.date(), clock.earliest.date()]
    try:
        if "d" in found:
            month = int(found["mo"]) if found.get("mo") else _MONTHS.index(found["mon"]) + 1
            year = int(found.get("y") or found.get("y2") or clock.latest.year)
            days = [datetime(year, month, int(found["d"])).date()]
        if found.get("h") is None:
            return [clock.latest] if days[0] in (clock.earliest.date(), clock.latest.date()) else []
        time = int(found["h"]), int(found["mi"]), int(found["s"] or 0)
        return [datetime(day.year, day.month, day.day, *time, tzinfo=UTC) for day in days]
    except ValueError:
        return []


_TIMES = (_DATED, _NAMED, _MAILED, _EPOCH, _OF_DAY)


def _timestamps(text: str, clock: Clock) -> str:
    def replaced(match: re.Match[str]) -> str:
        return "<time>" if match[0] in clock.also or any(map(clock.holds, _moments(match, clock))) else match[0]

    for expression in _TIMES:
        text = expression.sub(replaced, text)
    return text


def _written(text: str, clock: Clock) -> frozenset[str]:
    """The points in time in a text that lie within its own time."""
    found = (match for expression in _TIMES for match in expression.finditer(text))
    return frozenset(match[0] for match in found if any(map(clock.holds, _moments(match, clock))))


NORMALISERS: Mapping[str, Normaliser] = {
    "temporary_paths": _pattern(
        "<temporary>",
        r"\btmp[a-z0-9_]{8}\b",
        r"\btmp\.[A-Za-z0-9]{6,12}\b",
        r"\bpytest-of-\w+/pytest-\d+\b",
        r"(?<=/tmp/)[\w-]+[-._][A-Za-z0-9_]{6,10}\b",
    ),
    "uuids": _pattern("<uuid>", r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
    "addresses": _pattern("<address>", r"\b0x[0-9a-fA-F]{5,16}\b", r"\b1(?:39|40)\d{12}\b"),
    "timestamps": _timestamps,
    "pids": _pattern(
        "<pid>",
        r"(?i:(?<=\bpid )|(?<=\bpid=)|(?<=\bpid: )|(?<=\bprocess )|(?<=\bprocess id ))\d+\b",
        r"(?<=\w\[)\d+(?=\]:)",
    ),
    "durations": _durations_and_rulers,
    "commit_ids": _pattern(
        "<commit>",
        r"(?:(?<=^commit )|(?<=^\* )|^)\^?[0-9a-f]{7,40}(?=$| )",
        r"(?<=^\[)[\w./-]+ (?:\(root-commit\) )?[0-9a-f]{7,40}(?=\])",
        r"(?<=HEAD is now at )[0-9a-f]{7,40}\b",
    ),
    "cut": _pattern("<cut>", r"[^\n]*\n\[\.\.\. \d+ (?:of \d+ )?bytes left out \.\.\.\]\n[^\n]*"),
}
"""By name, in the order in which they are applied. `cut` allows for an observation that is cut at another place because
something before was longer."""


def normalise(text: str, clock: Clock, without: str | None = None) -> str:
    """`text` after all normalisers but one."""
    for name, apply in NORMALISERS.items():
        if name != without:
            text = apply(text, clock)
    return text


def paired(recorded: str, replayed: str, then: Clock, now: Clock) -> tuple[Clock, Clock]:
    """Both clocks, so that what one side takes for its present the other does too: an image may be as old as a run."""
    return replace(then, also=_written(replayed, now)), replace(now, also=_written(recorded, then))


def needed(recorded: str, replayed: str, then: Clock, now: Clock) -> tuple[str, ...] | None:
    """The normalisers without which two different texts would not be equal; None when they are not equal after all."""
    left, right = _changed(recorded, replayed)
    then, now = paired(left, right, then, now)

    def equal(without: str | None = None) -> bool:
        return normalise(left, then, without) == normalise(right, now, without)

    if not equal():
        return None
    alone = (name for name, apply in NORMALISERS.items() if apply(left, then) == apply(right, now))
    # Where any of several would do, the first is named.
    return tuple(name for name in NORMALISERS if not equal(name)) or tuple(alone)[:1]


def _changed(recorded: str, replayed: str) -> tuple[str, str]:
    """The lines from the first that differs to the last, with a margin: the rest need not be looked at."""
    left, right = recorded.split("\n"), replayed.split("\n")
    most = min(len(left), len(right))
    head = next((i for i in range(most) if left[i] != right[i]), most)
    tail = next((i for i in range(most - head) if left[-1 - i] != right[-1 - i]), most - head)
    head, tail = max(head - _MARGIN, 0), max(tail - _MARGIN, 0)
    return "\n".join(left[head : len(left) - tail]), "\n".join(right[head : len(right) - tail])
