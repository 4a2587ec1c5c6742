"""TraceLab rounds (uw-syfi/TraceLab, `round_trace.jsonl`, whole or sanitised): model calls without what was said.

A session is an episode. Texts are unknown, so their lengths are kept (`Part.chars`, `ToolResult.raw_chars`); written as
rounds again they are the same.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...rewards.service.usage import Usage
from .. import payloads
from .base import Foreign, ForeignEpisode, Sample, Timed, Unread
from .cut import Cut
from .reading import (
    Row,
    as_dict,
    as_dicts,
    as_float,
    as_int,
    as_str,
    compact,
    head_records,
    is_object,
    json_rows,
    moment,
    parse_arguments,
)
from .session import Answer, Session

__all__ = ["ADAPTER", "LOSES", "TraceLab"]

LOSES: Mapping[str, str] = {
    "home, user": "people and their machines; kept once, as the session begins with them",
    "timing_events": "lengths and times of pieces whose texts are unknown",
}
"""What of a record has no place of its own in a log; see `losses`."""

_AGENTS = {"claude": "claude-code", "codex": "codex"}
_INPUTS = frozenset({"user_message", "tool_result"})
_PLACES = ("project", "session_file", "home", "user", "store", "session_id")


class TraceLab:
    """The adapter. One session is one episode, and its own task."""

    name = "tracelab"
    version = "1"
    title = "TraceLab rounds"

    def recognise(self, sample: Sample) -> float:
        """By the fields of a round."""
        records = head_records(sample.head, most=3)
        wanted = {"round_id", "timing_events", "session_id", "input_tokens_total"}
        return 0.95 if records and all(wanted <= record.keys() for record in records) else 0.0

    def episodes(self, path: Path, options: dict[str, Any]) -> Iterator[ForeignEpisode]:
        """The sessions of a file; one that comes back after another one is a second episode."""
        rows = Cut((("", row) for row in json_rows(path)), _session, lambda record: bool(record))
        while (first := rows.peek()) is not None:
            record = first[-1]
            provider, session = as_str(record.get("provider")) or "agent", _session(record) or path.stem
            yield ForeignEpisode(
                key=session.removeprefix(f"{provider}:"),
                task_id=session.removeprefix(f"{provider}:"),
                agent=_AGENTS.get(provider, provider),
                model=as_str(record.get("model")),
                timing="recorded",
                events=_events(rows, record),
            )


ADAPTER = TraceLab()


def _session(record: dict[str, Any]) -> str | None:
    return as_str(record.get("session_id"))


def _events(rows: Cut, first: dict[str, Any]) -> Iterator[Foreign]:
    about = {name: first[name] for name in _PLACES if first.get(name) is not None}
    sandbox = {"workdir": cwd} if (cwd := as_str(first.get("cwd"))) else {}
    at = next(
        (found for event in as_dicts(first.get("timing_events")) if (found := moment(event.get("timestamp")))), None
    )
    yield Timed(payload=payloads.EpisodeStart.of(task=about, sandbox=sandbox), t_start=at, kind="session")
    session = Session("tracelab")
    for _name, row in rows:
        if isinstance(row, Unread):
            session.put(row)
        elif is_object(row.value):
            _round(session, as_dict(row.value), row)
        else:
            session.put(Unread(kind="record that is no object", where=row.where))
        yield from session.ready()
    yield from session.rest()


def _round(session: Session, record: dict[str, Any], row: Row) -> None:
    request_id = as_str(record.get("round_id")) or row.where
    events = as_dicts(record.get("timing_events"))
    for event in events:
        if event.get("event_type") in _INPUTS:
            session.hear(None, _part(event), records=0)
    answer = session.answer(request_id)
    if answer is None:
        session.put(Unread(kind="round that was there before", where=row.where))
        return
    answer.records = 1
    answer.model = as_str(record.get("model"))
    answer.usage = _usage(record)
    answer.parameters = {name: record[name] for name in ("turn_id", "cwd") if record.get(name) is not None}
    for event in events:
        if event.get("event_type") not in _INPUTS:
            part = _part(event)
            answer.parts.append(part)
            answer.first = answer.first or part.at
            answer.last = part.at or answer.last
    for tool in as_dicts(record.get("tools")):
        _tool(session, answer, tool)
    session.done()


def _part(event: dict[str, Any]) -> payloads.Part:
    kind = as_str(event.get("event_type")) or "unknown"
    more: dict[str, Any] = {"error": event["is_error"]} if isinstance(event.get("is_error"), bool) else {}
    if source := as_str(event.get("source")):
        more["source"] = source
    chars = as_int(event.get("content_chars", event.get("result_chars")))
    return payloads.Part.of(
        kind="usage" if kind == "usage_report" else kind,
        at=moment(event.get("timestamp")),
        chars=chars,
        call_id=as_str(event.get("tool_call_id")),
        **more,
    )


def _usage(record: dict[str, Any]) -> Usage:
    claude = record.get("provider") == "claude"
    return Usage(
        input_tokens=as_int(record.get("input_tokens_total")),
        cached_input_tokens=as_int(record.get("prefix_tokens")),
        cache_creation_tokens=as_int(record.get("claude_cache_creation_input_tokens")) if claude else None,
        output_tokens=as_int(record.get("output_tokens")),
        reasoning_tokens=as_int(record.get("reasoning_output_tokens")),
    )


def _tool(session: Session, answer: Answer, tool: dict[str, Any]) -> None:
    call_id, name = as_str(tool.get("tool_call_id")), as_str(tool.get("tool_name"))
    begun, ended = moment(tool.get("emitted_at")), moment(tool.get("result_at"))
    told: dict[str, Any] = {"id": call_id, "name": name}
    told |= {key: tool[key] for key in ("input", "input_chars") if key in tool}
    given = tool.get("input")
    action = given if isinstance(given, str) else compact(given) if given is not None else ""
    arguments = (parse_arguments(given) or {}) if given is not None else {}
    made = session.call(
        call_id, name, arguments, action, begun, request_id=answer.request_id, thought=None, kind="tool"
    )
    if not made:
        return
    answer.calls.append(told)
    if call_id is None or ended is None:
        return
    failed, took = tool.get("is_error"), as_float(tool.get("tool_internal_latency_ms"))
    session.result(
        call_id,
        ended,
        kind="tool",
        records=0,
        ok=failed is not True,
        error="tool_error" if failed is True else None,
        observation="",
        internal_ms=took,
        raw_chars=as_int(tool.get("result_chars")),
        said_error=failed if isinstance(failed, bool) else None,
    )
