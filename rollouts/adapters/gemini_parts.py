"""Gemini's content: what text its parts hold, and what a call recorded by Gemini CLI led to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...rewards.service.usage import Usage
from .reading import as_dict, as_int, as_list, as_str, as_text, compact

__all__ = ["SHELL", "Response", "exit_code", "parts_of", "responses", "spoken", "thought_text", "token_usage"]

SHELL = "run_shell_command"
_EXIT = re.compile(r"^Exit Code: (-?\d{1,9})$", re.MULTILINE)
_UNCERTAIN = re.compile(r"^(?:Signal|Error|Background PIDs): |moved to background", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Response:
    """A `functionResponse`: what the model is told that a call led to."""

    tool: str | None
    text: str
    failed: bool


def parts_of(content: Any) -> list[dict[str, Any]]:
    """The parts of a message, which is a string, a part, or a list of both."""
    if isinstance(content, str):
        return [{"text": content}] if content else []
    found = as_list(content) if isinstance(content, list) else [content]
    return [{"text": part} if isinstance(part, str) else as_dict(part) or {"value": part} for part in found if part]


def spoken(parts: Iterable[dict[str, Any]]) -> str:
    """The text that was said, thoughts left out."""
    return "".join(as_text(part["text"]) for part in parts if "text" in part and part.get("thought") is not True)


def responses(parts: Iterable[dict[str, Any]]) -> dict[str, Response]:
    """What calls led to, by their ids."""
    told = (as_dict(part["functionResponse"]) for part in parts if "functionResponse" in part)
    return {call_id: _response(one) for one in told if (call_id := as_str(one.get("id"))) is not None}


def _response(told: dict[str, Any]) -> Response:
    inner = as_dict(told.get("response"))
    said = inner.get("output", inner.get("error"))
    text = as_text(said) if isinstance(said, str | list) else compact(inner)
    return Response(as_str(told.get("name")), text, "error" in inner)


def exit_code(tool: str | None, output: str, ok: bool) -> int | None:
    """The exit code of a shell command: Gemini CLI tells it where it is not 0."""
    if tool != SHELL:
        return None
    found = _EXIT.search(output)
    if found:
        return int(found[1])
    return 0 if ok and _UNCERTAIN.search(output) is None else None


def thought_text(thought: dict[str, Any]) -> str:
    """A thought: its subject, and what there is to say of it."""
    return "\n".join(filter(None, (as_text(thought.get("subject")), as_text(thought.get("description")))))


def token_usage(tokens: dict[str, Any]) -> Usage:
    """Token counts as Gemini CLI keeps them: a prompt includes what a cache held, an output no thoughts."""
    prompt, tool = as_int(tokens.get("input")), as_int(tokens.get("tool"))
    output, thoughts = as_int(tokens.get("output")), as_int(tokens.get("thoughts"))
    return Usage(
        input_tokens=None if prompt is None else prompt + (tool or 0),
        cached_input_tokens=as_int(tokens.get("cached")),
        output_tokens=None if output is None else output + (thoughts or 0),
        reasoning_tokens=thoughts,
    )
