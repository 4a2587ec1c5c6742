"""Events of the OpenHands software agent SDK (V1) told in ours, wherever they lie.

Actions of one answer share its `llm_response_id`. Token counts are running totals in the state updates; what an answer
used is the difference to the answer before.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ...errors import Failure, StopReason
from ...rewards.service.usage import Usage
from .. import payloads
from .base import Foreign, Timed, Unread
from .exits import read_exit
from .reading import as_dict, as_dicts, as_float, as_int, as_str, as_text, compact, moment, parse_arguments
from .telling import Answer, Call, Teller, tool_call

__all__ = ["SdkEvents", "is_sdk_event", "running_totals"]

_ASIDE = ("security_risk", "summary", "critic_result", "responses_reasoning_item", "reasoning_details")
_SEEN = frozenset({"content", "is_error", "exit_code", "kind"})
_TOTALS = ("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def is_sdk_event(record: Mapping[str, Any]) -> bool:
    """Whether a record is an event of the SDK."""
    kind = record.get("kind")
    return isinstance(kind, str) and "source" in record and "id" in record and "timestamp" in record


def running_totals(record: Mapping[str, Any]) -> dict[str, Any]:
    """The running totals of the agent's own model that a state update holds."""
    value = as_dict(record.get("value"))
    stats = as_dict(value.get("stats")) or value
    by_use = as_dict(stats.get("usage_to_metrics"))
    named = as_dict(by_use.get("default")) or as_dict(by_use.get("agent"))
    return named or as_dict(next(iter(by_use.values()), None))


class SdkEvents:
    """Tells the events of one conversation in ours."""

    def __init__(self, model: str | None = None) -> None:
        self.teller = Teller("openhands-sdk", model)
        self.stop: tuple[StopReason, Failure | None, str | None] | None = None
        self._answer: list[dict[str, Any]] = []
        self._aside: dict[str, dict[str, Any]] = {}
        self._totals: dict[str, Any] = {}
        self._charged: dict[str, Any] = {}
        self._last: datetime | None = None
        self._asked: datetime | None = None
        self._status: str | None = None
        self._held: list[Foreign] = []
        self._started = False
        self._fields: dict[str, Any] = {}

    def begin(self, **fields: Any) -> None:
        """The start: it is told with the first message of a user, and holds what the system prompt lists as tools."""
        self._fields = fields

    def hold(self, *items: Foreign) -> None:
        """What is to be told after the start."""
        self._held += items

    def take(self, record: dict[str, Any]) -> Iterator[Foreign]:
        """One event."""
        kind = as_str(record.get("kind"))
        at = moment(record.get("timestamp"))
        if kind == "ActionEvent" and self._same_answer(record):
            self._answer.append(record)
            return
        yield from self._flush()
        found = list(self._take(kind, record, at))
        if record.get("key") != "stats":  # token counts come with the answer, so they do not say when it was asked
            self._last = at or self._last
        if self._started:
            yield from found
        elif self._answer or (kind == "MessageEvent" and record.get("source") == "user"):
            yield from self._start(_said(record)[0] if kind == "MessageEvent" else "")
            yield from found
        else:
            self._held += found

    def _same_answer(self, record: Mapping[str, Any]) -> bool:
        shared = record.get("llm_response_id")
        return bool(self._answer) and shared is not None and self._answer[0].get("llm_response_id") == shared

    def _start(self, opening: str) -> Iterator[Foreign]:
        self._started = True
        payload = payloads.EpisodeStart.of(observation=opening, **self._fields)
        first = next((item.t_start for item in self._held if isinstance(item, Timed) and item.t_start), None)
        yield Timed(payload=payload, t_start=first)
        held, self._held = self._held, []
        yield from held

    def _take(self, kind: str | None, record: dict[str, Any], at: datetime | None) -> Iterator[Foreign]:
        match kind:
            case "ActionEvent":
                self._answer, self._asked = [record], self._last
            case "ObservationEvent" | "UserRejectObservation" | "AgentErrorEvent":
                yield from self._result(kind, record, at)
            case "MessageEvent":
                yield from self._message(record, at)
            case "SystemPromptEvent":
                yield self._system(record, at)
            case "ConversationStateUpdateEvent":
                yield self._update(record, at)
            case "ConversationErrorEvent":
                yield self._error(record, at)
            case "ACPToolCallEvent":
                yield from self._external(record, at)
            case None:
                yield Unread(kind="event without kind", where=as_str(record.get("id")))
            case _:
                yield from self._other(kind, record, at)

    def _system(self, record: dict[str, Any], at: datetime | None) -> Timed:
        prompt, more = as_dict(record.get("system_prompt")), as_dict(record.get("dynamic_context"))
        text = "\n\n".join(part for part in (as_text(prompt.get("text")), as_text(more.get("text"))) if part)
        self.teller.hear({"role": "system", "content": text})
        tools = as_dicts(record.get("tools"))
        if not self._started and tools:
            self._fields["tools"] = tuple(tools)
        return self.teller.note("system_prompt", {"tools": len(tools)}, at=at, what="SystemPromptEvent")

    def _message(self, record: dict[str, Any], at: datetime | None) -> Iterator[Timed]:
        text, message = _said(record)
        if record.get("source") != "agent":
            self.teller.hear(message)
            facts = {key: record[key] for key in ("activated_skills", "sender", "source") if record.get(key)}
            yield self.teller.note("user_message", facts, at=at, what="MessageEvent")
            return
        said = as_dict(record.get("llm_message"))
        yield from self.teller.answer(
            Answer(
                content=text,
                reasoning=as_str(said.get("reasoning_content")),
                request_id=as_str(record.get("llm_response_id")),
                asked=self._last,
                answered=at,
                kind="MessageEvent",
                **self._charge(),
            )
        )

    def _flush(self) -> Iterator[Foreign]:
        """The answer whose actions were gathered."""
        if not self._answer:
            return
        actions, self._answer = self._answer, []
        first = actions[0]
        at = moment(first.get("timestamp"))
        calls = [_tool_call(action) for action in actions]
        text = as_text(first.get("thought"))
        if not self._started:
            yield from self._start("")
        yield from self.teller.answer(
            Answer(
                content=text,
                reasoning=as_str(first.get("reasoning_content")),
                tool_calls=calls,
                request_id=as_str(first.get("llm_response_id")),
                asked=self._asked if self._asked and at and self._asked <= at else None,
                answered=at,
                kind="ActionEvent",
                records=0,
                **self._charge(),
            )
        )
        for number, action in enumerate(actions):
            thought = as_str(action.get("reasoning_content")) or text or None
            call = _call(action, thought if not number else None)
            self._aside[call.call_id or ""] = {key: action[key] for key in _ASIDE if action.get(key)}
            yield self.teller.call(call, moment(action.get("timestamp")), kind="ActionEvent", records=1)

    def _charge(self) -> dict[str, Any]:
        """What was used since the last answer, by the running totals."""
        now, before = self._totals, self._charged
        self._charged = now
        if not now or now == before:
            return {}
        new, old = as_dict(now.get("accumulated_token_usage")), as_dict(before.get("accumulated_token_usage"))
        spent = {name: _more(new.get(name), old.get(name)) for name in _TOTALS}
        cost = as_float(now.get("accumulated_cost"))
        return {
            "usage": _usage(spent),
            "cost_usd": cost - (as_float(before.get("accumulated_cost")) or 0.0) if cost else None,
        }

    def _result(self, kind: str, record: dict[str, Any], at: datetime | None) -> Iterator[Timed]:
        observation = as_dict(record.get("observation"))
        call_id = as_str(record.get("tool_call_id"))
        said = record.get("error") if kind == "AgentErrorEvent" else record.get("rejection_reason")
        text = _observed(observation) if kind == "ObservationEvent" else as_text(said)
        extended = as_text(record.get("extended_content"))
        text = f"{text}\n{extended}" if extended else text
        failed = _failure(kind, observation)
        aside = self._aside.pop(call_id or "", {})
        data = {**{key: value for key, value in observation.items() if key not in _SEEN}, **aside}
        for key in ("classification", "rejection_source"):
            if record.get(key):
                data[key] = record[key]
        code = observation.get("exit_code")
        result = self.teller.result(
            call_id,
            text,
            at=at,
            ok=failed is None,
            error=failed,
            exit_code=code if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 1 << 31 else None,
            data=data,
            kind=kind,
            records=1,
        )
        if result is None:
            yield self.teller.note("observation without its action", record, at=at, what=kind)
            return
        self.teller.hear({"role": "tool", "tool_call_id": call_id or "", "content": text})
        yield result

    def _update(self, record: dict[str, Any], at: datetime | None) -> Timed:
        key, value = as_text(record.get("key")), record.get("value")
        metrics = running_totals(record)
        if metrics:
            self._totals = metrics
        status = value if key in ("execution_status", "agent_status") else as_dict(value).get("execution_status")
        if isinstance(status, str):
            self._status = status
        return self.teller.note("state", {"key": key, "value": value}, at=at, what="ConversationStateUpdateEvent")

    def _error(self, record: dict[str, Any], at: datetime | None) -> Timed:
        code, detail = as_text(record.get("code")), as_text(record.get("detail"))
        stop, failure = read_exit("openhands", f"{code}: {detail}")
        self.stop = (stop, failure, f"{code}: {detail}")
        error = payloads.Error.of(where="runner", kind=code or "error", message=detail, failure=failure)
        return Timed(payload=error, t_start=at, kind="ConversationErrorEvent", records=1)

    def _external(self, record: dict[str, Any], at: datetime | None) -> Iterator[Timed]:
        """A call of an agent that the SDK drives from outside: told when it is over."""
        status = as_str(record.get("status"))
        if status not in ("completed", "failed"):
            yield self.teller.note("tool_call", record, at=at, what="ACPToolCallEvent")
            return
        call_id = as_str(record.get("tool_call_id"))
        raw = parse_arguments(record.get("raw_input")) or {}
        name = as_str(record.get("tool_kind")) or as_str(record.get("title")) or "tool"
        yield self.teller.call(Call(tool=name, arguments=raw, action=as_text(record.get("title")), call_id=call_id), at)
        output = as_text(record.get("raw_output")) or as_text(record.get("content"))
        failed = status == "failed" or bool(record.get("is_error"))
        result = self.teller.result(
            call_id or f"#{self.teller.steps - 1}",
            output,
            at=at,
            ok=not failed,
            error="failed" if failed else None,
            kind="ACPToolCallEvent",
            records=1,
        )
        yield from [result] if result is not None else []

    def _other(self, kind: str, record: dict[str, Any], at: datetime | None) -> Iterator[Timed]:
        names = {"Condensation": "compaction", "PauseEvent": "user_interrupt", "InterruptEvent": "user_interrupt"}
        if kind == "CondensationSummaryEvent":
            self.teller.hear({"role": "user", "content": as_text(record.get("summary"))})
        yield self.teller.note(names.get(kind, kind), record, at=at, what=kind)

    def finish(self) -> Iterator[Foreign]:
        """What is left to tell when the events are over."""
        yield from self._flush()
        if not self._started:
            yield from self._start("")
        for call_id, (_, call, _) in list(self.teller.waiting.items()):
            if call.tool == "finish":
                result = self.teller.result(call_id, "")
                yield from [result] if result is not None else []
                self._status = self._status or "finished"

    def ending(self) -> Timed:
        """Why it ended."""
        stop, failure, message = self.stop or (*read_exit("openhands", self._status), self._status)
        used = as_dict(self._totals.get("accumulated_token_usage"))
        cost = as_float(self._totals.get("accumulated_cost"))
        usage = _usage({name: as_int(value) for name, value in used.items()}) if used else None
        return self.teller.end(stop, failure, message, usage=usage, cost_usd=cost or None)


def _usage(spent: Mapping[str, int | None]) -> Usage:
    return Usage(
        input_tokens=spent.get("prompt_tokens"),
        cached_input_tokens=spent.get("cache_read_tokens"),
        cache_creation_tokens=spent.get("cache_write_tokens"),
        output_tokens=spent.get("completion_tokens"),
        reasoning_tokens=spent.get("reasoning_tokens"),
    )


def _more(new: Any, old: Any) -> int | None:
    now = as_int(new)
    return None if now is None else max(0, now - (as_int(old) or 0))


def _said(record: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The text of a message, and the message as a model is sent it."""
    message = as_dict(record.get("llm_message"))
    parts = [as_text(message.get("content")), as_text(record.get("extended_content"))]
    text = "\n".join(part for part in parts if part)
    return text, {"role": as_str(message.get("role")) or "user", "content": text}


def _tool_call(action: Mapping[str, Any]) -> dict[str, Any]:
    called = as_dict(action.get("tool_call"))
    name = as_str(called.get("name")) or as_text(action.get("tool_name"))
    arguments = called.get("arguments")
    if not isinstance(arguments, str):
        given = as_dict(action.get("action"))
        arguments = compact({key: value for key, value in given.items() if key != "kind"})
    return tool_call(name, arguments, as_str(action.get("tool_call_id")))


def _call(action: Mapping[str, Any], thought: str | None) -> Call:
    made = _tool_call(action)
    name, text = as_str(made["function"]["name"]), made["function"]["arguments"]
    arguments = parse_arguments(text)
    refused = "action" in action and action["action"] is None
    return Call(
        tool=name if arguments is not None else None,
        arguments={key: value for key, value in (arguments or {}).items() if key not in ("security_risk", "summary")},
        action=compact(made),
        thought=thought,
        malformed=refused or name is None or arguments is None,
        call_id=as_str(action.get("tool_call_id")),
    )


def _observed(observation: Mapping[str, Any]) -> str:
    for name in ("content", "output", "text"):
        if observation.get(name):
            return as_text(observation[name])
    return ""


def _failure(kind: str, observation: Mapping[str, Any]) -> str | None:
    if kind == "UserRejectObservation":
        return "rejected"
    if kind == "AgentErrorEvent":
        return "failed"
    if observation.get("timeout") is True:
        return "timeout"
    return "failed" if observation.get("is_error") is True else None
