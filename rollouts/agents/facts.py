"""What one record of telemetry is about: a request, a tool call, or neither; by which ids it can be told.

Names are those that Claude Code, Codex and Gemini CLI document for their events, those of the GenAI conventions, and
those of Laminar, which sends OpenHands' spans.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..adapters.reading import as_float, as_str
from ..otlp import LogRecord, MetricPoint, SpanRecord, Telemetry
from ..payloads import Note

__all__ = ["Fact", "fact_of"]

_IDS = (
    *("request_id", "tool_use_id", "call_id", "response_id", "message_id", "client_request_id"),
    *("gen_ai.response.id", "gen_ai.tool.call.id", "tool_call_id"),
)
_REQUESTS = ("api_request", "api_response", "llm_request")
_CALLS = ("tool_result", "tool_call", "tool", "execution", "blocked_on_user", "tool_decision")
_WORKS = ("tool_result", "tool_call", "execution")
_TOOL = ("tool_name", "function_name", "gen_ai.tool.name", "name")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_SPAN_TYPE = "lmnr.span.type"
_ACTION = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Between the words of a class's name."""
_LONGEST = 4000
"""Characters of an attribute that the log holds."""
_OUTPUT = ("output_tokens", "output_token_count", "gen_ai.usage.output_tokens")


@dataclass(frozen=True, slots=True)
class Fact:
    """One record, as far as joining goes."""

    note: Note
    about: Literal["request", "call"] | None
    ids: frozenset[str]
    tool: str | None
    output_tokens: float | None
    duration_ms: float | None
    start: datetime | None
    end: datetime | None
    """When it happened, by the sender's clock."""
    received: datetime
    kind: Literal["log", "span", "metric"]
    trace: str = ""
    span: str = ""
    """Of a span its own id, of a log record that of the span it belongs to."""
    parent: str = ""
    works: bool = False
    """Its duration is that of a tool's work, and not of waiting for leave to work."""


def fact_of(record: Telemetry) -> Fact:
    """The fact that a record tells."""
    attributes = record.attributes
    ids = frozenset(str(attributes[key]) for key in _IDS if attributes.get(key))
    tool = next((as_str(attributes[key]) for key in _TOOL if attributes.get(key)), None) or _acting(record)
    tokens = next((_number(attributes[key]) for key in _OUTPUT if key in attributes), None)
    duration = _number(attributes.get("duration_ms"))
    start = end = record.start if isinstance(record, SpanRecord) else record.time
    name, trace = "", ""
    if isinstance(record, SpanRecord):
        name, end, trace = record.name, record.end, record.trace_id
        duration = record.duration_ms if duration is None else duration
    elif isinstance(record, LogRecord):
        # Some agents name the place in their source as the record's event, and the event as an attribute.
        name, trace = as_str(attributes.get("event.name")) or record.event_name, record.trace_id
    else:
        name = record.name
    return Fact(
        note=Note.of(kind=name or "unnamed", source="otlp", data=_data(record)),
        about=_about(name, attributes, record),
        ids=ids,
        tool=tool,
        output_tokens=tokens,
        duration_ms=duration,
        start=start,
        end=end,
        received=record.received,
        kind="span" if isinstance(record, SpanRecord) else "log" if isinstance(record, LogRecord) else "metric",
        trace=trace,
        span="" if isinstance(record, MetricPoint) else record.span_id,
        parent=record.parent_span_id if isinstance(record, SpanRecord) else "",
        works=name.rpartition(".")[2] in _WORKS or name.startswith("execute_tool ") or _acting(record) is not None,
    )


def _acting(record: Telemetry) -> str | None:
    """The tool of a span that is named after the class of an action, such as `FileEditorAction`."""
    if not isinstance(record, SpanRecord) or record.attributes.get(_SPAN_TYPE) != "TOOL":
        return None
    return _ACTION.sub("_", record.name.removesuffix("Action")).lower()


def _number(value: Any) -> float | None:
    """A figure; some agents send theirs as text."""
    return as_float(value) if not isinstance(value, str) else float(value) if _NUMBER.fullmatch(value) else None


def _about(name: str, attributes: Mapping[str, Any], record: Telemetry) -> Literal["request", "call"] | None:
    if isinstance(record, MetricPoint):
        return None
    if isinstance(record, SpanRecord) and _SPAN_TYPE in attributes:
        return "request" if attributes.get("gen_ai.response.id") else "call" if _acting(record) is not None else None
    short = name.rpartition(".")[2] if " " not in name else name
    timed = "duration_ms" in attributes or isinstance(record, SpanRecord)
    if short.startswith("chat ") or (short in _REQUESTS and timed):
        return "request"
    if short == "sse_event" and attributes.get("event.kind") == "response.completed" and _OUTPUT[1] in attributes:
        return "request"
    return "call" if short.startswith("execute_tool ") or short in _CALLS else None


def _data(record: Telemetry) -> dict[str, Any]:
    """What is kept of a record in the log; all of it is in the raw file beside it."""
    if isinstance(record, MetricPoint):
        return {"value": record.value, "unit": record.unit, "temporality": record.temporality, **record.attributes}
    told = {key: _short(value) for key, value in record.attributes.items()}
    if isinstance(record, SpanRecord):
        told |= {"span_id": record.span_id, "parent_span_id": record.parent_span_id, "trace_id": record.trace_id}
    elif record.trace_id:
        told |= {"trace_id": record.trace_id, "span_id": record.span_id}
    return told


def _short(value: Any) -> Any:
    """A text as it is unless it is long: requests and answers are in the log already."""
    return value if not isinstance(value, str) or len(value) <= _LONGEST else f"{len(value)} characters"
