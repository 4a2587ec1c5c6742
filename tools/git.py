"""Look at the repository's history and undo changes in the work tree; nothing here changes history.

`ToolResult.data`: `subcommand`, `args`, `paths`.
"""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from .base import Arguments, Tool, ToolContext, ToolResult
from .git_options import check_arguments
from .outcome import error_kind, notices
from .paths import ContainerPath, relative
from .text import bound

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["Git"]

_PREFIX = (
    "GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0 git --no-pager -c color.ui=never -c core.quotePath=false "
    "-c safe.directory='*' -c log.showSignature=false -c core.fsmonitor=false"
)
_NO_HELPERS = {
    "diff": " --no-ext-diff --no-textconv",
    "log": " --no-ext-diff --no-textconv",
    "show": " --no-ext-diff --no-textconv",
}
_SAMPLES: tuple[tuple[str, list[str]], ...] = (
    ("status", ["--short"]),
    ("diff", []),
    ("diff", ["--stat"]),
    ("log", ["--oneline", "-n", "5"]),
    ("show", ["--stat", "HEAD"]),
)


class _Arguments(Arguments):
    subcommand: Literal["status", "diff", "log", "show", "blame", "restore"]
    """What to do; `restore` puts files back as they were at the last commit."""
    args: Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=30)] = Field(
        default_factory=list[str]
    )
    """Options and revisions, one item each, for example ["--stat", "HEAD~1"]."""
    paths: Annotated[list[ContainerPath], Field(max_length=200)] = Field(default_factory=list[str])
    """Files or folders it is limited to; needed by `blame` (one) and `restore`."""


class Git(Tool[_Arguments]):
    """Reading commands of git, and `restore`."""

    name = "git"
    description = (
        "Run git status, diff, log, show, blame or restore. Options go into `args`, files into `paths`; "
        "history cannot be changed."
    )
    example: ClassVar[Mapping[str, Any]] = {"subcommand": "diff", "args": ["--stat"], "paths": ["src"]}
    Arguments = _Arguments

    def run(self, arguments: _Arguments, context: ToolContext) -> ToolResult:
        """Check the arguments and run git with no pager and no helper programs."""
        workdir = context.sandbox.workdir
        paths = [relative(path, workdir) for path in arguments.paths]
        facts = {"subcommand": arguments.subcommand, "args": arguments.args, "paths": paths}
        problem = check_arguments(arguments.subcommand, arguments.args, arguments.paths)
        if problem is not None:
            return ToolResult(output=problem, ok=False, error="invalid_arguments", data=facts)
        command = _command(arguments, paths)
        result = context.sandbox.run(command, timeout=context.command_timeout, output_limit=context.output_limit)
        text = bound(result.text, context.output_limit).rstrip("\n")
        kind = error_kind(result)
        end = [] if result.exit_code == 0 and kind is None else notices(result, context.command_timeout)
        return ToolResult(
            output="\n".join([text or _silence(arguments.subcommand, result.exit_code), *end]),
            ok=kind is None,
            error=kind,
            exit_code=result.exit_code,
            data=facts,
            commands=(result,),
        )

    def sample(self, rng: "Generator") -> dict[str, Any]:
        """A command that changes nothing."""
        subcommand, args = _SAMPLES[int(rng.integers(len(_SAMPLES)))]
        return {"subcommand": subcommand, "args": args}


def _command(arguments: _Arguments, paths: list[str]) -> str:
    options = _NO_HELPERS.get(arguments.subcommand, "")
    args = "".join(f" {shlex.quote(arg)}" for arg in arguments.args)
    # "./" keeps git from reading a leading colon as pathspec magic
    files = "".join(f" {shlex.quote(path if path.startswith('/') else './' + path)}" for path in paths)
    return f"{_PREFIX} {arguments.subcommand}{options}{args}" + (f" --{files}" if files else " --")


def _silence(subcommand: str, exit_code: int | None) -> str:
    if exit_code != 0:
        return "(no output)"
    return {"diff": "(no differences)", "log": "(no commits)", "restore": "(restored)"}.get(subcommand, "(no output)")
