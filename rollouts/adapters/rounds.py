"""TraceLab's rounds, written from our logs: one object a model call, with its tokens, tools and when each piece was.

The fields are those of TraceLab's `round_trace.jsonl` (uw-syfi/TraceLab; described beside its example sessions).
Lengths are in characters; of what a format holds as a list of blocks, those of its compact JSON.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any

from .. import payloads
from ..events import AnyEvent, EpisodeStartEvent, LlmRequestEvent, LlmResponseEvent, ToolCallEvent, ToolResultEvent
from ..files import room_for
from ..log import first_event, read_events
from ..log_file import EVENTS
from ..trajectory import episode_folders
from .codex_outputs import said_error
from .reading import as_dict, as_str

__all__ = ["ROUNDS", "rounds_of", "run_rounds", "write_rounds"]

ROUNDS = "rounds.jsonl"
_PROVIDERS = {"claude-code": "claude", "codex": "codex"}
"""By agent."""
_MOST = 4096
_SOURCES = {
    ("claude", "user_message"): "user.message",
    ("claude", "tool_result"): "user.content.tool_result",
    ("claude", "reasoning"): "assistant.content.thinking",
    ("claude", "text"): "assistant.content.text",
    ("claude", "tool_call"): "assistant.content.tool_use",
    ("codex", "user_message"): "event_msg.user_message",
    ("codex", "tool_result"): "response_item.function_call_output",
    ("codex", "reasoning"): "response_item.reasoning",
    ("codex", "text"): "response_item.message",
    ("codex", "tool_call"): "response_item.function_call",
    ("codex", "usage"): "event_msg.token_count",
}


def run_rounds(run: Path, pattern: str | None = None) -> Iterator[dict[str, Any]]:
    """The rounds of a run, episode by episode, in memory that does not grow with its size.

    With `pattern` only those of tasks whose id matches this glob.
    """
    for folder in episode_folders(run):
        first = first_event(folder / EVENTS)
        if first is not None and (pattern is None or fnmatchcase(first.task_id, pattern)):
            yield from rounds_of(read_events(folder / EVENTS))


def write_rounds(run: Path, target: Path, *, limit: int | None = None, pattern: str | None = None) -> dict[str, int]:
    """Write rounds, one line each, and count them. The file is either old or whole. Raises DiskFull."""
    counts = {"rounds": 0, "tool_calls": 0, "tool_results": 0}
    partial = target.with_name(f".{target.name}.partial")
    with room_for(target), partial.open("w", encoding="utf-8") as file:
        for told in islice(run_rounds(run, pattern), limit):
            file.write(json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n")
            counts["rounds"] += 1
            counts["tool_calls"] += len(told["tools"])
            counts["tool_results"] += sum(tool["result_at"] is not None for tool in told["tools"])
        file.flush()
        partial.replace(target)
    return counts


def rounds_of(events: Iterable[AnyEvent]) -> Iterator[dict[str, Any]]:
    """The rounds of one episode, in the order in which the model was asked."""
    writer = _Writer()
    for event in events:
        writer.take(event)
        yield from writer.ready()
    yield from writer.rest()


@dataclass(slots=True)
class _Round:
    told: dict[str, Any]
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Tools without a result, by call."""


class _Writer:
    def __init__(self) -> None:
        self._provider = "agent"
        self._session = "session"
        self._source = ""
        self._workdir: str | None = None
        self._rounds = deque[_Round]()
        self._calls = dict[int, tuple[str, dict[str, Any], _Round]]()
        self._by_id = dict[str, tuple[dict[str, Any], _Round]]()
        self._requests = dict[str, payloads.LlmRequest]()
        self._counts = dict[str, int]()

    def take(self, event: AnyEvent) -> None:
        """Take one event into account."""
        match event:
            case EpisodeStartEvent(payload=start):
                self._start(event.agent, event.episode_id, start)
            case LlmRequestEvent(payload=request):
                self._requests[request.request_id] = request
            case LlmResponseEvent(payload=response):
                self._response(response)
            case ToolCallEvent(payload=call):
                self._call(call, event.t_start)
            case ToolResultEvent(payload=result):
                self._result(result, event.t_start, event.t_end)
            case _:
                pass

    def ready(self) -> Iterator[dict[str, Any]]:
        """Rounds whose tools all have their results."""
        while self._rounds and (not self._rounds[0].waiting or len(self._rounds) > _MOST):
            yield self._done(self._rounds.popleft())

    def rest(self) -> Iterator[dict[str, Any]]:
        """The others."""
        while self._rounds:
            yield self._done(self._rounds.popleft())

    def _done(self, done: _Round) -> dict[str, Any]:
        for tool in done.told["tools"]:
            self._by_id.pop(str(tool["tool_call_id"]), None)
        return done.told

    def _start(self, agent: str, episode: str, start: payloads.EpisodeStart) -> None:
        origin = start.origin
        self._provider = _PROVIDERS.get(agent, agent)
        self._session = origin.key if origin is not None else episode
        self._source = origin.source if origin is not None else episode
        self._workdir = as_str(start.sandbox.get("workdir"))

    def _response(self, response: payloads.LlmResponse) -> None:
        request = self._requests.pop(response.request_id, None)
        thread = request.thread if request is not None else None
        session = f"{self._provider}:{self._session}" + (f"/{thread}" if thread else "")
        index = self._counts[session] = self._counts.get(session, -1) + 1
        tools = [self._tool(number, dict(call)) for number, call in enumerate(response.tool_calls)]
        inputs = [self._event(part, {}) for part in request.parts] if request is not None else []
        numbers = {str(tool["tool_call_id"]): tool for tool in tools}
        pieces = [self._event(part, numbers) for part in response.parts]
        asked = request.parameters if request is not None else {}
        codex = {"turn_id": asked.get("turn_id"), **({"cwd": asked["cwd"]} if "cwd" in asked else {})}
        told: dict[str, Any] = {
            "provider": self._provider,
            **({"project": Path(self._workdir or "").name} if self._provider != "codex" else {}),
            "session_id": session,
            "session_file": self._source,
            "round_index": index,
            "round_id": response.request_id,
            **(codex if self._provider == "codex" else {}),
            "model": response.model or (request.model if request is not None else None),
            **self._tokens(response),
            "timing_events": [*inputs, *pieces],
            "tools": tools,
            **_summary(inputs),
            "trace_key": f"{self._provider}:{session}:{response.request_id}",
        }
        entry = _Round(told)
        for tool in tools:
            self._by_id[str(tool["tool_call_id"])] = (tool, entry)
            entry.waiting[str(tool["tool_call_id"])] = tool
        self._rounds.append(entry)

    def _tokens(self, response: payloads.LlmResponse) -> dict[str, int | None]:
        usage, claude = response.usage, self._provider == "claude"
        total, cached = usage.input_tokens or 0, usage.cached_input_tokens or 0
        created = usage.cache_creation_tokens or 0
        return {
            "input_tokens_total": total,
            "prefix_tokens": cached,
            "newly_append_tokens": max(0, total - cached),
            "claude_uncached_input_tokens": total - cached - created if claude else None,
            "claude_cache_creation_input_tokens": created if claude else None,
            "claude_cache_read_input_tokens": cached if claude else None,
            "output_tokens": usage.output_tokens or 0,
            "reasoning_output_tokens": None if claude else usage.reasoning_tokens or 0,
        }

    def _event(self, part: payloads.Part, tools: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """A piece of a prompt or an answer, in their words."""
        kind, more = part.kind, part.model_extra or {}
        source = more.get("source") or _SOURCES.get((self._provider, kind)) or kind
        chars = more.get("raw_chars", part.chars)
        told: dict[str, Any] = {"event_type": kind, "timestamp": _iso(part.at), "source": source}
        tool = tools.get(part.call_id or "")
        if kind == "usage":
            told["event_type"] = "usage_report"
        elif kind == "tool_call":
            told |= {"tool_call_id": part.call_id}
            if tool is not None:
                told |= {"tool_name": tool["tool_name"], "tool_index": tool["tool_index"]}
        elif kind == "tool_result":
            told |= {"tool_call_id": part.call_id, "result_chars": chars, "is_error": more.get("error")}
        elif chars is not None:
            told["content_chars"] = chars
        return {name: value for name, value in told.items() if value is not None or name == "timestamp"}

    def _tool(self, index: int, call: dict[str, Any]) -> dict[str, Any]:
        function = as_dict(call.get("function"))
        given = next((call[name] for name in ("input", "arguments", "action") if name in call), None)
        given = function.get("arguments") if given is None else given
        secret = given is None and "input_chars" in call
        return {
            "tool_index": index,
            "tool_name": call.get("name") or function.get("name"),
            "tool_call_id": call.get("call_id") or call.get("id"),
            "emitted_at": None,
            "result_at": None,
            **({} if secret else {"input": given}),
            "input_chars": call.get("input_chars", _chars(given)),
            "result_chars": None,
            "tool_wall_latency_ms": None,
            "tool_internal_latency_ms": None,
            "is_error": None,
        }

    def _call(self, call: payloads.ToolCall, at: datetime) -> None:
        found = self._by_id.get(str(call.call_id))
        if found is not None:
            tool, entry = found
            tool["emitted_at"] = _iso(at)
            self._calls[call.step] = (str(call.call_id), tool, entry)

    def _result(self, result: payloads.ToolResult, start: datetime, end: datetime) -> None:
        found = self._calls.pop(result.step, None)
        if found is None:
            return
        call_id, tool, entry = found
        raw = (result.model_extra or {}).get("raw_chars")
        tool |= {
            "result_at": _iso(end),
            "result_chars": len(result.observation) if raw is None else raw,
            "tool_wall_latency_ms": round((end - start).total_seconds() * 1000),
            "tool_internal_latency_ms": None if result.internal_ms is None else round(result.internal_ms),
            "is_error": self._failed(result),
        }
        entry.waiting.pop(call_id, None)

    def _failed(self, result: payloads.ToolResult) -> bool | None:
        """What the record says; a Codex output may say nothing of it."""
        more = result.model_extra or {}
        if "said_error" in more:
            return more["said_error"]
        if self._provider != "codex" or not result.ok:
            return not result.ok
        known = result.exit_code is not None or result.data.get("success") is not None
        return False if known else said_error(result.observation)


def _summary(inputs: list[dict[str, Any]]) -> dict[str, Any]:
    messages = [event for event in inputs if event["event_type"] == "user_message"]
    results = [event for event in inputs if event["event_type"] == "tool_result"]
    told, returned = (sum(e.get("content_chars", 0) for e in messages), sum(e.get("result_chars", 0) for e in results))
    return {
        "current_input_event_count": len(messages) + len(results),
        "current_user_message_count": len(messages),
        "current_tool_result_count": len(results),
        "current_user_message_chars": told,
        "current_tool_result_chars": returned,
        "current_input_chars": told + returned,
        "first_input_event_type": inputs[0]["event_type"] if inputs else None,
    }


def _iso(at: datetime | None) -> str | None:
    """UTC with milliseconds, or with microseconds where there are any."""
    if at is None:
        return None
    spec = "microseconds" if at.microsecond % 1000 else "milliseconds"
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def _chars(value: Any) -> int:
    if value is None:
        return 0
    return len(value) if isinstance(value, str) else len(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
