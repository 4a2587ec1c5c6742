"""What an agent may do: one module per tool, and a registry. Names are imported on first use."""

from typing import TYPE_CHECKING

from ..lazy import lazy

if TYPE_CHECKING:
    from .base import Arguments, CommandResult, SandboxProtocol, Telemetry, Tool, ToolContext, ToolResult
    from .prompt import chat_tools, system_prompt
    from .registry import MalformedAction, ParsedCall, ToolRegistry, default_tools

__all__ = [
    "Arguments",
    "CommandResult",
    "MalformedAction",
    "ParsedCall",
    "SandboxProtocol",
    "Telemetry",
    "Tool",
    "ToolContext",
    "ToolRegistry",
    "ToolResult",
    "chat_tools",
    "default_tools",
    "system_prompt",
]

__getattr__ = lazy(
    __name__,
    {
        "base": ["Arguments", "CommandResult", "SandboxProtocol", "Telemetry", "Tool", "ToolContext", "ToolResult"],
        "prompt": ["chat_tools", "system_prompt"],
        "registry": ["MalformedAction", "ParsedCall", "ToolRegistry", "default_tools"],
    },
)
