"""Messages as the semantic conventions for generative AI have them: a role and typed parts."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..payloads import LlmResponse
from .parts import arguments_of, as_items, as_mapping, text_of

__all__ = ["input_messages", "output_messages"]

_KNOWN = frozenset({"role", "content", "tool_calls", "tool_call_id", "reasoning_content", "name"})


def input_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a model was sent, of `gen_ai.input.messages`."""
    return [_message(message) for message in messages]


def output_messages(answer: LlmResponse) -> list[dict[str, Any]]:
    """What it answered, of `gen_ai.output.messages`."""
    parts = _parts(answer.reasoning, answer.content, answer.tool_calls)
    return [{"role": "assistant", "parts": parts, "finish_reason": answer.finish_reason or "unknown"}]


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    role = str(message.get("role") or "user")
    rest = {key: value for key, value in message.items() if key not in _KNOWN and value is not None}
    name = {"name": message["name"]} if message.get("name") else {}
    if role == "tool":
        part = {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": message.get("content")}
        return {"role": role, "parts": [part], **name, **rest}
    parts = _parts(message.get("reasoning_content"), message.get("content"), message.get("tool_calls") or ())
    return {"role": role, "parts": parts, **name, **rest}


def _parts(reasoning: Any, content: Any, calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    parts = list[dict[str, Any]]()
    if reasoning:
        parts.append({"type": "reasoning", "content": text_of(reasoning)})
    found = as_items(content)
    if found is not None:
        parts += [_content_part(item) for item in found]
    elif content is not None and (content or not calls):
        parts.append({"type": "text", "content": text_of(content)})
    return parts + [_call(call) for call in calls]


def _content_part(item: Any) -> dict[str, Any]:
    """A text, or the part as it was, under the name of its type."""
    part = as_mapping(item)
    if part is not None:
        if isinstance(part.get("text"), str):
            return {"type": "text", "content": part["text"]}
        return {**part, "type": str(part.get("type") or "other")}
    return {"type": "text", "content": text_of(item)}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    given = as_mapping(call.get("function")) or call
    raw = given.get("arguments")
    arguments = arguments_of(raw)
    told = {"type": "tool_call", "id": call.get("id"), "name": str(given.get("name") or "")}
    return told | {"arguments": raw if arguments is None else arguments}
