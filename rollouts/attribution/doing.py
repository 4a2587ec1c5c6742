"""What the agent itself did in a step, as far as it matters to who is to blame for what came of it."""

import re
from dataclasses import dataclass

from ...envs.step import Step
from ...rewards.foreign import canonical
from ...rewards.interpret import interpret
from ...rewards.shell import Kind
from ...tools.base import Telemetry
from ..events import ToolCallEvent, ToolResultEvent

__all__ = ["Doing", "doing_of"]

_LOOKS = frozenset((Kind.IDLE, Kind.THINK, Kind.LIST, Kind.VCS, Kind.READ, Kind.SEARCH, Kind.SUBMIT, Kind.MALFORMED))
_DESTROYS = re.compile(
    r"\.git\b|\brm\b|\bmv\b|-delete\b|\bgit\b.{0,40}\b(init|clean|rm)\b|\bch(mod|own|attr)\b|\bmount\b"
)
_INLINE = re.compile(
    r"\s*(?:python|pypy|node|ruby|perl|php)[\d.]*\s+(?:--version|-[Vv]|(?:-\w\s+)*-[ce]\s+(?:'[^']*'|\"[^\"]*\"))\s*"
)
_MAY_WAIT = re.compile(
    r"\b(?:sleep|wait|watch|yes|while|until|for|loop|read|input|stdin|select|poll|accept|listen|recv|f?lock|join|serve\w*|"
    r"import|require|use|exec|eval|open|system|spawn|top)\b|\s-[fF]\b|--follow|/dev/|/proc\b|/sys\b|\s/(?:\s|$)|&\s*$"
)
_NOTHING = Telemetry(wall_ms=0.0)


@dataclass(frozen=True, slots=True)
class Doing:
    """One step, by what it could have caused."""

    looks: bool
    """It only looked, or ran the repository's tests by the tool for it: that uses up nothing and hangs nothing, unless
    something was changed before."""
    edits: bool
    """It set out to change files."""
    destroys: bool
    """It may have removed files, or their history, or the right to write them."""
    ends: bool = True
    """By its words it soon comes to an end: it looks, or is a line for an interpreter, and does not wait, go on for
    ever, run what is in the repository, or walk through the whole machine."""


def doing_of(call: ToolCallEvent, event: ToolResultEvent) -> Doing:
    """What a call and its result say of it."""
    said, done = call.payload, event.payload
    if said.malformed:
        return Doing(looks=True, edits=False, destroys=False)
    step = Step(
        index=said.step,
        action=said.action,
        tool=said.tool,
        arguments=said.arguments,
        observation="",
        ok=done.ok,
        error=done.error,
        exit_code=done.exit_code,
        data=done.data,
        telemetry=_NOTHING,
        t_start=event.t_start,
        t_end=event.t_end,
        duration_ms=event.duration_ms,
    )
    act = interpret(canonical(step), "/")
    looks = act.kind in _LOOKS or said.tool == "run_tests"
    words = act.shell.text if act.shell is not None else said.action
    return Doing(
        looks=looks,
        edits=act.kind is Kind.EDIT,
        destroys=bool(_DESTROYS.search(said.action)),
        ends=(act.kind in _LOOKS or bool(_INLINE.fullmatch(words))) and not _MAY_WAIT.search(words),
    )
