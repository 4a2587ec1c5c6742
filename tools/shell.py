"""Run a shell command in the repository.

`ToolResult.data`: `command`, `timed_out`, `output_sha256` (of all that was written), `output_bytes`.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from .base import Arguments, Tool, ToolContext, ToolResult
from .outcome import error_kind, notices
from .text import bound

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["Shell"]

_MAX_COMMAND = 100_000
_PLAIN = r"[^|&;<>()$`\n]*"
_GREP = rf"grep (?:-[^\s|&;<>()$`]+ )*(?:--recursive|-[a-zA-Z]*[rR]){_PLAIN}"
_WALK = rf"(?:find\b{_PLAIN}|ls -\w*[fU]{_PLAIN}|{_GREP}|du\b{_PLAIN})"
_BY_LINE = rf"(?:grep|egrep|fgrep|cut|tr)\b{_PLAIN}"
_UNORDERED = re.compile(rf"\s*(?:cd [\w./-]+ && )?{_WALK}(?:\|\s*{_BY_LINE})*")
"""What goes through folders in the order in which they are on disk, and filters that look at one line at a time."""
_COMMON = (
    "ls -la",
    "git log --oneline | head -5",
    "pwd",
    "find . -name '*.py' | head -20",
    "wc -l *",
    "env",
    "true",
)


class _Arguments(Arguments):
    command: Annotated[str, Field(min_length=1, max_length=_MAX_COMMAND, pattern=r"^[^\x00]*$")]
    """Command for a POSIX shell; it starts in the repository, every time in a new shell."""
    timeout: Annotated[float, Field(gt=0, le=3600)] | None = None
    """Seconds until the command and everything it started is killed."""


class Shell(Tool[_Arguments]):
    """Any command."""

    name = "shell"
    description = (
        "Run a shell command in the repository. Standard input is empty, so nothing interactive; `cd` and "
        "variables do not last from one call to the next."
    )
    example: ClassVar[Mapping[str, Any]] = {"command": "ls -la"}
    Arguments = _Arguments

    def run(self, arguments: _Arguments, context: ToolContext) -> ToolResult:
        """Run it; how it ends is part of the observation."""
        timeout = arguments.timeout or context.command_timeout
        result = context.sandbox.run(arguments.command, timeout=timeout, output_limit=context.output_limit)
        text = bound(result.text, context.output_limit)
        end = notices(result, timeout)
        kind = error_kind(result)
        return ToolResult(
            output="\n".join([text.rstrip("\n"), *end] if text else ["(no output)", *end]),
            ok=kind is None,
            error=kind,
            exit_code=result.exit_code,
            data={
                "command": arguments.command,
                "timed_out": result.timed_out,
                "output_sha256": result.sha256,
                "output_bytes": result.total_bytes,
            },
            commands=(result,),
        )

    def unordered(self, data: Mapping[str, Any]) -> bool:
        """`find`, `grep -r` and the like, unless sorted or cut short."""
        return _UNORDERED.fullmatch(str(data.get("command", ""))) is not None

    def sample(self, rng: "Generator") -> dict[str, Any]:
        """A harmless command."""
        return {"command": _COMMON[int(rng.integers(len(_COMMON)))]}
