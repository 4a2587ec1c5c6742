"""What readings of foreign tools have in common: the shape of a reading, and facts drawn from what was shown."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from ..envs.step import Step
from .text import listed

__all__ = [
    "OURS",
    "Reader",
    "Reading",
    "files_named",
    "line_of",
    "number",
    "path_of",
    "refused",
    "shown_lines",
    "text_of",
]

OURS = listed("shell file_read file_edit file_write search run_tests git submit think")
"""The tools that `interpret` knows."""

_NUMBERED = re.compile(r"^[ ]*L?(\d+)(?:\t|→|:|\|)", re.MULTILINE)
_NAMED = re.compile(r"^([^\s:][^:\n]*)(?::\d+[:-]|$)", re.MULTILINE)
_PATHS = ("file_path", "path", "absolute_path", "target_file", "filename", "notebook_path", "filepath", "dir_path")
_REFUSED = re.compile(
    r"(?:<tool_use_error>|ERROR:|Error:|No replacement was performed|Invalid `|The path .{0,300} does not exist"
    r"|Your proposed edit has introduced|Found \d+ occurrences|File .{0,300} (?:not found|does not exist))"
)
_HEAD, _TAIL = 2_000, 4_000
_FILES = 200


class Reading(NamedTuple):
    """One of our tools and its arguments, in place of a foreign one's; `data` are facts added to the step's own."""

    tool: str
    arguments: Mapping[str, Any]
    data: Mapping[str, Any] = {}
    ok: bool | None = None
    """Not None where the record says otherwise than the step's own field."""
    exit_code: int | None = None
    """How a command ended, where the record says so in other words: the tool did its work then, and is `ok`."""


Reader = Callable[[Step], Reading | None]
"""Reads a step of one foreign tool; None for one that is none of ours."""


def text_of(value: object) -> str:
    """`value` when it is text, else nothing."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """`value` when it is a whole number, also written as text."""
    if isinstance(value, str) and value.strip().lstrip("-").isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def path_of(arguments: Mapping[str, Any]) -> str:
    """The file that arguments name, whatever they call it."""
    for name in _PATHS:
        if isinstance(arguments.get(name), str):
            return arguments[name]
    many: object = arguments.get("paths")
    first = cast("Sequence[object]", many)[0] if isinstance(many, list) and many else None
    return text_of(first)


def shown_lines(observation: str) -> tuple[int, int] | None:
    """First and last number of the numbered lines that an observation shows."""
    first = _NUMBERED.search(observation, 0, _HEAD)
    if first is None:
        return None
    last = int(first[1])
    for found in _NUMBERED.finditer(observation, max(first.start(), len(observation) - _TAIL)):
        last = max(last, int(found[1]))
    return max(int(first[1]), 1), max(last, 1)


def line_of(piece: str, observation: str) -> int | None:
    """The number of the line of an observation that a new piece of text begins with."""
    wanted = piece.split("\n", 1)[0].rstrip()
    if not wanted.strip():
        return None
    for found in _NUMBERED.finditer(observation, 0, _TAIL):
        end = observation.find("\n", found.end())
        if observation[found.end() : end if end >= 0 else None].rstrip() == wanted:
            return int(found[1])
    return None


def files_named(observation: str) -> list[str]:
    """Files that the lines of a search's result begin with."""
    found = dict[str, None]()
    for match in _NAMED.finditer(observation[: 10 * _TAIL]):
        name = match[1].strip()
        if ("/" in name or "." in name) and " " not in name:
            found.setdefault(name)
        if len(found) == _FILES:
            break
    return list(found)


def refused(step: Step) -> bool:
    """Whether a tool that says so in words only did not do what it was asked to."""
    return not step.ok or _REFUSED.match(step.observation.lstrip()) is not None
