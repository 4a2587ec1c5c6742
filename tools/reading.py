"""From whatever an agent wrote to a tool's name and its arguments, still unchecked."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

__all__ = ["MAX_ACTION", "RawCall", "UnreadableAction", "read_action"]

MAX_ACTION = 4_000_000
"""Characters of the longest action that is read at all."""
_FENCE = re.compile(r"```(?:json|JSON|tool_call)?[ \t]*\r?\n(.*?)\n?[ \t]*```", re.DOTALL)
_KEYS = {"name", "arguments", "thought", "id", "type"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCall:
    """A tool call as given."""

    name: str
    arguments: Mapping[str, Any]
    thought: str | None = None
    call_id: str | None = None


class UnreadableAction(ValueError):
    """Raised when an action has no readable call in it; the message is for the agent."""

    def __init__(self, message: str, call_id: str | None = None) -> None:
        super().__init__(message)
        self.call_id = call_id


def read_action(action: object) -> RawCall:
    """Read JSON text, fenced JSON, an action object, or an OpenAI tool call. Raises UnreadableAction."""
    if isinstance(action, Mapping):
        return _from_object(cast("Mapping[str, Any]", action))
    if not isinstance(action, str):
        raise UnreadableAction(f"The action is neither text nor an object, but a Python {type(action).__name__}.")
    if len(action) > MAX_ACTION:
        raise UnreadableAction(f"The action has {len(action)} characters; at most {MAX_ACTION} are read.")
    text, around = action.strip(), None
    if not text:
        raise UnreadableAction("The action is empty. Give one tool call as a JSON object.")
    if not text.startswith("{"):
        fences = _FENCE.findall(text) if "```" in text else []
        if len(fences) != 1:
            found = f"it has {len(fences)} fenced blocks" if fences else "it does not begin with {"
            raise UnreadableAction(f"The action is not one JSON object: {found}. Give exactly one tool call.")
        around = _FENCE.sub("", text).strip() or None
        text = fences[0]
    call = _from_object(_load(text, "The action"))
    if call.thought is None and around is not None:
        return RawCall(name=call.name, arguments=call.arguments, thought=around, call_id=call.call_id)
    return call


def _load(text: str, what: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        near = text[max(error.pos - 20, 0) : error.pos + 20]
        raise UnreadableAction(
            f"{what} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}, "
            f"near {near!r}. "
            'Write newlines inside strings as \\n and quotes as \\".'
        ) from None
    except (ValueError, RecursionError):
        raise UnreadableAction(f"{what} is not valid JSON: too deep, or a number too long.") from None
    if not isinstance(value, dict):
        raise UnreadableAction(f"{what} is a JSON {_kind(value)}, not an object.")
    return cast(dict[str, Any], value)


def _kind(value: object) -> str:
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "number or constant"


def _from_object(value: Mapping[str, Any]) -> RawCall:
    if "tool_calls" in value:
        return _from_message(value)
    call_id = value["id"] if isinstance(value.get("id"), str) else None
    thought = value["thought"] if isinstance(value.get("thought"), str) else None
    function = value.get("function")
    body = cast(Mapping[str, Any], function) if isinstance(function, Mapping) else value
    unknown = [key for key in value if body is value and key not in _KEYS]
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise UnreadableAction('The action has no "name", which says the tool to use.', call_id)
    if unknown:
        raise UnreadableAction(
            f'The action has the unknown key {unknown[0]!r:.60}; arguments of a tool go inside "arguments".',
            call_id,
        )
    return RawCall(name=name, arguments=_arguments(body.get("arguments"), call_id), thought=thought, call_id=call_id)


def _from_message(value: Mapping[str, Any]) -> RawCall:
    calls = value["tool_calls"]
    if not isinstance(calls, Sequence) or isinstance(calls, str) or len(cast(Sequence[Any], calls)) != 1:
        raise UnreadableAction('Give exactly one tool call in "tool_calls".')
    only = cast(Sequence[Any], calls)[0]
    if not isinstance(only, Mapping):
        raise UnreadableAction('The entry of "tool_calls" is not an object.')
    call = _from_object({key: item for key, item in cast(Mapping[str, Any], only).items() if key != "tool_calls"})
    content = value.get("content")
    said = content if isinstance(content, str) and content else call.thought
    return RawCall(name=call.name, arguments=call.arguments, thought=said, call_id=call.call_id)


def _arguments(value: object, call_id: str | None) -> Mapping[str, Any]:
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            return _load(value, '"arguments"')
        except UnreadableAction as problem:
            raise UnreadableAction(str(problem), call_id) from None
    if isinstance(value, Mapping):
        return cast(Mapping[str, Any], value)
    raise UnreadableAction(f'"arguments" is a JSON {_kind(value)}, not an object.', call_id)
