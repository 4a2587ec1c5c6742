"""One step as data: what rewards judge, recorders keep and datasets are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from ..tools.base import Telemetry

__all__ = ["Step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One tool call and its observation. Never holds a live container.

    Two steps are equal when the same was done and seen, whatever it cost.
    """

    __pydantic_config__: ClassVar = {"use_attribute_docstrings": True}

    index: int
    """Position in the episode, from 0."""
    action: str
    """The action exactly as the agent gave it."""
    tool: str | None
    """Name of the tool; None when the action could not be understood."""
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Validated arguments, or what could be read of them."""
    observation: str
    ok: bool
    """The tool did what it was asked to (see `ToolResult.ok`)."""
    error: str | None = None
    """Machine-readable kind of error; `malformed_action` when the action was not valid."""
    exit_code: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The tool's structured facts (`ToolResult.data`)."""
    telemetry: Telemetry = field(compare=False)
    t_start: datetime = field(compare=False)
    t_end: datetime = field(compare=False)
    duration_ms: float = field(compare=False)
    """From a monotonic clock."""
    thought: str | None = None
    """Text the agent gave with the action, if any."""

    @property
    def malformed(self) -> bool:
        """Whether the action was not a valid tool call."""
        return self.error == "malformed_action"
