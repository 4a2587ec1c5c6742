"""A shorter time-out for one step, set by whoever expects its command to be quick."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..tools.base import ToolResult

__all__ = ["Deadline"]

_CUT, _RETRIED = "cut_after", "retried_after"


@dataclass(frozen=True, slots=True)
class Deadline:
    """Seconds that a command which asks for no time-out of its own is given at first."""

    seconds: float
    retry: bool = False
    """Do it once more, with the full time, when it was not done by then."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Deadline | None":
        """The deadline that a recorded step hit, from its structured facts; None when it hit none."""
        for key, retry in ((_CUT, False), (_RETRIED, True)):
            if isinstance(seconds := data.get(key), int | float):
                return cls(float(seconds), retry)
        return None

    def mark(self, first: ToolResult, second: ToolResult | None) -> ToolResult:
        """What a step that hit the deadline came to, with `cut_after` or `retried_after` among its facts."""
        if second is None:
            return replace(first, data={**first.data, _CUT: self.seconds})
        commands = first.commands + second.commands
        return replace(second, data={**second.data, _RETRIED: self.seconds}, commands=commands)
