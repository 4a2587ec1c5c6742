"""Records of a Codex rollout, one after the other, told to a `Session`."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ...errors import Failure
from ...rewards.service.usage import Usage
from .. import payloads
from .base import Foreign, Timed, Unread
from .codex_kinds import CALLS, EVENT_NOTES, FAILURES, ITEM_NOTES, ITEMS, LINE_NOTES, OUTPUTS
from .codex_outputs import exit_code, internal_ms, program_output, said_error, said_failed
from .reading import (
    as_dict,
    as_dicts,
    as_str,
    as_text,
    compact,
    is_object,
    moment,
    openai_usage,
    parse_arguments,
)
from .session import Answer, Session

__all__ = ["Records"]

_EVENTS = {"turn_aborted": "user_interrupt"}
_ENDS = frozenset({"exec_command_end", "mcp_tool_call_end", "patch_apply_end"})


class Records:
    """Takes records; its session gives events."""

    def __init__(self, model: str | None) -> None:
        self.session = Session("codex")
        self._model = model
        self._turn: str | None = None
        self._parameters: dict[str, Any] = {}
        self._rounds = Counter[str]()
        self._answer: Answer | None = None
        self._heard = False
        self._counted = False
        self._whole = False
        """The answer's token counts are recorded, so that nothing more of it comes."""
        self._total: Any = None
        self._facts: dict[str, tuple[datetime | None, dict[str, Any]]] = {}
        self._own: str | None = None
        self._parent: str | None = None

    def take(self, value: Any, where: str) -> None:
        """Take the next record."""
        if not is_object(value):
            self.session.put(Unread(kind="record that is no object", where=where))
            return
        record = as_dict(value)
        at, kind = moment(record.get("timestamp")), record.get("type")
        payload = as_dict(record.get("payload"))
        match kind:
            case "session_meta":
                self._meta(payload, at)
            case "turn_context":
                self._context(payload, at)
            case "response_item" if payload:
                self._item(payload, at, where)
            case "event_msg" if payload:
                self._event(payload, at, where)
            case "compacted":
                self._compacted(payload, at)
            case "token_usage_record" if payload:
                self._used(payload, at)
            case "inter_agent_communication" if payload:
                self._heard = True
                self.session.hear({"type": "agent_message", **payload}, None, thread=self._thread)
            case str() if kind in LINE_NOTES:
                self.session.note(kind, payload or record, at, what=kind)
            case str() if kind in ITEMS and not payload:
                self._item(record, at, where, alone=True)
            case None if "id" in record or "record_type" in record:
                self.session.note("state", record, at, what="state")
            case _:
                name = kind if isinstance(kind, str) and kind else "record without a type"
                self.session.put(Unread(kind=name, where=where))

    def rest(self) -> Iterator[Foreign]:
        """What is left at the end: the results that only the program told, not the model."""
        for call_id in [call_id for call_id in self._facts if self.session.known(call_id)]:
            self._result(call_id, None, None, records=0, kind="event_msg")
        yield from self.session.rest()

    @property
    def _thread(self) -> str | None:
        """A subagent's file repeats what its parent was told before, which belongs to the parent's conversation."""
        repeated = self._parent is not None and self._own is not None and (self._turn or "") < self._own
        return self._parent if repeated else None

    def _meta(self, payload: dict[str, Any], at: datetime | None) -> None:
        spawn = as_dict(as_dict(as_dict(payload.get("source")).get("subagent")).get("thread_spawn"))
        if self._own is None:
            self._own, self._parent = as_str(payload.get("id")), as_str(spawn.get("parent_thread_id"))
        self.session.note("session_meta", payload, at, what="session_meta")

    def _context(self, payload: dict[str, Any], at: datetime | None) -> None:
        self._turn = as_str(payload.get("turn_id")) or self._turn
        self._model = as_str(payload.get("model")) or self._model
        names = ("effort", "summary", "turn_id", "cwd")
        self._parameters = {name: payload[name] for name in names if payload.get(name) is not None}
        self.session.note("turn_context", payload, at, what="turn_context")

    def _compacted(self, payload: dict[str, Any], at: datetime | None) -> None:
        self.session.forget(self._thread)
        self._answer = None
        self.session.note("compaction", payload, at, what="compacted")
        for message in as_dicts(payload.get("replacement_history")):
            self.session.hear(message, None, thread=self._thread, records=0)

    def _said(self, at: datetime | None, records: int = 1) -> Answer:
        """The answer that is going on, or a new one."""
        if self._answer is not None and (self._whole or (self._heard and not self._counted)):
            self.session.done(self._answer.thread)
            self._answer = None
        if self._answer is None:
            turn = self._turn or "turn"
            number = self._rounds[turn]
            self._rounds[turn] += 1
            thread = self._thread
            answer = None
            while answer is None:
                answer = self.session.answer(f"{turn}:{number}", thread=thread, kind="response_item")
                number += 1
            answer.model, answer.parameters = self._model, self._parameters
            self._answer, self._whole = answer, False
        self._heard = False
        self._answer.records += records
        if at is not None:
            self._answer.first = self._answer.first or at
            self._answer.last = max(self._answer.last or at, at)
        return self._answer

    def _item(self, item: dict[str, Any], at: datetime | None, where: str, *, alone: bool = False) -> None:
        kind = as_str(item.get("type"))
        if kind == "agent_message" or (kind == "message" and item.get("role") != "assistant"):
            self._message(item, at, alone=alone)
        elif kind == "message":
            answer = self._said(at)
            text = as_text(item.get("content"))
            answer.content.append(item)
            answer.texts.append(text)
            answer.part("text", at, len(text), raw_chars=_length(item.get("content")))
        elif kind == "reasoning":
            answer = self._said(at)
            text = as_text(item.get("summary")) or as_text(item.get("content"))
            answer.content.append(item)
            if text:
                answer.reasoning.append(text)
            answer.part("reasoning", at, len(text) or None)
        elif kind in CALLS:
            self._call(item, at)
        elif kind in OUTPUTS:
            self._output(item, at, where)
        elif kind in ITEM_NOTES:
            self.session.note(str(kind), item, at, what=f"response_item.{kind}")
        else:
            self.session.put(Unread(kind=f"response_item.{_name(kind)}", where=where))

    def _message(self, item: dict[str, Any], at: datetime | None, *, alone: bool) -> None:
        """What the model was told; a person's words come once more as an event, except in the first shape."""
        part = None
        if alone and item.get("role") == "user":
            part = payloads.Part.of(kind="user_message", at=at, chars=len(as_text(item.get("content"))))
        self._heard = True
        self.session.hear(item, part, thread=self._thread)

    def _call(self, item: dict[str, Any], at: datetime | None) -> None:
        answer = self._said(at)
        kind = str(item.get("type"))
        call_id = as_str(item.get("call_id")) or as_str(item.get("id"))
        arguments: dict[str, Any] | None
        if kind == "function_call":
            tool, action = as_str(item.get("name")), item.get("arguments")
            arguments = parse_arguments(action)
        elif kind == "custom_tool_call":
            tool, action = as_str(item.get("name")), item.get("input")
            arguments = {"input": action}
        elif kind == "tool_search_call":
            tool, action = "tool_search", item.get("arguments")
            arguments = parse_arguments(action)
        else:
            tool, action, arguments = "local_shell", item.get("action"), as_dict(item.get("action"))
        text = action if isinstance(action, str) else compact(action)
        begun = self.session.call(
            call_id,
            tool,
            arguments,
            text,
            at,
            request_id=answer.request_id,
            thought=answer.thought,
            kind="response_item",
        )
        answer.content.append(item)
        if begun:
            answer.calls.append(item)
            source = {} if kind == "function_call" else {"source": f"response_item.{kind}"}
            answer.part("tool_call", at, len(text), call_id, **source)

    def _output(self, item: dict[str, Any], at: datetime | None, where: str) -> None:
        call_id = as_str(item.get("call_id"))
        self._heard = True
        waits = call_id is not None and self.session.known(call_id)
        self.session.hear(item, None, thread=self._thread, records=0 if waits else 1)
        if waits and call_id is not None:
            self._result(call_id, item, at, records=1, kind="response_item")

    def _result(
        self, call_id: str, item: dict[str, Any] | None, at: datetime | None, *, records: int, kind: str
    ) -> None:
        """What a call led to: what the model was told, with what the program told of it."""
        ended, facts = self._facts.pop(call_id, (None, {}))
        output = item.get("output", item.get("tools")) if item is not None else program_output(facts)
        failed = said_failed(facts)
        failed = said_error(output) if failed is None else failed
        at = ended or at
        raw = {} if isinstance(output, str) or output is None else {"raw_chars": _length(output)}
        observation = as_text(output)
        source = f"response_item.{item.get('type')}" if item is not None else f"event_msg.{facts.get('type')}"
        part = payloads.Part.of(
            kind="tool_result", at=at, chars=len(observation), call_id=call_id, error=failed, source=source, **raw
        )
        self.session.hear(None, part, thread=self._thread, records=0)
        self.session.result(
            call_id,
            at,
            kind=kind,
            records=records,
            ok=failed is not True,
            error="tool_error" if failed is True else None,
            exit_code=exit_code(facts, observation),
            observation=observation,
            data={key: value for key, value in facts.items() if key not in ("type", "call_id", "aggregated_output")},
            internal_ms=internal_ms(facts, output),
            **raw,
        )

    def _event(self, event: dict[str, Any], at: datetime | None, where: str) -> None:
        kind, call_id = as_str(event.get("type")), as_str(event.get("call_id"))
        item = as_dict(event.get("item")) if kind == "item_completed" else {}
        if kind == "user_message" or item.get("type") == "UserMessage":
            text = as_text(item.get("content") if item else event.get("message"))
            part = payloads.Part.of(kind="user_message", at=at, chars=len(text), source="event_msg.user_message")
            self._heard = True
            self.session.hear(None, part, thread=self._thread)
            return
        if kind == "token_count" and self._count(event, at):
            return
        if kind == "task_started":
            self._turn = as_str(event.get("turn_id")) or self._turn
        if kind in _ENDS and call_id is not None and self.session.known(call_id):
            self._facts[call_id] = (at, event)
        elif (done := as_str(item.get("id"))) is not None and self.session.known(done):
            self._facts[done] = (at, item)
        if kind in FAILURES:
            message = as_text(event.get("message"))
            payload = payloads.Error.of(
                where="policy", kind=str(kind), message=message, failure=Failure.SERVICE, data=event
            )
            self.session.put(Timed(payload=payload, t_start=at, kind=f"event_msg.{kind}", records=1))
        elif kind in EVENT_NOTES or (isinstance(kind, str) and kind.endswith("_approval_request")):
            note = "permission" if str(kind).endswith("_approval_request") else _EVENTS.get(str(kind), str(kind))
            self.session.note(note, event, at, what=f"event_msg.{kind}")
        else:
            self.session.put(Unread(kind=f"event_msg.{_name(kind)}", where=where))

    def _used(self, record: dict[str, Any], at: datetime | None) -> None:
        """What an answer used, recorded when it is whole; one that no answer goes with is that of a compaction."""
        answer = None if self._whole else self._answer
        if answer is None:
            self.session.note("token_usage_record", record, at, what="token_usage_record")
            return
        self._whole = True
        answer.records += 1
        answer.usage = _usage(as_dict(record.get("usage")))
        if response := as_str(record.get("response_id")):
            answer.extra["response_id"] = response
        answer.part("usage", at, None)

    def _count(self, event: dict[str, Any], at: datetime | None) -> bool:
        """Token counts end an answer, unless they are the same as before."""
        info = as_dict(event.get("info"))
        last, total = info.get("last_token_usage"), info.get("total_token_usage")
        if not is_object(last) or not is_object(total) or total == self._total:
            return False
        self._total, self._counted, self._heard = as_dict(total), True, False
        if self._whole and self._answer is not None:
            answer = self._answer
            answer.records += 1
        else:
            answer = self._said(None)
            answer.usage = _usage(as_dict(last))
            answer.part("usage", at, None)
        more = {"model_context_window": info.get("model_context_window"), "rate_limits": event.get("rate_limits")}
        more["total_token_usage"] = total
        answer.extra |= {name: value for name, value in more.items() if value is not None}
        answer.last = answer.last or at
        self.session.done(answer.thread)
        self._answer, self._whole = None, False
        return True


def _usage(counts: dict[str, Any]) -> Usage:
    written = counts.get("cache_write_input_tokens")
    return openai_usage(counts if written is None else {"cache_creation_tokens": written, **counts})


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(compact(value)) if value is not None else 0


def _name(kind: Any) -> str:
    return kind if isinstance(kind, str) and kind else "without a type"
