"""What a request to a model asks for."""

import json
from dataclasses import dataclass
from typing import Any, cast

from ..upstream import Target
from .base import obj

__all__ = ["Asked", "read_request"]

_USAGE = "include_usage"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was understood."""

    body: Any
    """As the agent sent it."""
    model: str | None
    stream: bool
    content: bytes
    """What is sent on."""
    hide_usage: bool = False
    """The agent did not ask for the usage of its stream, the proxy did."""


def read_request(target: Target, content: bytes) -> Asked:
    """What a request asks for. Raises ValueError for a body that is no JSON object."""
    route, upstream = target.route, target.service.upstream
    if route.method == "GET":
        return Asked(None, None, False, b"")
    try:
        found: Any = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("not an object")
    body = cast("dict[str, Any]", found)
    if route.dialect == "gemini.generate":
        return Asked(body, target.model, ":stream" in target.path, content)
    model = body.get("model")
    asked = Asked(body, model if isinstance(model, str) else None, body.get("stream") is True, content)
    if upstream.models:
        # Two members of one name are read differently by different readers: what was checked is what is sent.
        asked = Asked(asked.body, asked.model, asked.stream, _dump(body))
    if upstream.complete_usage and asked.stream and route.dialect in ("openai.chat", "openai.completions"):
        return _with_usage(asked)
    return asked


def _with_usage(asked: Asked) -> Asked:
    options = asked.body.get("stream_options")
    if obj(options).get(_USAGE) or not isinstance(options, dict | None):
        return asked
    wanted: dict[str, Any] = {**asked.body, "stream_options": {**obj(options), _USAGE: True}}
    return Asked(asked.body, asked.model, asked.stream, _dump(wanted), hide_usage=True)


def _dump(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
