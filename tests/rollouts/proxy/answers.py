"""Answers of the APIs as their references show them: streams, and the same without streaming."""

import json
from typing import Any, NamedTuple


class Said(NamedTuple):
    """One API's way to say the same."""

    path: str
    body: dict[str, Any]
    events: tuple[tuple[str | None, str], ...]
    """Name and data of each event."""
    whole: dict[str, Any]
    """What is put together of them."""
    tokens: tuple[int, int | None, int | None, int, int | None]
    """Input, cached, written to the cache, output, reasoning."""
    finish: str
    parts: tuple[tuple[str, str | None], ...]
    """Kind and call id."""


def _data(*events: dict[str, Any] | str) -> tuple[tuple[str | None, str], ...]:
    return tuple((None, event if isinstance(event, str) else json.dumps(event)) for event in events)


def _named(*events: dict[str, Any]) -> tuple[tuple[str | None, str], ...]:
    return tuple((event["type"], json.dumps(event)) for event in events)


def _chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": [choice], **more}


_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "ls", "arguments": ""}}
_CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "prompt_tokens_details": {"cached_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
CHAT = Said(
    "/v1/chat/completions",
    {"model": "gpt-4o", "stream_options": {"include_usage": True}},
    _data(
        _chunk({"role": "assistant", "content": ""}),
        _chunk({"reasoning_content": "Let me "}),
        _chunk({"reasoning_content": "see."}),
        _chunk({"content": "I "}),
        _chunk({"content": "look."}),
        _chunk({"tool_calls": [_CALL]}),
        _chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"path"'}}]}),
        _chunk({"tool_calls": [{"index": 0, "function": {"arguments": ': "."}'}}]}),
        _chunk({}, "tool_calls"),
        {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": [], "usage": _CHAT_USAGE},
        "[DONE]",
    ),
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o",
        "usage": _CHAT_USAGE,
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": "I look.",
                    "reasoning_content": "Let me see.",
                    "tool_calls": [{**_CALL, "function": {"name": "ls", "arguments": '{"path": "."}'}}],
                },
            }
        ],
    },
    (100, 60, None, 20, 5),
    "tool_calls",
    (("reasoning", None), ("text", None), ("tool_call", "call_1")),
)


def _text(text: str, finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "finish_reason": finish}
    return {"id": "cmpl-1", "object": "text_completion", "model": "gpt-4o", "choices": [choice]}


COMPLETION = Said(
    "/v1/completions",
    {"model": "gpt-4o", "prompt": "a", "stream_options": {"include_usage": True}},
    _data(
        _text("one "),
        _text("two", "length"),
        {**_text(""), "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
        "[DONE]",
    ),
    {**_text("one two", "length"), "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    (1, None, None, 2, None),
    "length",
    (("text", None),),
)

_ITEM = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
_TOOL = {"type": "function_call", "id": "fc_1", "call_id": "call_9", "name": "ls", "arguments": "{}"}
_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "model": "gpt-4o",
    "status": "completed",
    "output": [_ITEM, _TOOL],
    "usage": {
        "input_tokens": 50,
        "input_tokens_details": {"cached_tokens": 32},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
    },
}
RESPONSES = Said(
    "/v1/responses",
    {"model": "gpt-4o", "input": [{"role": "user", "content": "hi"}]},
    _named(
        {"type": "response.created", "response": {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**_ITEM, "content": []}},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "Hel"},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "lo"},
        {"type": "response.output_item.done", "output_index": 0, "item": _ITEM},
        {"type": "response.output_item.added", "output_index": 1, "item": {**_TOOL, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{}"},
        {"type": "response.output_item.done", "output_index": 1, "item": _TOOL},
        {"type": "response.completed", "response": _RESPONSE},
    ),
    _RESPONSE,
    (50, 32, None, 7, 3),
    "completed",
    (("text", None), ("tool_call", "call_9")),
)

_START: dict[str, Any] = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-20250514",
    "content": [],
    "stop_reason": None,
    "usage": {"input_tokens": 10, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 70, "output_tokens": 1},
}


def _block(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _delta(index: int, **delta: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


MESSAGES = Said(
    "/v1/messages",
    {"model": "claude-sonnet-4-20250514", "max_tokens": 100},
    _named(
        {"type": "message_start", "message": _START},
        _block(0, {"type": "thinking", "thinking": ""}),
        {"type": "ping"},
        _delta(0, type="thinking_delta", thinking="Hm"),
        _delta(0, type="thinking_delta", thinking="m."),
        _delta(0, type="signature_delta", signature="c2ln"),
        {"type": "content_block_stop", "index": 0},
        _block(1, {"type": "text", "text": ""}),
        _delta(1, type="text_delta", text="I "),
        _delta(1, type="text_delta", text="look."),
        {"type": "content_block_stop", "index": 1},
        _block(2, {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}),
        _delta(2, type="input_json_delta", partial_json='{"command": '),
        _delta(2, type="input_json_delta", partial_json='"ls"}'),
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 42}},
        {"type": "message_stop"},
    ),
    {
        **_START,
        "stop_reason": "tool_use",
        "usage": {**_START["usage"], "output_tokens": 42},
        "content": [
            {"type": "thinking", "thinking": "Hmm.", "signature": "c2ln"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}},
        ],
    },
    (100, 70, 20, 42, None),
    "tool_use",
    (("reasoning", None), ("text", None), ("tool_call", "toolu_1")),
)


def _generated(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    finish = {"finishReason": more.pop("finish")} if "finish" in more else {}
    return {"candidates": [{**candidate, **finish}], "modelVersion": "gemini-2.5-pro", "responseId": "r1", **more}


_GEMINI_USAGE = {
    "promptTokenCount": 30,
    "cachedContentTokenCount": 8,
    "candidatesTokenCount": 4,
    "thoughtsTokenCount": 6,
}
GEMINI = Said(
    "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    _data(
        _generated({"text": "Think", "thought": True}),
        _generated({"text": "Hel"}),
        _generated({"text": "lo"}),
        _generated(
            {"functionCall": {"name": "ls", "args": {}, "id": "f1"}}, finish="STOP", usageMetadata=_GEMINI_USAGE
        ),
    ),
    _generated(
        {"text": "Think", "thought": True},
        {"text": "Hello"},
        {"functionCall": {"name": "ls", "args": {}, "id": "f1"}},
        finish="STOP",
        usageMetadata=_GEMINI_USAGE,
    ),
    (30, 8, None, 10, 6),
    "STOP",
    (("reasoning", None), ("text", None), ("tool_call", "f1")),
)

ALL = {"chat": CHAT, "completion": COMPLETION, "responses": RESPONSES, "messages": MESSAGES, "gemini": GEMINI}
