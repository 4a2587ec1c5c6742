"""Search the content or the names of files.

In a git repository `git grep` searches what git does not ignore; elsewhere, or without git, find and grep
search everything. Folders named `.git` are never entered.

`ToolResult.data`: `kind`, `pattern`, `path`, `matches` (how many there are, also those not shown), `files`
(names of the files shown, in order), `truncated` (whether matches are left out of the observation).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from .base import Arguments, CommandResult, Tool, ToolContext, ToolResult
from .outcome import error_kind, notices
from .paths import ContainerPath, relative
from .search_script import (
    END,
    Match,
    SearchQuery,
    content_script,
    count_script,
    name_script,
    parse_content,
    parse_names,
)
from .text import bound, clip_line

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["Search"]

_OUTPUT_LIMIT = 1_000_000
_WIDTH = 250
_WORDS = ("def ", "class ", "import ", "return", "TODO", "raise ", "self", "test")


class _Arguments(Arguments):
    pattern: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00\n]*$")]
    """Text to look for; for `kind="name"` a part of a file name, or a glob such as `test_*.py`."""
    path: ContainerPath = "."
    """File or folder to search."""
    kind: Literal["content", "name"] = "content"
    """What to search: the lines of files, or their names."""
    regex: bool = False
    """Take the pattern as a POSIX extended regular expression instead of literally."""
    ignore_case: bool = False
    """Let upper and lower case match each other."""
    include: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00\n]*$")] | None = None
    """Search only files whose name matches this glob, for example `*.py`."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """Matches to show; the total is told in any case."""


class Search(Tool[_Arguments]):
    """Bounded search of content and names."""

    name = "search"
    description = (
        "Search file contents (kind=content) or file names (kind=name). Literal unless `regex` is true "
        "(POSIX extended syntax). Shows `path:line:text` and the total number of matches."
    )
    example: ClassVar[Mapping[str, Any]] = {"pattern": "def main", "include": "*.py"}
    Arguments = _Arguments

    def run(self, arguments: _Arguments, context: ToolContext) -> ToolResult:
        """Search, show the first matches and tell the total."""
        query = SearchQuery(
            pattern=arguments.pattern,
            path=arguments.path,
            regex=arguments.regex,
            ignore_case=arguments.ignore_case,
            include=arguments.include,
        )
        workdir = context.sandbox.workdir
        by_name = arguments.kind == "name"
        script = name_script(query, workdir) if by_name else content_script(query, workdir)
        result = context.sandbox.run(script, timeout=context.command_timeout, output_limit=_OUTPUT_LIMIT)
        commands = [result]
        facts = _facts(arguments, workdir)
        if (kind := error_kind(result)) is not None:
            text = "\n".join(notices(result, context.command_timeout))
            return ToolResult(output=text, ok=False, error=kind, data=facts, commands=(result,))
        text, status = _status(result)
        if status == "missing":
            message = f"{facts['path']} does not exist."
            return ToolResult(output=message, ok=False, error="not_found", data=facts, commands=(result,))
        if status == "pattern":
            message = f"The pattern is not a valid expression: {bound(text.strip(), 500)}"
            return ToolResult(output=message, ok=False, error="invalid_pattern", data=facts, commands=(result,))
        if result.truncated:  # the tail holds the status; records are taken from the head alone
            text = text[: len(text) * 2 // 5]
        matches = parse_names(text, arguments.path, workdir) if by_name else parse_content(text, workdir)
        total = len(matches)
        if result.truncated:
            commands.append(context.sandbox.run(count_script(script, names=by_name), timeout=context.command_timeout))
            counted = commands[-1].text.strip()
            total = int(counted) if counted.isdigit() else total
        return _show(arguments, matches, total, facts, context.output_limit, tuple(commands))

    def sample(self, rng: "Generator") -> dict[str, Any]:
        """A common word, or Python files."""
        if rng.integers(4) == 0:
            return {"pattern": "*.py", "kind": "name", "limit": 20}
        return {"pattern": _WORDS[int(rng.integers(len(_WORDS)))], "limit": int(rng.integers(5, 50))}


def _facts(arguments: _Arguments, workdir: str) -> dict[str, Any]:
    return {
        "kind": arguments.kind,
        "pattern": arguments.pattern,
        "path": relative(arguments.path, workdir),
        "matches": 0,
        "files": [],
        "truncated": False,
    }


def _status(result: CommandResult) -> tuple[str, str]:
    text, _, status = result.text.rpartition(END)
    return text, status.strip()


def _show(
    arguments: _Arguments,
    matches: list[Match],
    total: int,
    facts: dict[str, Any],
    limit: int,
    commands: tuple[CommandResult, ...],
) -> ToolResult:
    shown, files, size = list[str](), dict[str, None](), 0
    for match in matches[: arguments.limit]:
        name = match.path.replace("\n", "\\n")
        line = name if match.line is None else f"{name}:{match.line}:{clip_line(match.text, _WIDTH)}"
        size += len(line.encode("utf-8", errors="backslashreplace")) + 1
        if shown and size > limit:
            break
        shown.append(line)
        files[match.path] = None
    truncated = total > len(shown)
    facts |= {"matches": total, "files": list(files), "truncated": truncated}
    noun = "file" if arguments.kind == "name" else "matching line"
    what = noun if total == 1 else noun + "s"
    if not shown:
        return ToolResult(output=_nothing(arguments, facts["path"]), data=facts, commands=commands)
    if truncated:
        shown.append(f"[{len(shown)} of {total} {what} shown; narrow the search with `path` or `include`]")
    else:
        shown.append(f"[{total} {what}]")
    return ToolResult(output="\n".join(shown), data=facts, commands=commands)


def _nothing(arguments: _Arguments, path: str) -> str:
    message = f"Nothing found for {arguments.pattern!r} in `{path}`."
    if not arguments.regex and arguments.kind == "content" and any(c in arguments.pattern for c in "|*\\^$[+"):
        message += " The pattern was taken literally; set `regex` to true if it is an expression."
    return message
