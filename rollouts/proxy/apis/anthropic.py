"""Anthropic's Messages API."""

import json
from datetime import datetime

from ....rewards.service.usage import Usage
from ..upstream import Dialect
from .base import Answer, Json, Reading, obj

__all__ = ["Messages", "read_anthropic"]


class Messages(Answer):
    """Anthropic's Messages API."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: Json = {}
        self._blocks = dict[int, Json]()
        self._inputs = dict[int, str]()

    def _take(self, event: Json, at: datetime) -> None:
        kind = event.get("type")
        if kind == "message_start":
            self._answer = dict(event["message"])
        elif kind == "content_block_start":
            block = dict(event["content_block"])
            self._blocks[event["index"]] = block
            if str(block.get("type", "")).endswith("tool_use"):
                self.parts.note(event["index"], "tool_call", "", at, block.get("id"))
        elif kind == "content_block_delta":
            self._delta(event["index"], event["delta"], at)
        elif kind == "message_delta":
            said = {name: value for name, value in event.items() if name not in ("type", "delta", "usage")}
            self._answer.update(said)
            self._answer.update(obj(event.get("delta")))
            known = {name: value for name, value in obj(event.get("usage")).items() if value is not None}
            self._answer["usage"] = {**obj(self._answer.get("usage")), **known}

    def _delta(self, index: int, delta: Json, at: datetime) -> None:
        block, kind = self._blocks.setdefault(index, {}), delta.get("type")
        if kind == "input_json_delta":
            self._inputs[index] = self._inputs.get(index, "") + delta["partial_json"]
            self.parts.note(index, "tool_call", delta["partial_json"], at, block.get("id"))
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        elif kind == "signature_delta":
            block["signature"] = block.get("signature", "") + delta["signature"]
        elif kind in ("text_delta", "thinking_delta"):
            name = kind.removesuffix("_delta")
            block[name] = block.get(name, "") + delta[name]
            self.parts.note(index, "text" if name == "text" else "reasoning", delta[name], at)

    def whole(self) -> Json | None:
        if not self._answer:
            return None
        return {**self._answer, "content": [self._block(index) for index in sorted(self._blocks)]}

    def _block(self, index: int) -> Json:
        block, text = self._blocks[index], self._inputs.get(index)
        if text is None:
            return block
        try:
            return {**block, "input": json.loads(text or "{}")}
        except ValueError:
            return {**block, "partial_json": text}


def read_anthropic(dialect: Dialect, body: Json) -> Reading:
    """What a message says; `input_tokens` are all of the prompt, from the cache and into it included."""
    usage = obj(body.get("usage"))
    plain, cached = usage.get("input_tokens"), usage.get("cache_read_input_tokens")
    created = usage.get("cache_creation_input_tokens")
    counted = Usage(
        input_tokens=None if plain is None else plain + (cached or 0) + (created or 0),
        cached_input_tokens=cached,
        cache_creation_tokens=created,
        output_tokens=usage.get("output_tokens"),
    )
    return Reading(counted, body.get("model"), body.get("id"), body.get("stop_reason"))
