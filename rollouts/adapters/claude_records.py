"""Records of a Claude Code transcript, one after the other, told to a `Session`."""

import re
from collections import OrderedDict
from datetime import datetime
from typing import Any

from ...errors import Failure
from ...rewards.service.usage import RequestAttempt
from .. import payloads
from .base import Timed, Unread
from .claude_kinds import FACTS
from .reading import anthropic_usage, as_dict, as_float, as_int, as_list, as_str, as_text, compact, is_object, moment
from .session import Answer, Session

__all__ = ["Records"]

_SAME = frozenset({"sessionId", "session_id", "version", "cwd", "gitBranch", "userType", "entrypoint", "type"})
_FLAGS = ("isMeta", "isCompactSummary", "isVisibleInTranscriptOnly")
_REJECTED = "The user doesn't want to proceed with this tool use"
_INTERRUPTED = "[Request interrupted by user"
_EXIT = re.compile(r"\A(?:Error: )?Exit code (\d+)")
_REMEMBERED = 10_000
_MILLISECONDS = ("durationMs", "duration_ms")
_SECONDS = ("durationSeconds", "duration_seconds")


class Records:
    """Takes records; its session gives events. `outcome` is the record that says how it ended, if one does."""

    def __init__(self) -> None:
        self.session = Session("claude-code")
        self.outcome: dict[str, Any] | None = None
        self._threads = OrderedDict[str, str]()
        self._failed_at: datetime | None = None
        self._scores = dict[str | None, tuple[str, tuple[int, int, bool]]]()
        self._parameters = dict[str | None, dict[str, Any]]()
        """Of the request whose answer comes next, by thread."""

    def take(self, value: Any, where: str) -> None:
        """Take the next record."""
        if not is_object(value):
            self.session.put(Unread(kind="record that is no object", where=where))
            return
        record = as_dict(value)
        kind = record.get("type")
        message = record.get("message")
        if kind == "assistant" and is_object(message):
            self._assistant(record, as_dict(message), where)
        elif kind == "user" and is_object(message):
            self._user(record, as_dict(message), where)
        elif kind == "system":
            self._system(record)
        elif isinstance(kind, str) and kind in FACTS:
            self._fact(kind, record)
        else:
            name = kind if isinstance(kind, str) and kind else "record without a type"
            self.session.put(Unread(kind=name if message is None else f"{name} of another shape", where=where))

    def _thread(self, record: dict[str, Any]) -> str | None:
        """The conversation of a subagent, by its id or by the record that began it."""
        uuid, parent = as_str(record.get("uuid")), as_str(record.get("parentUuid"))
        told = as_str(record.get("parent_tool_use_id"))
        if record.get("isSidechain") is not True:
            return told
        thread = as_str(record.get("agentId")) or told or (self._threads.get(parent) if parent else None) or uuid
        if uuid is not None and thread is not None:
            self._threads[uuid] = thread
            if len(self._threads) > _REMEMBERED:
                self._threads.popitem(last=False)
        return thread or "sidechain"

    def _fact(self, kind: str, record: dict[str, Any]) -> None:
        if kind == "result":
            self.outcome = record
        elif kind == "api-request":
            self._parameters[as_str(record.get("agentId"))] = as_dict(record.get("params"))
        at = moment(record.get("timestamp")) or moment(as_dict(record.get("snapshot")).get("timestamp"))
        self.session.note(kind.replace("-", "_"), _kept(record), at, what=kind)

    def _system(self, record: dict[str, Any]) -> None:
        subtype = as_str(record.get("subtype")) or "system"
        at, what = moment(record.get("timestamp")), f"system.{subtype}"
        thread = self._thread(record)
        if subtype == "compact_boundary":
            self.session.forget(thread)
            self.session.note("compaction", _kept(record), at, what=what)
        elif subtype == "api_error":
            self._api_error(record, at, what, thread)
        else:
            self.session.note(subtype, _kept(record), at, what=what)

    def _api_error(self, record: dict[str, Any], at: datetime | None, what: str, thread: str | None) -> None:
        """A try of a request that failed: an error of its own, and a failed attempt of the answer to come."""
        error = as_dict(record.get("error"))
        message = as_text(record.get("cause") or error.get("message") or record.get("error") or record.get("content"))
        status, wait = as_int(error.get("status")), as_float(record.get("retryInMs")) or 0.0
        conversation = self.session.conversation(thread)
        since = self._failed_at or conversation.at
        took = max((at - since).total_seconds() * 1000, 0.0) if at is not None and since is not None else 0.0
        conversation.attempts.append(
            RequestAttempt(status=status, error=message[:2000], duration_ms=took, waited_s=wait / 1000)
        )
        self._failed_at = at
        payload = payloads.Error.of(
            where="policy", kind="api_error", message=message, failure=Failure.SERVICE, data=_kept(record)
        )
        self.session.put(Timed(payload=payload, t_start=at, kind=what, records=1))

    def _assistant(self, record: dict[str, Any], message: dict[str, Any], where: str) -> None:
        at, thread = moment(record.get("timestamp")), self._thread(record)
        model = as_str(message.get("model"))
        if model == "<synthetic>" or record.get("isApiErrorMessage") is True:
            self._synthetic(record, message, at)
            return
        request_id = as_str(message.get("id")) or as_str(record.get("uuid")) or where
        answer = self.session.answer(request_id, thread=thread)
        if answer is None:
            self.session.note("repeated_answer", _kept(record), at, what="assistant")
            return
        self._failed_at = None
        answer.parameters = answer.parameters or self._parameters.pop(thread, {})
        answer.seen(at)
        answer.model = answer.model or model
        self._usage(answer, message, record)
        content = message.get("content")
        blocks = as_list(content) if not isinstance(content, str) else [{"type": "text", "text": content}]
        for block in blocks:
            self._block(answer, block, at, where)

    def _synthetic(self, record: dict[str, Any], message: dict[str, Any], at: datetime | None) -> None:
        """An answer that no model gave: an error of the API, or a place-holder."""
        text = as_text(message.get("content"))
        if record.get("isApiErrorMessage") is not True:
            self.session.note("synthetic", _kept(record), at, what="assistant.synthetic")
            return
        payload = payloads.Error.of(
            where="policy", kind="api_error", message=text, failure=Failure.SERVICE, data=_kept(record)
        )
        self.session.put(Timed(payload=payload, t_start=at, kind="assistant.api_error", records=1))

    def _usage(self, answer: Answer, message: dict[str, Any], record: dict[str, Any]) -> None:
        """The best of the repeated figures: early records of a message may hold place-holders, late ones zeros."""
        answer.finish_reason = as_str(message.get("stop_reason")) or answer.finish_reason
        cost = as_float(record.get("costUSD"))
        answer.cost_usd = cost if cost is not None else answer.cost_usd
        if api := as_str(record.get("requestId")):
            answer.extra["api_request_id"] = api
        usage = anthropic_usage(as_dict(message.get("usage")))
        if usage.input_tokens is None and usage.output_tokens is None:
            return
        score = (usage.output_tokens or 0, usage.input_tokens or 0, message.get("stop_reason") is not None)
        known = self._scores.get(answer.thread)
        if known is None or known[0] != answer.request_id or score >= known[1]:
            self._scores[answer.thread] = (answer.request_id, score)
            answer.usage = usage

    def _block(self, answer: Answer, block: Any, at: datetime | None, where: str) -> None:
        piece = as_dict(block)
        answer.content.append(piece if piece else {"type": "unknown", "value": block})
        match piece.get("type"):
            case "thinking":
                text = as_text(piece.get("thinking"))
                if text:
                    answer.reasoning.append(text)
                answer.part("reasoning", at, len(text))
            case "redacted_thinking":
                answer.part("reasoning", at, 0)
            case "text":
                text = as_text(piece.get("text"))
                answer.part("text", at, len(text))
                answer.texts.append(text)
            case "tool_use":
                self._tool_use(answer, piece, at)
            case other:
                kind = f"assistant.content.{other}" if isinstance(other, str) else "assistant.content"
                answer.extra.setdefault("other_content", []).append(block)
                self.session.put(Unread(kind=kind, where=where, records=0))

    def _tool_use(self, answer: Answer, piece: dict[str, Any], at: datetime | None) -> None:
        call_id, tool, given = as_str(piece.get("id")), as_str(piece.get("name")), piece.get("input")
        begun = self.session.call(
            call_id,
            tool,
            as_dict(given) if is_object(given) else None,
            compact({"name": tool, "input": given}),
            at,
            request_id=answer.request_id,
            thought=answer.thought,
            kind="assistant",
        )
        if begun:
            answer.calls.append(piece)
            answer.part("tool_call", at, None, call_id)

    def _user(self, record: dict[str, Any], message: dict[str, Any], where: str) -> None:
        at, thread, content = moment(record.get("timestamp")), self._thread(record), message.get("content")
        blocks = [as_dict(block) for block in as_list(content)]
        results = [block for block in blocks if block.get("type") == "tool_result"]
        accounted = 0
        for block in results:
            accounted += self._result(block, record, at, thread, 1 - min(accounted, 1))
        told = {"role": "user", "content": content}
        if results:
            self.session.hear(told, None, thread=thread, records=0 if accounted else 1)
        else:
            part = payloads.Part.of(kind="user_message", at=at, **_chars(content), **_flags(record))
            self.session.hear(told, part, thread=thread)
        text = content if isinstance(content, str) else as_text([b for b in blocks if b.get("type") == "text"])
        if text.startswith(_INTERRUPTED):
            self.session.note("user_interrupt", {"text": text[:2000]}, at, what="user", records=0)

    def _result(
        self, block: dict[str, Any], record: dict[str, Any], at: datetime | None, thread: str | None, records: int
    ) -> int:
        """A result among the pieces of a message; 1 when an event accounts for it."""
        call_id, content = as_str(block.get("tool_use_id")), block.get("content")
        failed = bool(block.get("is_error", False))
        chars = _chars(content)
        part = payloads.Part.of(kind="tool_result", at=at, call_id=call_id, error=failed, **chars)
        self.session.hear(None, part, thread=thread, records=0)
        if call_id is None or not self.session.known(call_id):
            return 0
        observation, told = as_text(content), record.get("toolUseResult")
        rejected = failed and observation.startswith(_REJECTED)
        more = {"raw_chars": chars["raw_chars"]} if "raw_chars" in chars else {}
        self.session.result(
            call_id,
            at,
            kind="user",
            records=records,
            ok=not failed,
            error="rejected" if rejected else "tool_error" if failed else None,
            exit_code=_exit_code(observation, told, failed),
            observation=observation,
            data=as_dict(told) if is_object(told) else {} if told is None else {"result": told},
            internal_ms=_internal_ms(told),
            **more,
        )
        if rejected:
            self.session.note("permission", {"decision": "reject", "call_id": call_id}, at, what="user", records=0)
        return 1


def _kept(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what all records of a session repeat."""
    return {key: value for key, value in record.items() if key not in _SAME}


def _flags(record: dict[str, Any]) -> dict[str, Any]:
    """What tells a person's words from what the program says in a person's name."""
    return {
        name: True for name in ("isMeta", "isCompactSummary", "isVisibleInTranscriptOnly") if record.get(name) is True
    }


def _chars(content: Any) -> dict[str, int]:
    """How long the text of a message is, and, where it is made of blocks, how long they are as JSON."""
    if isinstance(content, str):
        return {"chars": len(content)}
    return {"chars": len(as_text(content)), "raw_chars": len(compact(content)) if content is not None else 0}


def _internal_ms(told: Any) -> float | None:
    """How long the tool itself says it took."""
    for names, factor in ((_MILLISECONDS, 1.0), (_SECONDS, 1000.0)):
        for name in names:
            took = as_float(as_dict(told).get(name))
            if took is not None and took >= 0:
                return took * factor
    return None


def _exit_code(observation: str, told: Any, failed: bool) -> int | None:
    """The exit code of a shell command, where it is told or certain."""
    facts = as_dict(told)
    code = facts.get("exitCode")
    if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 1 << 31:
        return code
    found = _EXIT.match(observation) if failed else None
    if found:
        return int(found[1][:9])
    certain = not failed and "stdout" in facts and facts.get("interrupted") is not True
    said = facts.get("returnCodeInterpretation") or facts.get("backgroundTaskId")
    return 0 if certain and not said else None
