"""End the episode. `ToolResult.data` is empty."""

from collections.abc import Mapping
from typing import Any, ClassVar

from .base import Arguments, Tool, ToolContext, ToolResult

__all__ = ["Submit"]


class _Arguments(Arguments):
    pass


class Submit(Tool[_Arguments]):
    """Hand in the repository as it is."""

    name = "submit"
    description = "Hand in the repository as it is now and end the episode. Takes no arguments."
    example: ClassVar[Mapping[str, Any]] = {}
    Arguments = _Arguments

    def run(self, arguments: _Arguments, context: ToolContext) -> ToolResult:
        """End the episode."""
        return ToolResult(output="Submitted.", done=True)
