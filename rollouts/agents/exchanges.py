"""What an exchange with a model says, whichever API it was made with: messages, calls, results and the answer."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ..adapters.reading import as_dict, as_dicts, as_list, as_str, as_text, compact, parse_arguments
from ..adapters.telling import tool_call
from ..proxy import Exchange

__all__ = ["Call", "Dialogue", "Result", "dialogue_of"]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of an answer."""

    id: str
    name: str
    arguments: dict[str, Any] | None
    """None when they cannot be read."""
    raw: str

    @property
    def as_openai(self) -> dict[str, Any]:
        """As OpenAI's API has it."""
        return tool_call(self.name, self.raw, self.id)


@dataclass(frozen=True, slots=True)
class Result:
    """What a request says a call led to."""

    text: str
    failed: bool = False


@dataclass(slots=True)
class Dialogue:
    """One exchange, read."""

    exchange: Exchange
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """As sent; what the API keeps apart as instructions comes first, as a message of the system."""
    tools: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    results: dict[str, Result] = field(default_factory=dict[str, Result])
    """By the id of the call."""
    content: str | None = None
    reasoning: str | None = None
    calls: list[Call] = field(default_factory=list[Call])

    @property
    def answered(self) -> bool:
        """Whether the model answered."""
        status = self.exchange.status
        return status is not None and status < 400 and self.exchange.response is not None

    @property
    def marks(self) -> list[str]:
        """A short digest of each message, whatever is said there of caching."""
        return [sha256(compact(_plain(message)).encode()).hexdigest()[:16] for message in self.messages]


def dialogue_of(exchange: Exchange) -> Dialogue | None:
    """The conversation in an exchange; None where there is none (a count of tokens, a list of models)."""
    read = _READERS.get(exchange.api or "")
    body = exchange.request
    if read is None or not isinstance(body, Mapping):
        return None
    found = Dialogue(exchange)
    read(found, as_dict(body), as_dict(exchange.response))
    return found


def _plain(value: Any) -> Any:
    """A message without the marks of caching, which move from request to request."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in as_dict(value).items() if key != "cache_control"}
    return [_plain(item) for item in as_list(value)] if isinstance(value, list) else value


def _rest(body: Mapping[str, Any], *said: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in said}


def _call(call_id: str | None, name: Any, arguments: Any) -> Call:
    raw = arguments if isinstance(arguments, str) else compact(arguments if arguments is not None else {})
    parsed = parse_arguments(raw)
    return Call(call_id or "", as_str(name) or "", parsed, raw)


def _chat(found: Dialogue, body: dict[str, Any], answer: dict[str, Any]) -> None:
    found.messages = as_dicts(body.get("messages"))
    found.tools = as_dicts(body.get("tools"))
    found.parameters = _rest(body, "messages", "tools", "model")
    for message in found.messages:
        if message.get("role") == "tool" and (call_id := as_str(message.get("tool_call_id"))) is not None:
            found.results[call_id] = Result(as_text(message.get("content")))
    choice = next(iter(as_dicts(answer.get("choices"))), dict[str, Any]())
    said = as_dict(choice.get("message"))
    found.content = as_text(said.get("content")) or None
    found.reasoning = as_str(said.get("reasoning_content")) or as_str(said.get("reasoning"))
    for call in as_dicts(said.get("tool_calls")):
        function = as_dict(call.get("function"))
        found.calls.append(_call(as_str(call.get("id")), function.get("name"), function.get("arguments")))


def _responses(found: Dialogue, body: dict[str, Any], answer: dict[str, Any]) -> None:
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else as_dicts(given)
    system = as_str(body.get("instructions"))
    found.messages = ([{"role": "system", "content": system}] if system else []) + items
    found.tools = as_dicts(body.get("tools"))
    found.parameters = _rest(body, "input", "instructions", "tools", "model")
    for item in items:
        if str(item.get("type", "")).endswith("_call_output"):
            found.results[str(item.get("call_id"))] = Result(_output(item.get("output")))
    texts, thoughts = list[str](), list[str]()
    for item in as_dicts(answer.get("output")):
        kind = item.get("type")
        if kind == "message":
            texts.append(as_text(item.get("content")))
        elif kind == "reasoning":
            thoughts.append(as_text(item.get("summary")) or as_text(item.get("content")))
        elif str(kind).endswith("_call"):
            arguments = item.get("arguments", item.get("input", item.get("action")))
            call_id = as_str(item.get("call_id")) or as_str(item.get("id"))
            found.calls.append(_call(call_id, item.get("name") or kind, arguments))
    found.content = "\n".join(filter(None, texts)) or None
    found.reasoning = "\n".join(filter(None, thoughts)) or None


def _output(value: Any) -> str:
    """What a call of the Responses API led to; some agents wrap it once more."""
    return as_text(as_dict(value).get("content", as_dict(value)) if isinstance(value, Mapping) else value)


def _anthropic(found: Dialogue, body: dict[str, Any], answer: dict[str, Any]) -> None:
    system = body.get("system")
    found.messages = ([{"role": "system", "content": system}] if system else []) + as_dicts(body.get("messages"))
    found.tools = as_dicts(body.get("tools"))
    found.parameters = _rest(body, "messages", "system", "tools", "model")
    for message in found.messages:
        for block in as_dicts(message.get("content")) if isinstance(message.get("content"), list) else ():
            if block.get("type") == "tool_result":
                told = Result(as_text(block.get("content")), bool(block.get("is_error")))
                found.results[str(block.get("tool_use_id"))] = told
    texts, thoughts = list[str](), list[str]()
    for block in as_dicts(answer.get("content")):
        if block.get("type") == "text":
            texts.append(as_text(block.get("text")))
        elif block.get("type") == "thinking":
            thoughts.append(as_text(block.get("thinking")))
        elif block.get("type") == "tool_use":
            found.calls.append(_call(as_str(block.get("id")), block.get("name"), block.get("input")))
    found.content, found.reasoning = "\n".join(texts) or None, "\n".join(thoughts) or None


def _gemini(found: Dialogue, body: dict[str, Any], answer: dict[str, Any]) -> None:
    system = body.get("systemInstruction") or body.get("system_instruction")
    contents = as_dicts(body.get("contents"))
    found.messages = ([{"role": "system", **as_dict(system)}] if system else []) + contents
    found.tools = as_dicts(body.get("tools"))
    found.parameters = _rest(body, "contents", "systemInstruction", "system_instruction", "tools")
    asked = told = 0
    for part in _parts(contents):
        if "functionCall" in part:
            asked += 1
        elif "functionResponse" in part:
            response = as_dict(part["functionResponse"])
            inner = as_dict(response.get("response"))
            said = inner.get("output", inner.get("error"))
            text = (
                as_text(as_list(said) or said)
                if isinstance(said, str | list)
                else json.dumps(inner, ensure_ascii=False)
            )
            found.results[f"call-{told}"] = Result(text, "error" in inner)
            told += 1
    best = as_dict(next(iter(as_dicts(answer.get("candidates"))), dict[str, Any]())).get("content")
    texts, thoughts = list[str](), list[str]()
    for part in _parts([as_dict(best)]):
        if "functionCall" in part:
            function = as_dict(part["functionCall"])
            # The API leaves calls without ids, whatever the agent gives them afterwards: a call is known by its place
            # among all of the conversation.
            call_id, asked = f"call-{asked}", asked + 1
            found.calls.append(_call(call_id, function.get("name"), function.get("args")))
        elif part.get("text"):
            (thoughts if part.get("thought") else texts).append(as_text(part["text"]))
    found.content, found.reasoning = "".join(texts) or None, "".join(thoughts) or None


def _parts(contents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for content in contents:
        yield from as_dicts(content.get("parts"))


_READERS: Mapping[str, Callable[[Dialogue, dict[str, Any], dict[str, Any]], None]] = {
    "openai.chat": _chat,
    "openai.responses": _responses,
    "anthropic.messages": _anthropic,
    "gemini.generate": _gemini,
}
