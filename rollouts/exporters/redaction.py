"""Credentials taken out of an episode before it is handed on."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..events import AnyEvent, LlmRequestEvent, LlmResponseEvent, UnknownEvent
from ..quality import find_secrets

__all__ = ["redact"]

_SHORTEST = 12
"""Characters; no credential is shorter."""
_TOKENS = {
    LlmRequestEvent: {"token_ids": None},
    LlmResponseEvent: {"prompt_token_ids": None, "completion_token_ids": None, "logprobs": None},
}


def redact(events: Sequence[AnyEvent]) -> tuple[list[AnyEvent], dict[str, int]]:
    """The events without credentials, and how many of each kind were taken out.

    An episode that holds one loses its token ids too: they spell the same text.
    """
    found = dict[str, int]()
    told = [_clean(event, found) for event in events]
    return ([_without_tokens(event) for event in told] if found else told), found


def _clean(event: AnyEvent, found: dict[str, int]) -> AnyEvent:
    known = event.payload if isinstance(event, UnknownEvent) else event.payload.model_dump()
    before = sum(found.values())
    told = _walk(known, found)
    if sum(found.values()) == before:
        return event
    whole = {**event.model_dump(exclude={"payload"}), "payload": told}
    return type(event).model_validate(whole)


def _walk(value: Any, found: dict[str, int]) -> Any:
    if isinstance(value, str):
        return _text(value, found) if len(value) >= _SHORTEST else value
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {_walk(key, found): _walk(item, found) for key, item in items}
    if isinstance(value, list | tuple):
        items = list(cast("Sequence[Any]", value))
        return items if items and isinstance(items[0], int | float) else [_walk(item, found) for item in items]
    return value


def _text(text: str, found: dict[str, int]) -> str:
    pieces, last = list[str](), 0
    for secret in find_secrets(text):
        found[secret.kind] = found.get(secret.kind, 0) + 1
        pieces += [text[last : secret.start], f"[removed: {secret.kind}]"]
        last = _end(text, secret.end) if secret.kind == "private key" else secret.end
    return "".join([*pieces, text[last:]]) if pieces else text


def _end(text: str, start: int) -> int:
    """Where a private key ends: its last line, or the text, where that is missing."""
    mark = text.find("-----END ", start)
    if mark < 0:
        return len(text)
    close = text.find("-----", mark + 9)
    return len(text) if close < 0 else close + 5


def _without_tokens(event: AnyEvent) -> AnyEvent:
    if not isinstance(event, LlmRequestEvent | LlmResponseEvent):
        return event
    return event.model_copy(update={"payload": event.payload.model_copy(update=_TOKENS[type(event)])})
