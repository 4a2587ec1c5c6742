"""OpenAI's APIs: chat completions, completions, responses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from ....rewards.service.usage import Usage, read_usage
from ..upstream import Dialect
from .base import Answer, Json, Reading, message_of, obj, objs

__all__ = ["Choices", "Responses", "read_openai"]

_JOINED = frozenset({"content", "reasoning", "reasoning_content", "refusal", "arguments", "text", "thinking", "data"})


def _merge(into: Json, delta: Mapping[str, Any]) -> None:
    """Add a delta: texts and lists grow, what has an index grows there, everything else is replaced."""
    for name, value in delta.items():
        old = into.get(name)
        if value is None:
            into.setdefault(name, None)
        elif isinstance(value, str) and isinstance(old, str) and name in _JOINED:
            into[name] = old + value
        elif isinstance(value, dict) and isinstance(old, dict):
            _merge(cast("Json", old), cast("Json", value))
        elif isinstance(value, list) and isinstance(old, list | None):
            into[name] = _merge_list(cast("list[Any]", old or []), cast("list[Any]", value))
        else:
            into[name] = value


def _merge_list(into: list[Any], delta: list[Any]) -> list[Any]:
    for item in delta:
        index = obj(item).get("index")
        known = next((old for old in objs(into) if old.get("index") == index), None)
        if index is None or known is None:
            into.append(item)
        else:
            _merge(known, item)
    return into


class Choices(Answer):
    """Chat completions and completions of OpenAI's API."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: Json = {}
        self._choices = dict[int, Json]()

    def _take(self, event: Json, at: datetime) -> None:
        for choice in objs(event.get("choices")):
            index = choice.get("index", 0)
            known = self._choices.setdefault(index, Json(index=index))
            rest = {name: value for name, value in choice.items() if name != "delta"}
            delta = choice.get("delta")
            _merge(known, rest if delta is None else {**rest, "message": delta})
            self._times(index, choice if delta is None else obj(delta), at)
        _merge(self._answer, {name: value for name, value in event.items() if name != "choices"})

    def _times(self, index: int, delta: Json, at: datetime) -> None:
        for name in ("reasoning", "reasoning_content"):
            if delta.get(name):
                self.parts.note((index, "reasoning"), "reasoning", delta[name], at)
        for name in ("content", "refusal", "text"):
            if delta.get(name):
                self.parts.note((index, "text"), "text", delta[name], at)
        for call in objs(delta.get("tool_calls")):
            text = obj(call.get("function")).get("arguments") or ""
            self.parts.note((index, call.get("index", 0)), "tool_call", text, at, call.get("id"))

    def whole(self) -> Json | None:
        if not self._answer and not self._choices:
            return None
        kind = str(self._answer.get("object", "")).removesuffix(".chunk")
        choices = [self._choices[index] for index in sorted(self._choices)]
        return {**self._answer, "object": kind, "choices": choices}


class Responses(Answer):
    """OpenAI's Responses API."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: Json = {}
        self._items = dict[int, Json]()

    def _take(self, event: Json, at: datetime) -> None:
        kind = str(event.get("type", ""))
        if response := obj(event.get("response")):
            self._answer = response
            if (error := self._answer.get("error")) is not None:
                self.error = message_of({"error": error})
        elif kind == "error":
            self.error = message_of(event)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._items[event["output_index"]] = event["item"]
        elif kind.endswith(".delta") and isinstance(event.get("delta"), str):
            self._delta(kind, event, at)

    def _delta(self, kind: str, event: Json, at: datetime) -> None:
        index = event.get("output_index", 0)
        item = self._items.setdefault(index, {})
        if "reasoning" in kind:
            self.parts.note((index, "reasoning"), "reasoning", event["delta"], at)
        elif "arguments" in kind or "input" in kind:
            name = "arguments" if "arguments" in kind else "input"
            item[name] = item.get(name, "") + event["delta"]
            self.parts.note((index, "call"), "tool_call", event["delta"], at, item.get("call_id"))
        else:
            item["partial_text"] = item.get("partial_text", "") + event["delta"]
            self.parts.note((index, "text"), "text", event["delta"], at)

    def whole(self) -> Json | None:
        if not self._answer and not self._items:
            return None
        items = [self._items[index] for index in sorted(self._items)]
        return self._answer if self._answer.get("output") or not items else {**self._answer, "output": items}


def read_openai(dialect: Dialect, body: Json) -> Reading:
    """What an answer of these APIs says."""
    if dialect == "openai.responses":
        why = obj(body.get("incomplete_details")).get("reason") or body.get("status")
        return Reading(_responses_usage(obj(body.get("usage"))), body.get("model"), body.get("id"), why)
    choices = objs(body.get("choices")) or [{}]
    return Reading(read_usage(body), body.get("model"), body.get("id"), choices[0].get("finish_reason"))


def _responses_usage(usage: Json) -> Usage:
    return Usage(
        input_tokens=usage.get("input_tokens"),
        cached_input_tokens=obj(usage.get("input_tokens_details")).get("cached_tokens"),
        output_tokens=usage.get("output_tokens"),
        reasoning_tokens=obj(usage.get("output_tokens_details")).get("reasoning_tokens"),
    )
