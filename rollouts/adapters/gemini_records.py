"""Records of a Gemini CLI session, one after the other, told to a `Session`."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from .. import payloads
from .base import Timed, Unread
from .gemini_parts import exit_code, parts_of, responses, spoken, thought_text, token_usage
from .reading import as_dict, as_dicts, as_str, as_text, compact, is_object, moment
from .session import Answer, Session

__all__ = ["Records"]

_REMEMBERED = 10_000
_SHOWN = frozenset({"info", "warning"})
_ENDED = {"success": (True, None), "error": (False, "tool_error"), "cancelled": (False, "cancelled")}
_OWN = frozenset({"id", "name", "args", "result", "timestamp"})
_KNOWN_PARTS = frozenset(
    {
        "codeExecutionResult",
        "executableCode",
        "fileData",
        "functionCall",
        "functionResponse",
        "inlineData",
        "text",
        "thought",
    }
)


@dataclass(slots=True)
class _Message:
    """A message of a conversation that was told."""

    place: int
    """How many messages came before it."""
    digest: str


@dataclass(slots=True)
class _Conversation:
    """What is known of one session: the main one, or a subagent's."""

    thread: str | None = None
    messages: OrderedDict[str, _Message] = field(default_factory=OrderedDict[str, _Message])
    answer: Answer | None = None
    """The last one."""
    heard: bool = False
    """Something was said since the last answer."""
    thoughts: int = 0
    """How many of the last answer are told."""
    unheard: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    """What calls led to, by their ids, that no message tells the model; earlier versions write none."""


class Records:
    """Takes records; its session gives events."""

    def __init__(self) -> None:
        self.session = Session("gemini-cli")
        self._conversations = dict[str, _Conversation]()
        self._calls = OrderedDict[str, None]()

    def take(self, value: Any, where: str, file: str = "") -> None:
        """Take the next record; `file` is the name of a subagent's file."""
        if not is_object(value):
            self.session.put(Unread(kind="record that is no object", where=where))
            return
        record, here = as_dict(value), self._conversations.setdefault(file, _Conversation(file or None))
        if isinstance(record.get("$rewindTo"), str):
            self._rewind(here, record)
        elif isinstance(record.get("id"), str):
            self._message(here, record, where)
        elif is_object(record.get("$set")):
            self._update(here, as_dict(record["$set"]))
        elif isinstance(record.get("sessionId"), str):
            self._header(here, record, subagent=bool(file))
        else:
            self.session.put(Unread(kind="record of another shape", where=where))

    def _header(self, here: _Conversation, record: dict[str, Any], *, subagent: bool) -> None:
        if subagent:
            here.thread = as_str(record.get("sessionId")) or here.thread
        about = {**record, "thread": here.thread} if here.thread else record
        self.session.note("session", about, moment(record.get("startTime")), what="session")

    def _update(self, here: _Conversation, update: dict[str, Any]) -> None:
        at = moment(update.get("lastUpdated"))
        names = [name for name in update if name != "lastUpdated"]
        if "messages" in update:
            self._replace(here, update, at)
        elif names:
            self.session.note(names[0] if len(names) == 1 else "update", update, at, what="$set")
        elif here.answer is not None and here.answer.open:
            here.answer.records += 1
        elif here.heard:
            self.session.hear(None, None, thread=here.thread)
        else:
            self.session.note("update", update, at, what="$set")

    def _replace(self, here: _Conversation, update: dict[str, Any], at: datetime | None) -> None:
        """The whole conversation as it is from here on: what of it is new, or replaces what was told, is told."""
        said, before = as_dicts(update.get("messages")), self.session.length(here.thread)
        kept = 0
        for message in said:
            known = here.messages.get(as_text(message.get("id")))
            if known is None or (known.place, known.digest) != (kept, _digest(message)):
                break
            kept += 1
        if kept < before:
            self._back(here, kept)
        kind = "history" if kept == before else "rewind" if kept == len(said) else "compaction"
        about = {**update, "messages": len(said), "kept_messages": kept}
        self.session.note(kind, about, at, what="$set.messages")
        for message in said[kept:]:
            self._hear(here, message, moment(message.get("timestamp")) or at, records=0)

    def _back(self, here: _Conversation, kept: int) -> None:
        """The conversation goes on after its first messages."""
        self.session.forget(here.thread, keep=kept)
        here.answer = None
        for known in [known for known, message in here.messages.items() if message.place >= kept]:
            del here.messages[known]

    def _rewind(self, here: _Conversation, record: dict[str, Any]) -> None:
        known = here.messages.get(str(record["$rewindTo"]))
        self._back(here, known.place if known is not None else 0)
        self.session.note("rewind", {**record, "found": known is not None}, None, what="$rewindTo")

    def _message(self, here: _Conversation, record: dict[str, Any], where: str) -> None:
        kind, at = record.get("type"), moment(record.get("timestamp"))
        if kind == "gemini":
            self._gemini(here, record, at, where)
        elif kind == "user" or (kind in _SHOWN and isinstance(record.get("content"), list)):
            self._user(here, record, at)
        elif isinstance(kind, str) and kind in _SHOWN:
            self.session.note(kind, record, at, what=kind)
        elif kind == "error":
            payload = payloads.Error.of(
                where="policy", kind="error", message=as_text(record.get("content")), data=_rest(record)
            )
            self.session.put(Timed(payload=payload, t_start=at, kind="error", records=1))
        else:
            name = kind if isinstance(kind, str) and kind else "without a type"
            self.session.put(Unread(kind=f"message {name}", where=where))

    def _user(self, here: _Conversation, record: dict[str, Any], at: datetime | None) -> None:
        parts = parts_of(record.get("content"))
        if (known := here.messages.get(str(record["id"]))) is not None and known.digest == _digest(record):
            self.session.note("repeated_message", record, at, what=str(record.get("type")))
            return
        self._hear(here, record, at, records=1)
        for call_id, response in responses(parts).items():
            here.unheard.pop(call_id, None)
            if self.session.known(call_id):
                status = "error" if response.failed else "success"
                self._result(here, {"id": call_id, "name": response.tool, "status": status}, response.text, at)

    def _hear(self, here: _Conversation, record: dict[str, Any], at: datetime | None, *, records: int) -> None:
        """A message that the model is told next."""
        parts, role = parts_of(record.get("content")), record.get("type")
        self._remember(here, record)
        told = {"role": "assistant" if role == "gemini" else "user", "content": parts}
        more = {"display": record["displayContent"]} if record.get("displayContent") is not None else {}
        part = None
        if role != "gemini" and not any("functionResponse" in one for one in parts):
            part = payloads.Part.of(kind="user_message", at=at, chars=len(spoken(parts)), **more)
        self.session.hear(told, part, thread=here.thread, records=records)
        here.heard = True

    def _remember(self, here: _Conversation, record: dict[str, Any]) -> None:
        message_id, digest = as_text(record.get("id")), _digest(record)
        known = here.messages.get(message_id)
        if known is not None:
            known.digest = digest
            return
        here.messages[message_id] = _Message(self.session.length(here.thread), digest)
        if len(here.messages) > _REMEMBERED:
            here.messages.popitem(last=False)

    def _gemini(self, here: _Conversation, record: dict[str, Any], at: datetime | None, where: str) -> None:
        if not any(record.get(name) for name in ("model", "tokens", "toolCalls", "thoughts")):
            self._hear(here, record, at, records=1)  # the program speaks in the model's name
            return
        answer = self._answer(here, record)
        if answer is None:
            self.session.note("repeated_answer", record, at, what="gemini")
        else:
            answer.seen(at)
            self._said(here, answer, record, at, where)
        for call in as_dicts(record.get("toolCalls")):
            self._call(here, answer, call, at)

    def _answer(self, here: _Conversation, record: dict[str, Any]) -> Answer | None:
        """The answer that a record belongs to; calls without words go on with the one before."""
        going = here.answer if here.answer is not None and here.answer.open and not here.heard else None
        if going is not None and not record.get("content") and not record.get("tokens") and record.get("toolCalls"):
            return going
        before, message_id = here.answer, str(record["id"])
        if before is None or before.request_id != message_id:
            self._tell_results(here)
        place = self.session.length(here.thread)
        answer = self.session.answer(message_id, thread=here.thread, kind="gemini")
        if answer is not None and answer is not before:
            here.answer, here.heard, here.thoughts = answer, False, 0
            here.messages[message_id] = _Message(place, "")
        return answer

    def _tell_results(self, here: _Conversation) -> None:
        parts = [part for parts in here.unheard.values() for part in parts]
        here.unheard.clear()
        if parts:
            self.session.hear({"role": "user", "content": parts}, None, thread=here.thread, records=0)

    def _said(
        self, here: _Conversation, answer: Answer, record: dict[str, Any], at: datetime | None, where: str
    ) -> None:
        answer.model = answer.model or as_str(record.get("model"))
        if tokens := as_dict(record.get("tokens")):
            answer.usage = token_usage(tokens)
            answer.extra["tokens"] = tokens
        thoughts = as_dicts(record.get("thoughts"))
        for thought in thoughts[here.thoughts :]:
            text = thought_text(thought)
            answer.reasoning.append(text)
            answer.part("reasoning", moment(thought.get("timestamp")) or at, len(text))
        here.thoughts = max(here.thoughts, len(thoughts))
        parts = parts_of(record.get("content"))
        if parts and not answer.content:
            here.messages[answer.request_id].digest = _digest(record)
            self._parts(answer, parts, at, where)

    def _parts(self, answer: Answer, parts: list[dict[str, Any]], at: datetime | None, where: str) -> None:
        answer.content.extend(parts)
        text = spoken(parts)
        if text:
            answer.texts.append(text)
            answer.part("text", at, len(text))
        answer.reasoning.extend(as_text(part.get("text")) for part in parts if part.get("thought") is True)
        if any(set(part) != {"text"} for part in parts):
            answer.extra["content_parts"] = parts
        for part in parts:
            if not _KNOWN_PARTS & set(part):
                self.session.put(Unread(kind=f"gemini.content.{next(iter(part), '')}", where=where, records=0))
            elif is_object(part.get("functionCall")):
                self._begin(answer, as_dict(part["functionCall"]), at)

    def _begin(self, answer: Answer | None, call: dict[str, Any], at: datetime | None) -> None:
        call_id, tool, given = as_str(call.get("id")), as_str(call.get("name")), call.get("args")
        if call_id is None or call_id in self._calls:
            return
        self._calls[call_id] = None
        if len(self._calls) > _REMEMBERED:
            self._calls.popitem(last=False)
        self.session.call(
            call_id,
            tool,
            as_dict(given) if is_object(given) or given is None else None,
            compact({"name": tool, "args": given}),
            at,
            request_id=answer.request_id if answer is not None else None,
            thought=answer.thought if answer is not None else None,
            kind="gemini",
        )
        if answer is not None:
            kept = {"id": call_id, "name": tool, "args": given}
            answer.calls.append(kept)
            answer.content.append({"functionCall": kept})
            answer.part("tool_call", at, None, call_id)

    def _call(self, here: _Conversation, answer: Answer | None, call: dict[str, Any], at: datetime | None) -> None:
        """A call with what it led to, which is written down when it is over."""
        self._begin(answer, call, at)
        call_id, status = as_str(call.get("id")), as_text(call.get("status"))
        if status not in _ENDED or not self.session.known(call_id):
            return
        parts = parts_of(call.get("result"))
        response = responses(parts).get(call_id or "")
        output = response.text if response is not None else spoken(parts) or as_text(call.get("resultDisplay"))
        here.unheard[call_id or ""] = parts
        self._result(here, call, output, moment(call.get("timestamp")) or at)

    def _result(self, here: _Conversation, call: dict[str, Any], output: str, at: datetime | None) -> None:
        call_id = str(call["id"])
        ok, error = _ENDED[as_text(call.get("status"))]
        part = payloads.Part.of(kind="tool_result", at=at, chars=len(output), call_id=call_id, error=not ok)
        self.session.hear(None, part, thread=here.thread, records=0)
        beside = [one for one in parts_of(call.get("result")) if "functionResponse" not in one]
        data = {name: value for name, value in call.items() if name not in _OWN}
        self.session.result(
            call_id,
            at,
            kind="gemini",
            records=0,
            ok=ok,
            error=error,
            exit_code=exit_code(as_str(call.get("name")), output, ok),
            observation=output,
            data=data | ({"parts": beside} if beside else {}),
        )


def _digest(record: dict[str, Any]) -> str:
    """What a message says, however its record spells it: calls are recorded apart from an answer's words."""
    parts = parts_of(record.get("content"))
    told = [part for part in parts if "text" not in part and "functionCall" not in part]
    return sha256(compact([spoken(parts), told]).encode()).hexdigest()[:16]


def _rest(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in ("content", "type", "timestamp")}
