"""Messages in the form that trainers read: arguments as objects, results with their tool's name, ids that repeat."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

__all__ = ["Message", "NotPortable", "assistant", "canonical", "characters", "dumps", "render_call"]

Message = dict[str, Any]
_INT64 = 1 << 63


class NotPortable(ValueError):
    """Raised for a number that readers of JSON do not agree on: beyond 64 bits, or not finite."""


def dumps(value: object) -> str:
    """Compact JSON, keys in their order. Raises NotPortable for what is not JSON."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise NotPortable(str(error)) from None


def assistant(content: str, calls: Sequence[tuple[str, Mapping[str, Any]]] = ()) -> Message:
    """What an agent said, with its calls as (name, arguments); ids are given by `canonical`."""
    message: Message = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = [
            {"type": "function", "function": {"name": name, "arguments": dict(arguments)}} for name, arguments in calls
        ]
    return message


def canonical(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The same conversation with parsed arguments, named results, and calls numbered from `call00001`.

    A service's ids are random: numbered ones make equal conversations equal. Nine characters, letters and digits, are
    what the strictest templates ask for. Raises NotPortable.
    """
    renamed: dict[str, tuple[str, str]] = {}
    waiting: list[tuple[str, str]] = []
    count = 0
    told = list[Message]()
    for message in messages:
        known = {key: message[key] for key in ("role", "content", "reasoning_content") if message.get(key) is not None}
        known.setdefault("content", "")
        if message.get("tool_calls"):
            calls = list[Message]()
            for call in cast("Sequence[Mapping[str, Any]]", message["tool_calls"]):
                count += 1
                ours = f"call{count:05d}"
                name = str(call["function"]["name"])
                waiting.append((ours, name))
                if call.get("id"):
                    renamed[str(call["id"])] = (ours, name)
                function = {"name": name, "arguments": _arguments(call["function"].get("arguments"))}
                calls.append({"id": ours, "type": "function", "function": function})
            known["tool_calls"] = calls
        elif known["role"] == "tool":
            given = renamed.get(str(message.get("tool_call_id")))
            answered = given or (waiting[0] if waiting else ("call00000", str(message.get("name") or "")))
            if answered in waiting:
                waiting.remove(answered)
            known = {"role": "tool", "name": answered[1], "tool_call_id": answered[0], "content": known["content"]}
        told.append(known)
    return told


def _arguments(value: object) -> dict[str, Any]:
    """The arguments of a call as an object; what is none is kept under `unreadable`, as chat policies send it."""
    if isinstance(value, str):
        try:
            parsed: object = json.loads(value) if value else {}
        except (ValueError, RecursionError):
            parsed = None
        value = cast("object", parsed) if isinstance(parsed, dict) else {"unreadable": value}
    found = dict(cast("Mapping[str, Any]", value or {}))
    for number in _numbers(found):
        if (isinstance(number, int) and not -_INT64 <= number < _INT64) or not math.isfinite(number):
            raise NotPortable(f"an argument is the number {number!r:.40}")
    return found


def _numbers(value: object) -> Iterator[int | float]:
    if isinstance(value, Mapping):
        for item in cast("Mapping[str, object]", value).values():
            yield from _numbers(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value


def render_call(message: Mapping[str, Any]) -> str:
    """What an agent did by a message, thoughts aside: its calls, or its words where it called nothing."""
    calls = cast("Sequence[Mapping[str, Any]]", message.get("tool_calls") or ())
    if not calls:
        return str(message.get("content") or "")
    return "\n".join(json.dumps(call["function"], ensure_ascii=False, sort_keys=True) for call in calls)


def characters(messages: Sequence[Mapping[str, Any]]) -> int:
    """Characters of contents and calls together."""
    return sum(len(str(m.get("content") or "")) + (len(render_call(m)) if m.get("tool_calls") else 0) for m in messages)
