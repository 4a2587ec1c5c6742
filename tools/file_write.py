"""Write a whole file.

`ToolResult.data`: `path`, `created`, `bytes`, `before_sha256` (None when new, or too large to read),
`after_sha256`, `changed`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from .base import Arguments, Tool, ToolContext, ToolResult
from .paths import ContainerPath, absolute, file_failure, read_bounded, relative
from .text import sha256

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["FileWrite"]

_MAX_CONTENT = 1_000_000


class _Arguments(Arguments):
    path: ContainerPath
    """File to write, relative to the repository or absolute; missing folders are made."""
    content: Annotated[str, Field(max_length=_MAX_CONTENT)]
    """The whole new content."""


class FileWrite(Tool[_Arguments]):
    """Create a file or replace all of it."""

    name = "file_write"
    description = "Create a file or replace its whole content; use `file_edit` to change a part of a file."
    example: ClassVar[Mapping[str, Any]] = {"path": "reproduce.py", "content": "print('hello')\n"}
    Arguments = _Arguments

    def run(self, arguments: _Arguments, context: ToolContext) -> ToolResult:
        """Write, and say whether the file is new and whether it changed."""
        sandbox = context.sandbox
        data = arguments.content.encode()
        try:
            before, created = _before(context, arguments.path)
            sandbox.write_file(absolute(arguments.path, sandbox.workdir), data)
        except OSError as error:
            return file_failure(error, arguments.path, context)
        name, after = relative(arguments.path, sandbox.workdir), sha256(data)
        facts = {
            "path": name,
            "created": created,
            "bytes": len(data),
            "before_sha256": before,
            "after_sha256": after,
            "changed": before != after,
        }
        verb = "created" if created else "replaced" if before != after else "already had this content"
        lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
        return ToolResult(output=f"{name}: {verb} ({lines} lines, {len(data)} bytes).", data=facts)

    def sample(self, rng: "Generator") -> dict[str, Any]:
        """A scratch file."""
        number = int(rng.integers(1000))
        return {"path": f"scratch_{number}.txt", "content": f"note {number}\n"}


def _before(context: ToolContext, path: str) -> tuple[str | None, bool]:
    """SHA-256 of the present content, and whether there is none."""
    try:
        data = read_bounded(context.sandbox, path)
    except FileNotFoundError:
        return None, True
    return (None if data is None else sha256(data)), False
