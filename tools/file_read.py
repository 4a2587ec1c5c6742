"""Read a file, or a range of its lines, with line numbers.

`ToolResult.data`: `path`, `start`, `end` (last line shown), `total_lines`, `sha256` (of the whole file).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from .base import Arguments, Tool, ToolContext, ToolResult
from .paths import MAX_FILE, ContainerPath, file_failure, read_bounded, relative
from .text import clip_line, decode, is_binary, sha256

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["FileRead"]

_WIDTH = 2000
_COMMON = ("README.md", "README.rst", "pyproject.toml", "setup.py", "setup.cfg", "LICENSE")


class _Arguments(Arguments):
    path: ContainerPath
    """File to read, relative to the repository or absolute."""
    start: Annotated[int, Field(ge=1)] = 1
    """First line, counted from 1."""
    end: Annotated[int, Field(ge=1)] | None = None
    """Last line, included; default is as many as fit."""


class FileRead(Tool[_Arguments]):
    """Numbered lines of a text file."""

    name = "file_read"
    description = "Read a text file with line numbers; `start` and `end` choose a range of lines."
    example: ClassVar[Mapping[str, Any]] = {"path": "README.md", "start": 1, "end": 40}
    Arguments = _Arguments

    def run(self, arguments: _Arguments, context: ToolContext) -> ToolResult:
        """Read the range, or as much of it as an observation may hold."""
        try:
            data = read_bounded(context.sandbox, arguments.path)
        except OSError as error:
            return file_failure(error, arguments.path, context)
        name = relative(arguments.path, context.sandbox.workdir)
        if data is None:
            message = f"{name} is larger than {MAX_FILE} bytes; read parts of it with `search` or `shell`."
            return ToolResult(output=message, ok=False, error="too_large", data={"path": name})
        if is_binary(data):
            facts = {"path": name, "sha256": sha256(data)}
            message = f"{name} is a binary file of {len(data)} bytes; look at it with `shell` (od -c)."
            return ToolResult(output=message, ok=False, error="binary", data=facts)
        return _show(name, data, arguments, context.output_limit)

    def sample(self, rng: "Generator") -> dict[str, Any]:
        """A range of a file that most repositories have."""
        start = int(rng.integers(1, 40))
        return {"path": _COMMON[int(rng.integers(len(_COMMON)))], "start": start, "end": start + 40}


def _split(data: bytes) -> list[str]:
    """Lines as git and editors count them (`str.splitlines` would also split at form feeds)."""
    lines = decode(data).replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _show(name: str, data: bytes, arguments: _Arguments, limit: int) -> ToolResult:
    lines = _split(data)
    total = len(lines)
    facts = {"path": name, "start": arguments.start, "end": 0, "total_lines": total, "sha256": sha256(data)}
    if total == 0:
        return ToolResult(output=f"{name} is empty.", data=facts)
    last = min(arguments.end or total, total)
    if arguments.start > total or last < arguments.start:
        asked = f"{arguments.start} to {arguments.end or 'end'}"
        message = f"{name} has {total} lines; lines {asked} are no range of it."
        return ToolResult(output=message, ok=False, error="out_of_range", data=facts)
    shown, size = list[str](), 0
    for number in range(arguments.start, last + 1):
        line = f"{number:6d}\t{clip_line(lines[number - 1], min(_WIDTH, max(limit // 4, 80)))}"
        size += len(line.encode()) + 1
        if shown and size > limit:
            break
        shown.append(line)
    end = arguments.start + len(shown) - 1
    if end < total:
        more = f"continue with start={end + 1}" if end < last else "there is more"
        shown.append(f"[lines {arguments.start} to {end} of {total}; {more}]")
    return ToolResult(output="\n".join(shown), data=facts | {"end": end})
