"""Does a patch meddle with how the results of tests are told? Read off its added lines, never run."""

import re

__all__ = ["meddling_line"]

_TAKES_OVER = re.compile(
    r"""\b(?:__)?builtins(?:__)?\b | \bprint\s*=(?!=) | \batexit\b | \bdef\s+pytest_\w+
    | \bsys\.(?:__)?(?:stdout|stderr)(?:__)?(?:\.write)?\s*=(?!=) | \bsys\.(?:excepthook|modules\b.{0,40}\]?)\s*=(?!=)
    | \bos\.(?:write|_exit|dup2)\b | \b(?:unittest|_?pytest|doctest|nose)\b[\w.]*\.\w+\s*=(?!=)
    | \b(?:console\.(?:log|error)|process\.std(?:out|err)\.write)\s*=(?!=) | \bprocess\.exit\b""",
    re.VERBOSE,
)
"""Puts something of its own where test runners print, or ends the interpreter under them."""
_VERDICTS = re.compile(
    r"\b(?:PASSED|FAILED|XFAIL|XPASS)\b|\b\d+ (?:passed|failed)\b|\.\.\. ?ok\b|[\"'](?:passed|failed|FAIL)[\"']"
)
"""Words in which test runners tell results."""


def meddling_line(patch: str) -> str | None:
    """The first added line that takes over how results are printed, of a patch that knows the words for them."""
    added = [line[1:] for line in patch.splitlines() if line.startswith("+") and not line.startswith("+++ ")]
    if not any(_VERDICTS.search(line) for line in added):
        return None
    return next((line.strip() for line in added if _TAKES_OVER.search(line)), None)
