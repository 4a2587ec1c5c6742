"""Conversations in the form of OpenAI's chat API told in our events."""

from collections.abc import Iterator
from typing import Any

from .base import Foreign, Unread
from .reading import as_dict, as_str, as_text
from .telling import Answer, Teller, call_of, openai_calls

__all__ = ["chat_message", "opening_of"]

_ROLES = frozenset({"system", "user", "tool", "developer", "function"})


def opening_of(messages: list[Any]) -> str:
    """The last message of the user before the first answer."""
    text = ""
    for message in map(as_dict, messages):
        if message.get("role") == "assistant":
            break
        if message.get("role") == "user":
            text = as_text(message.get("content"))
    return text


def chat_message(teller: Teller, value: Any, where: str) -> Iterator[Foreign]:
    """One message: an answer and its calls, the result of a call, or what the model is told besides."""
    message = as_dict(value)
    role = message.get("role")
    if role == "assistant":
        content = as_text(message.get("content"))
        reasoning = as_str(message.get("reasoning_content")) or as_str(message.get("reasoning"))
        calls = openai_calls(message)
        yield from teller.answer(Answer(content=content, reasoning=reasoning, tool_calls=calls, kind="message"))
        for number, record in enumerate(calls):
            yield teller.call(call_of(record, (reasoning or content or None) if not number else None))
    elif isinstance(role, str) and role in _ROLES:
        yield from _heard(teller, message, role)
    else:
        kind = f"message of role {as_text(role)}"[:80] if message else "message that is no object"
        yield Unread(kind=kind, where=where)


def _heard(teller: Teller, message: dict[str, Any], role: str) -> Iterator[Foreign]:
    teller.hear({key: value for key, value in message.items() if value is not None})
    text = as_text(message.get("content"))
    call_id = as_str(message.get("tool_call_id"))
    failed = "failed" if text.startswith("ERROR:") else None
    result = None
    if role in ("tool", "function"):
        result = teller.result(call_id, text, ok=failed is None, error=failed, kind="message", records=1)
    yield result if result is not None else teller.note("message", {"role": role}, what="message")
