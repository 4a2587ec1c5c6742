"""Replace one exact, unique piece of a file.

`ToolResult.data`: `path`, `changed`, `matches`, `line` (first line of the change, None when there was none),
`lines_removed`, `lines_added`, `before_sha256`, `after_sha256`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from .base import Arguments, Tool, ToolContext, ToolResult
from .nearest import nearest
from .paths import ContainerPath, absolute, file_failure, read_bounded, relative
from .text import bound, decode, number_lines, sha256

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["FileEdit"]

_MAX_TEXT = 200_000
_AROUND = 3


class _Arguments(Arguments):
    path: ContainerPath
    """File to change, relative to the repository or absolute."""
    old: Annotated[str, Field(min_length=1, max_length=_MAX_TEXT)]
    """Text to replace, exactly as in the file (without line numbers); it must occur once."""
    new: Annotated[str, Field(max_length=_MAX_TEXT)]
    """Text to put in its place."""


class FileEdit(Tool[_Arguments]):
    """Exact, unique replacement."""

    name = "file_edit"
    description = "Replace a piece of text in a file. `old` must match exactly, whitespace included, and occur once."
    example: ClassVar[Mapping[str, Any]] = {
        "path": "src/app.py",
        "old": "return a - b\n",
        "new": "return a + b\n",
    }
    Arguments = _Arguments

    def run(self, arguments: _Arguments, context: ToolContext) -> ToolResult:
        """Replace, or say why not and where the text nearly is."""
        name = relative(arguments.path, context.sandbox.workdir)
        try:
            data = read_bounded(context.sandbox, arguments.path)
        except OSError as error:
            return file_failure(error, arguments.path, context)
        if data is None:
            return ToolResult(output=f"{name} is too large to edit.", ok=False, error="too_large", data={"path": name})
        if arguments.old == arguments.new:
            message = "Nothing to do: `old` and `new` are the same."
            return _refusal("no_change", message, name, data, matches=data.count(arguments.old.encode()))
        matches = data.count(arguments.old.encode())
        if matches == 0:
            return _refusal("not_found", _not_found(name, arguments.old, data), name, data, matches=0)
        if matches > 1:
            return _refusal("not_unique", _not_unique(name, arguments.old, data), name, data, matches=matches)
        return _replace(name, arguments, data, context)

    def sample(self, rng: "Generator") -> dict[str, Any]:
        """An edit of a scratch file."""
        number = int(rng.integers(1000))
        return {"path": f"scratch_{number}.txt", "old": f"note {number}\n", "new": f"note {number + 1}\n"}


def _refusal(kind: str, message: str, name: str, data: bytes, *, matches: int) -> ToolResult:
    digest = sha256(data)
    facts = {
        "path": name,
        "changed": False,
        "matches": matches,
        "line": None,
        "lines_removed": 0,
        "lines_added": 0,
        "before_sha256": digest,
        "after_sha256": digest,
    }
    return ToolResult(output=message, ok=False, error=kind, data=facts)


def _replace(name: str, arguments: _Arguments, data: bytes, context: ToolContext) -> ToolResult:
    old, new = arguments.old.encode(), arguments.new.encode()
    after = data.replace(old, new)
    try:
        context.sandbox.write_file(absolute(arguments.path, context.sandbox.workdir), after)
    except OSError as error:
        return file_failure(error, arguments.path, context)
    line = data[: data.index(old)].count(b"\n") + 1
    facts = {
        "path": name,
        "changed": True,
        "matches": 1,
        "line": line,
        "lines_removed": _count_lines(old),
        "lines_added": _count_lines(new),
        "before_sha256": sha256(data),
        "after_sha256": sha256(after),
    }
    first = max(line - _AROUND, 1)
    last = line + max(_count_lines(new), 1) - 1 + _AROUND
    lines = decode(after).removesuffix("\n").split("\n")[first - 1 : last]
    shown = bound(number_lines(lines, first, width=400), context.output_limit)
    return ToolResult(output=f"{name} changed at line {line}:\n{shown}", data=facts)


def _count_lines(text: bytes) -> int:
    return text.count(b"\n") + (bool(text) and not text.endswith(b"\n"))


def _not_found(name: str, old: str, data: bytes) -> str:
    near = nearest(old, decode(data))
    if near is None:
        return f"`old` does not occur in {name}, nor anything like it. Read the file first."
    end = near.line + len(near.lines) - 1
    where = f"at line {end}" if end == near.line else f"at lines {near.line} to {end}"
    shown = number_lines(near.lines[:40], near.line, width=300)
    return f"`old` does not occur in {name}. The nearest match is {where}:\n{shown}\nDifference: {near.difference}"


def _not_unique(name: str, old: str, data: bytes) -> str:
    needle, position, lines = old.encode(), -1, list[int]()
    while len(lines) < 50 and (position := data.find(needle, position + 1)) >= 0:
        lines.append(data.count(b"\n", 0, position) + 1)
    shown = ", ".join(str(line) for line in lines)
    return (
        f"`old` occurs {data.count(needle)} times in {name}, at lines {shown}. "
        "Give more of the lines around the one you mean."
    )
