"""Answers of each API: a stream put together into the form it has without streaming, and what an answer says."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from ....rewards.service.usage import Usage, read_usage
from ...payloads import Part
from ..upstream import Dialect

__all__ = ["Answer", "Reading", "answer_of", "read_answer"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says of itself."""

    usage: Usage
    model: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    error: str | None = None


class Parts:
    """Pieces of a stream in their order, each with the time of its last bit."""

    def __init__(self) -> None:
        self._found = list[tuple[object, Part]]()
        self.first: datetime | None = None

    def note(self, key: object, kind: str, text: str, at: datetime, call_id: str | None = None) -> None:
        """A bit of the piece `key` came."""
        if self.first is None and (text or kind == "tool_call"):
            self.first = at
        if self._found and self._found[-1][0] == key:
            part = self._found.pop()[1]
            call_id, text_length = call_id or part.call_id, (part.chars or 0) + len(text)
        else:
            text_length = len(text)
        if text_length or kind == "tool_call":
            self._found.append((key, Part(kind=kind, at=at, chars=text_length, call_id=call_id)))

    @property
    def all(self) -> tuple[Part, ...]:
        """All of them."""
        return tuple(part for _, part in self._found)


class Answer(ABC):
    """A streamed answer in the making."""

    def __init__(self) -> None:
        self.parts = Parts()
        self.events = 0
        self.error: str | None = None
        """What the service said went wrong in the middle of the stream."""

    def feed(self, data: bytes, at: datetime) -> Json | None:
        """Take one event; what it says, None when that is no object."""
        self.events += 1
        try:
            event: Any = json.loads(data)
        except (ValueError, RecursionError):
            return None
        if not isinstance(event, dict):
            return None
        found = cast("Json", event)
        if found.get("error"):
            self.error = _message(found)
        with suppress(TypeError, AttributeError, KeyError, ValueError, IndexError):
            self._take(found, at)  # an event that is not of the API's form is passed on like every other
        return found

    @abstractmethod
    def _take(self, event: Json, at: datetime) -> None: ...

    @abstractmethod
    def whole(self) -> Json | None:
        """The answer, as far as it came, in the form without streaming; None when nothing came."""
        ...


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
        index = cast("Json", item).get("index") if isinstance(item, dict) else None
        known = next((old for old in into if isinstance(old, dict) and cast("Json", old).get("index") == index), None)
        if index is None or known is None:
            into.append(item)
        else:
            _merge(cast("Json", known), item)
    return into


class _Choices(Answer):
    """Chat completions and completions of OpenAI's API."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: Json = {}
        self._choices = dict[int, Json]()

    def _take(self, event: Json, at: datetime) -> None:
        for choice in event.get("choices") or ():
            index = choice.get("index", 0)
            known = self._choices.setdefault(index, {"index": index})
            rest = {name: value for name, value in choice.items() if name != "delta"}
            delta = choice.get("delta")
            _merge(known, rest if delta is None else {**rest, "message": delta})
            self._times(index, choice if delta is None else delta, at)
        _merge(self._answer, {name: value for name, value in event.items() if name != "choices"})

    def _times(self, index: int, delta: Json, at: datetime) -> None:
        for name in ("reasoning", "reasoning_content"):
            if delta.get(name):
                self.parts.note((index, "reasoning"), "reasoning", delta[name], at)
        for name in ("content", "refusal", "text"):
            if delta.get(name):
                self.parts.note((index, "text"), "text", delta[name], at)
        for call in delta.get("tool_calls") or ():
            text = (call.get("function") or {}).get("arguments") or ""
            self.parts.note((index, call.get("index", 0)), "tool_call", text, at, call.get("id"))

    def whole(self) -> Json | None:
        if not self._answer and not self._choices:
            return None
        kind = str(self._answer.get("object", "")).removesuffix(".chunk")
        choices = [self._choices[index] for index in sorted(self._choices)]
        return {**self._answer, "object": kind, "choices": choices}


class _Responses(Answer):
    """OpenAI's Responses API."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: Json = {}
        self._items = dict[int, Json]()

    def _take(self, event: Json, at: datetime) -> None:
        kind = str(event.get("type", ""))
        if isinstance(response := event.get("response"), dict):
            self._answer = cast("Json", response)
            if (error := self._answer.get("error")) is not None:
                self.error = _message({"error": error})
        elif kind == "error":
            self.error = _message(event)
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


class _Messages(Answer):
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
            self._answer.update(event.get("delta") or {})
            known = {name: value for name, value in (event.get("usage") or {}).items() if value is not None}
            self._answer["usage"] = {**(self._answer.get("usage") or {}), **known}

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


class _Contents(Answer):
    """Gemini's streams: every event is an answer that goes on."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: Json = {}
        self._candidates = dict[int, Json]()

    def _take(self, event: Json, at: datetime) -> None:
        self._answer.update({name: value for name, value in event.items() if name != "candidates"})
        for candidate in event.get("candidates") or ():
            index = candidate.get("index", 0)
            known = self._candidates.setdefault(index, {"content": {"parts": []}})
            content = candidate.get("content") or {}
            known.update({name: value for name, value in candidate.items() if name != "content"})
            known["content"].update({name: value for name, value in content.items() if name != "parts"})
            for part in content.get("parts") or ():
                self._part(known["content"]["parts"], part, index, at)

    def _part(self, parts: list[Json], part: Json, index: int, at: datetime) -> None:
        last = parts[-1] if parts else {}
        thought = bool(part.get("thought"))
        if "text" in part and "text" in last and thought == bool(last.get("thought")):
            parts[-1] = {**last, **part, "text": last["text"] + part["text"]}
        else:
            parts.append(part)
        place = (index, len(parts))
        if "functionCall" in part:
            self.parts.note(place, "tool_call", json.dumps(part["functionCall"]), at, part["functionCall"].get("id"))
        elif "text" in part:
            self.parts.note(place, "reasoning" if thought else "text", part["text"], at)

    def whole(self) -> Json | None:
        if not self._answer and not self._candidates:
            return None
        return {**self._answer, "candidates": [self._candidates[index] for index in sorted(self._candidates)]}


class _Unknown(Answer):
    """A stream of which only events are counted."""

    def _take(self, event: Json, at: datetime) -> None:
        if self.parts.first is None:
            self.parts.first = at

    def whole(self) -> Json | None:
        return None


def answer_of(dialect: Dialect) -> Answer:
    """A stream of that API, nothing of which has come."""
    if dialect in ("openai.chat", "openai.completions"):
        return _Choices()
    makers: dict[Dialect, type[Answer]] = {
        "openai.responses": _Responses,
        "anthropic.messages": _Messages,
        "gemini.generate": _Contents,
    }
    return makers.get(dialect, _Unknown)()


def read_answer(dialect: Dialect, body: Any) -> Reading:
    """What a whole answer says: usage, model, id, why it ended, what went wrong. None for what it does not say."""
    if not isinstance(body, dict):
        return Reading(Usage())
    found = cast("Json", body)
    error = _message(found) if found.get("error") else None
    try:
        reading = _READERS[dialect.partition(".")[0]](dialect, found)
    except (TypeError, AttributeError, KeyError, ValueError, IndexError):
        return Reading(Usage(), error=error)  # an answer in another form says nothing
    return Reading(reading.usage, reading.model, reading.response_id, reading.finish_reason, error)


def _read_openai(dialect: Dialect, body: Json) -> Reading:
    if dialect == "openai.responses":
        why = (body.get("incomplete_details") or {}).get("reason") or body.get("status")
        return Reading(_responses_usage(body.get("usage") or {}), body.get("model"), body.get("id"), why)
    choices = body.get("choices") or [{}]
    return Reading(read_usage(body), body.get("model"), body.get("id"), choices[0].get("finish_reason"))


def _responses_usage(usage: Json) -> Usage:
    return Usage(
        input_tokens=usage.get("input_tokens"),
        cached_input_tokens=(usage.get("input_tokens_details") or {}).get("cached_tokens"),
        output_tokens=usage.get("output_tokens"),
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
    )


def _read_anthropic(dialect: Dialect, body: Json) -> Reading:
    usage = body.get("usage") or {}
    plain, cached = usage.get("input_tokens"), usage.get("cache_read_input_tokens")
    created = usage.get("cache_creation_input_tokens")
    counted = Usage(
        input_tokens=None if plain is None else plain + (cached or 0) + (created or 0),
        cached_input_tokens=cached,
        cache_creation_tokens=created,
        output_tokens=usage.get("output_tokens"),
    )
    return Reading(counted, body.get("model"), body.get("id"), body.get("stop_reason"))


def _read_gemini(dialect: Dialect, body: Json) -> Reading:
    usage = body.get("usageMetadata") or {}
    prompt, thoughts = usage.get("promptTokenCount"), usage.get("thoughtsTokenCount")
    written = usage.get("candidatesTokenCount")
    counted = Usage(
        input_tokens=None if prompt is None else prompt + (usage.get("toolUsePromptTokenCount") or 0),
        cached_input_tokens=usage.get("cachedContentTokenCount"),
        output_tokens=None if written is None and thoughts is None else (written or 0) + (thoughts or 0),
        reasoning_tokens=thoughts,
    )
    candidates = body.get("candidates") or [{}]
    return Reading(counted, body.get("modelVersion"), body.get("responseId"), candidates[0].get("finishReason"))


_READERS = {"openai": _read_openai, "anthropic": _read_anthropic, "gemini": _read_gemini, "other": _read_openai}


def _message(body: Json) -> str:
    """What an error says; at most 500 characters."""
    error: Any = body.get("error", body)
    if isinstance(error, dict):
        found = cast("Json", error)
        kind, said = found.get("type") or found.get("code") or found.get("status"), found.get("message")
        return f"{kind}: {said}"[:500]
    return str(error)[:500]
