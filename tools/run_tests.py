"""Run the repository's tests, chosen ones or all.

`ToolResult.data`: `command`, `selected`, `tests` (`{name: status}`), `counts` (`{status: number}`),
`parsed` (whether results could be read from the log).
"""

import re
import shlex
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from .base import Arguments, Tool, ToolContext, ToolResult
from .outcome import error_kind, notices
from .text import bound

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["RunTests"]

_LOG_LIMIT = 4_000_000
_FAILURES_SHOWN = 50
_BAD = ("FAILED", "ERROR")
_STATUSES = {"PASSED", "SKIPPED", "XFAIL", *_BAD}
_PARALLEL = re.compile(r"(?:^|\s)(?:-n(?:\s*|=)(?:auto|logical|[1-9]\d*)|--numprocesses\b|--parallel\b)")


def _no_option(name: str) -> str:
    if "\0" in name:
        raise ValueError("a test name cannot hold a NUL character")
    if name.startswith("-"):
        raise ValueError("a test name cannot begin with a dash; use `shell` to run tests with options")
    return name


TestName = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_no_option)]


class _Arguments(Arguments):
    tests: Annotated[list[TestName], Field(max_length=500)] = Field(default_factory=list[str])
    """Test files or test names as the test runner knows them; all tests when empty."""
    timeout: Annotated[float, Field(gt=0, le=3600)] | None = None
    """Seconds until the run is killed."""


class RunTests(Tool[_Arguments]):
    """The repository's own tests."""

    name = "run_tests"
    description = "Run the repository's tests, all or those named in `tests`; failures and counts come first."
    example: ClassVar[Mapping[str, Any]] = {"tests": ["tests/test_app.py"]}
    Arguments = _Arguments

    def run(self, arguments: _Arguments, context: ToolContext) -> ToolResult:
        """Run, parse, and put what failed first."""
        if context.test_command is None:
            message = "This task names no test command; run its tests with `shell`."
            facts = _facts(None, arguments.tests, {})
            return ToolResult(output=message, ok=False, error="no_test_command", data=facts)
        command = " ".join([context.test_command, *(shlex.quote(test) for test in arguments.tests)])
        timeout = arguments.timeout or context.test_timeout
        result = context.sandbox.run(command, timeout=timeout, output_limit=_LOG_LIMIT)
        tests = _parse(result.text, context)
        kind = error_kind(result)
        head, end = _summary(tests), notices(result, timeout)
        room = max(context.output_limit - len(head.encode()), context.output_limit // 4)
        log = bound(result.text, room).rstrip("\n")
        return ToolResult(
            output="\n".join([bound(head, context.output_limit), "", "Log:", log or "(no output)", *end]),
            ok=kind is None,
            error=kind,
            exit_code=result.exit_code,
            data=_facts(command, arguments.tests, tests),
            commands=(result,),
        )

    def unordered(self, data: Mapping[str, Any]) -> bool:
        """Tests that run in several processes are reported as they end."""
        return _PARALLEL.search(str(data.get("command") or "")) is not None

    def sample(self, rng: "Generator") -> dict[str, Any]:
        """All tests, or one folder."""
        return {"tests": []} if rng.integers(2) else {"tests": ["tests"]}


def _parse(log: str, context: ToolContext) -> dict[str, str]:
    if context.log_parser is None:
        return {}
    try:
        found = context.log_parser(log)
        # Parsers of words take a runner's complaint ("ERROR: file or directory not found") for a test called "file".
        return {name: status for name, status in found.items() if status in _STATUSES}
    except (ValueError, LookupError, AttributeError):  # parsers index into lines they believe to know
        return {}


def _facts(command: str | None, selected: list[str], tests: dict[str, str]) -> dict[str, Any]:
    return {
        "command": command,
        "selected": selected,
        "tests": tests,
        "counts": dict(Counter(tests.values())),
        "parsed": bool(tests),
    }


def _summary(tests: Mapping[str, str]) -> str:
    if not tests:
        return "No test results could be read from the log."
    bad = [f"{status} {name}" for name, status in tests.items() if status in _BAD]
    told = ", ".join(f"{number} {status.lower()}" for status, number in sorted(Counter(tests.values()).items()))
    lines = [f"{len(tests)} tests: {told}.", *bad[:_FAILURES_SHOWN]]
    if len(bad) > _FAILURES_SHOWN:
        lines.append(f"… and {len(bad) - _FAILURES_SHOWN} more that failed")
    return "\n".join(lines)
