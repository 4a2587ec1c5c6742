"""How a command ended, where a foreign record holds no exit code but says it in other words."""

import re

from ..envs.step import Step
from .acts import INFRASTRUCTURE_ERRORS, LIMIT_ERRORS
from .shell import Kind, understand

__all__ = ["exit_code_of"]

_NO_END = LIMIT_ERRORS | INFRASTRUCTURE_ERRORS
_NOT_RUN = re.compile(
    r"<tool_use_error>|Cannot execute multiple commands|Permission to use |The user doesn't want|\[Request interrupted"
    r"|Error: (?:Command timed out|timed? ?out)|Command timed out|Your (?:shell )?command .{0,80}was blocked"
)
_TOLD = re.compile(r"(?:^|\n)(?:Error: )?[Ee]xit code:? (\d+)")
_UNKNOWN = re.compile(r"^.{0,80}: command not found", re.MULTILINE)
_CRASHED = re.compile(
    r"^Traceback \(most recent call last\):|^FAILED \((?:failures|errors)="
    r"|^(?:=+ )?(?:\d+ \w+, )*[1-9]\d* (?:failed|errors?)\b.{0,80}(?: in [\d.]+s|=)",
    re.MULTILINE,
)
_HEAD, _TAIL, _LAST = 200, 1_500, 300


def exit_code_of(step: Step, command: str) -> int | None:
    """How a command ended whose exit code was not recorded; None where it was, or where nothing tells.

    A tool that reports a command's failure as its own did run it, unless it says that it would not; one that reports
    nothing shows it by what a program said last: a traceback, a command that does not exist, tests that failed.
    """
    if step.exit_code is not None or step.error in _NO_END:
        return None
    said = step.observation[-_TAIL:]
    if not step.ok:
        told = _TOLD.search(step.observation[:_HEAD])
        refused = _NOT_RUN.match(step.observation.lstrip())
        return None if refused else int(told[1]) if told else 127 if _UNKNOWN.search(said[-_LAST:]) else 1
    if _UNKNOWN.search(said[-_LAST:]):
        return 127
    kind = understand(command).kind if _CRASHED.search(said) else None
    return 1 if kind in (Kind.RUN, Kind.TEST) else None
