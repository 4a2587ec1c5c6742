"""What an agent may do: one file a tool, one registry. Names are imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import Arguments, CommandResult, SandboxProtocol, Telemetry, Tool, ToolContext, ToolResult
    from .prompt import chat_tools, system_prompt
    from .registry import MalformedAction, ParsedCall, ToolRegistry, default_tools

_HOMES = {
    "Arguments": "base",
    "CommandResult": "base",
    "MalformedAction": "registry",
    "ParsedCall": "registry",
    "SandboxProtocol": "base",
    "Telemetry": "base",
    "Tool": "base",
    "ToolContext": "base",
    "ToolRegistry": "registry",
    "ToolResult": "base",
    "chat_tools": "prompt",
    "default_tools": "registry",
    "system_prompt": "prompt",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
