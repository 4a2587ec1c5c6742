"""The tools an agent has, and the reading of what it says it wants to do.

An action is a JSON object `{"name": ..., "arguments": {...}, "thought": ...}`, plain or in a ```json fence,
or a tool call in OpenAI's format. What cannot be understood becomes a `MalformedAction`, never an exception.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from .base import Arguments, Tool, ToolContext, ToolResult
from .file_edit import FileEdit
from .file_read import FileRead
from .file_write import FileWrite
from .git import Git
from .reading import RawCall, UnreadableAction, read_action
from .run_tests import RunTests
from .search import Search
from .shell import Shell
from .submit import Submit
from .text import clip_line

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["MalformedAction", "ParsedCall", "ToolRegistry", "default_tools"]

_PROBLEMS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCall:
    """A valid tool call."""

    tool: Tool[Any]
    arguments: Arguments
    thought: str | None = None
    call_id: str | None = None
    """The id a chat model gave the call, to be returned with its result."""

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.tool.name

    def run(self, context: ToolContext) -> ToolResult:
        """Act."""
        return self.tool.run(self.arguments, context)


@dataclass(frozen=True, slots=True, kw_only=True)
class MalformedAction:
    """An action that is not a valid tool call, and what to tell the agent."""

    message: str
    tool: str | None = None
    """The tool it names, when that much could be read."""
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments as far as they could be read."""
    thought: str | None = None
    call_id: str | None = None


def default_tools() -> tuple[Tool[Any], ...]:
    """The fixed action space."""
    return (FileRead(), FileWrite(), FileEdit(), Shell(), Search(), Git(), RunTests(), Submit())


class ToolRegistry:
    """Tools by name."""

    def __init__(self, tools: Iterable[Tool[Any]] | None = None) -> None:
        chosen = default_tools() if tools is None else tuple(tools)
        self._tools = {tool.name: tool for tool in chosen}
        if len(self._tools) != len(chosen):
            raise ValueError("two tools have the same name")

    def __iter__(self) -> Iterator[Tool[Any]]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __getitem__(self, name: str) -> Tool[Any]:
        return self._tools[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tools, in order."""
        return tuple(self._tools)

    def schemas(self) -> list[dict[str, Any]]:
        """Every tool in OpenAI's function-calling format."""
        return [tool.schema() for tool in self]

    def parse(self, action: str | Mapping[str, Any]) -> ParsedCall | MalformedAction:
        """Understand an action, or say what is wrong with it and show an example."""
        try:
            call = read_action(action)
        except UnreadableAction as problem:
            return MalformedAction(message=f"{problem}\n{self._usage()}", call_id=problem.call_id)
        tool = self._tools.get(call.name)
        if tool is None:
            return self._malformed(call, self._unknown(call.name))
        try:
            arguments = tool.Arguments.model_validate(call.arguments)
        except ValidationError as error:
            return self._malformed(call, _explain(tool, error))
        return ParsedCall(tool=tool, arguments=arguments, thought=call.thought, call_id=call.call_id)

    def sample(self, rng: "Generator") -> str:
        """A valid action drawn from `rng`, as text."""
        tool = list(self)[int(rng.integers(len(self)))]
        return json.dumps({"name": tool.name, "arguments": tool.sample(rng)})

    def _malformed(self, call: RawCall, message: str) -> MalformedAction:
        return MalformedAction(
            message=message,
            tool=call.name if call.name in self._tools else None,
            arguments=call.arguments,
            thought=call.thought,
            call_id=call.call_id,
        )

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name[:100], self.names, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"There is no tool {clip_line(name, 100)!r}.{hint} Tools: {', '.join(self.names)}."

    def _usage(self) -> str:
        first = next(iter(self))
        return f"Tools: {', '.join(self.names)}.\nExample: {_example(first)}"


def _example(tool: Tool[Any]) -> str:
    return json.dumps({"name": tool.name, "arguments": dict(tool.example)}, ensure_ascii=False)


def _explain(tool: Tool[Any], error: ValidationError) -> str:
    problems = list[str]()
    for detail in error.errors(include_url=False, include_context=False)[:_PROBLEMS_SHOWN]:
        where = ".".join(str(part) for part in detail["loc"]) or "arguments"
        match detail["type"]:
            case "missing":
                said = "is required"
            case "extra_forbidden":
                names = ", ".join(tool.Arguments.model_fields)
                said = f"is unknown; {tool.name} takes {names or 'no arguments'}"
            case _:
                said = f"{detail['msg']}, not {clip_line(repr(detail['input']), 80)}"
        problems.append(f"- `{where}`: {said}")
    return f"The arguments of {tool.name} are not valid:\n" + "\n".join(problems) + f"\nExample: {_example(tool)}"
