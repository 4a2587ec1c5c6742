"""An episode told in order: numbers its requests and steps, and remembers what its model was sent already."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ...errors import Failure, StopReason
from ...rewards.service.usage import Usage
from .. import payloads
from ..episode_log import patch_facts
from .base import Timed
from .reading import as_dict, as_dicts, as_str, as_text, compact, parse_arguments

__all__ = ["Answer", "Call", "Teller", "call_of", "final_patch", "instance_of", "openai_calls", "repo_of", "tool_call"]

_INSTANCE = re.compile(r"^[A-Za-z0-9_.-]+?__[A-Za-z0-9_.-]+?-\d+")
_REPO = re.compile(r"^(?:instance_)?([A-Za-z0-9_.-]+?)__([A-Za-z0-9_.-]+?)-[0-9a-f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model said."""

    content: str | None = None
    reasoning: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()
    """As OpenAI's API has them."""
    request_id: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tokens: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """`prompt_token_ids`, `completion_token_ids` and `logprobs`, where they are known."""
    asked: datetime | None = None
    answered: datetime | None = None
    duration_ms: float | None = None
    kind: str | None = None
    records: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What an agent did."""

    tool: str | None
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    action: str
    thought: str | None = None
    malformed: bool = False
    call_id: str | None = None


class Teller:
    """Makes the events of one episode; `source` is the format, for notes."""

    def __init__(self, source: str, model: str | None = None) -> None:
        self.source = source
        self.model = model
        self.steps = 0
        self.requests = 0
        self.waiting: dict[str, tuple[int, Call, datetime | None]] = {}
        """Calls without a result, by their id (or, without one, by their step)."""
        self._sent = 0
        self._fresh: list[dict[str, Any]] = []
        self._request: str | None = None
        self._thread: str | None = None

    def hear(self, *messages: Mapping[str, Any]) -> None:
        """Messages that the next request holds besides those before."""
        self._fresh.extend(dict(message) for message in messages)

    def resend(self, kept: int, messages: Sequence[Mapping[str, Any]]) -> None:
        """The next request begins with `kept` messages of the one before and goes on with `messages`."""
        self._sent, self._fresh = kept, [dict(message) for message in messages]

    def switch(self, thread: str) -> None:
        """Another conversation begins: that of a subagent."""
        self._thread, self._sent, self._fresh = thread, 0, []

    def answer(self, answer: Answer) -> Iterator[Timed]:
        """A request and its answer."""
        request_id = answer.request_id or f"request-{self.requests}"
        self._request = request_id
        self.requests += 1
        begun = answer.asked or answer.answered
        if begun is not None and answer.answered is not None:
            begun = min(begun, answer.answered)
        asked = payloads.LlmRequest.of(
            request_id=request_id,
            model=self.model or answer.model or "unknown",
            kept_messages=self._sent,
            messages=tuple(self._fresh),
            parameters=dict(answer.parameters),
            thread=self._thread,
        )
        self._sent += len(self._fresh)
        self._fresh = [_remembered(answer)]
        yield Timed(payload=asked, t_start=begun, kind=answer.kind)
        yield Timed(
            payload=payloads.LlmResponse.of(
                request_id=request_id,
                model=answer.model,
                content=answer.content,
                reasoning=answer.reasoning,
                tool_calls=tuple(dict(call) for call in answer.tool_calls),
                finish_reason=answer.finish_reason,
                usage=answer.usage,
                cost_usd=answer.cost_usd,
                **answer.tokens,
            ),
            t_start=begun,
            t_end=answer.answered,
            duration_ms=answer.duration_ms,
            kind=answer.kind,
            records=answer.records,
        )

    def call(self, call: Call, at: datetime | None = None, *, kind: str | None = None, records: int = 0) -> Timed:
        """The next step begins."""
        step = self.steps
        self.steps += 1
        self.waiting[call.call_id or f"#{step}"] = (step, call, at)
        payload = payloads.ToolCall.of(
            step=step,
            tool=call.tool,
            arguments=dict(call.arguments),
            action=call.action,
            thought=call.thought,
            malformed=call.malformed,
            call_id=call.call_id,
            request_id=self._request,
        )
        return Timed(payload=payload, t_start=at, kind=kind, records=records)

    def result(
        self,
        call_id: str | None,
        observation: str,
        *,
        at: datetime | None = None,
        duration_ms: float | None = None,
        ok: bool = True,
        error: str | None = None,
        exit_code: int | None = None,
        data: Mapping[str, Any] | None = None,
        kind: str | None = None,
        records: int = 0,
    ) -> Timed | None:
        """What the call of that id (None: the oldest that waits) led to; None when no call waits for it."""
        key = next(iter(self.waiting), None) if call_id is None else call_id
        if key is None or key not in self.waiting:
            return None
        step, call, begun = self.waiting.pop(key)
        payload = payloads.ToolResult.of(
            step=step,
            tool=call.tool,
            ok=ok,
            error=error,
            exit_code=exit_code,
            observation=observation,
            data=dict(data or {}),
        )
        if begun is not None and at is not None and at < begun:
            begun = at
        start = begun if at is not None or duration_ms is not None else None
        return Timed(payload=payload, t_start=start, t_end=at, duration_ms=duration_ms, kind=kind, records=records)

    def malformed(
        self, text: str, observation: str, *, at: datetime | None = None, kind: str | None = None, records: int = 1
    ) -> list[Timed]:
        """A step for an answer that was no action, and what the agent was told about it."""
        call = self.call(Call(tool=None, action=text, malformed=True), at, kind=kind, records=records)
        result = self.result(f"#{self.steps - 1}", observation, at=at, ok=False, error="malformed_action", kind=kind)
        return [call] if result is None else [call, result]

    def note(
        self,
        kind: str,
        data: Mapping[str, Any],
        *,
        at: datetime | None = None,
        records: int = 1,
        what: str | None = None,
    ) -> Timed:
        """A fact that is none of the other events; `what` is its kind of record, if that is another word."""
        step = self.steps - 1 if self.steps else None
        payload = payloads.Note.of(kind=kind, source=self.source, step=step, data=dict(data))
        return Timed(payload=payload, t_start=at, kind=what or kind, records=records)

    def end(
        self,
        stop: StopReason,
        failure: Failure | None,
        message: str | None = None,
        at: datetime | None = None,
        **known: Any,
    ) -> Timed:
        """The end; `known` are totals that the source gives, those that are None left out."""
        totals = {name: value for name, value in known.items() if value is not None}
        done = self.steps - len(self.waiting)
        payload = payloads.EpisodeEnd.of(stop_reason=stop, failure=failure, message=message, steps=done, **totals)
        return Timed(payload=payload, t_end=at)


def _remembered(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.content or ""}
    if answer.tool_calls:
        message["tool_calls"] = [dict(call) for call in answer.tool_calls]
    return message


def tool_call(name: str, arguments: Mapping[str, Any] | str, call_id: str | None = None) -> dict[str, Any]:
    """A call as OpenAI's API has it."""
    text = arguments if isinstance(arguments, str) else compact(arguments)
    call: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": text}}
    return call if call_id is None else {"id": call_id, **call}


def call_of(record: Any, thought: str | None = None) -> Call:
    """The step that one of OpenAI's `tool_calls` is; malformed where its arguments cannot be read."""
    call = as_dict(record)
    function = as_dict(call.get("function")) or call
    name, raw = as_str(function.get("name")), function.get("arguments")
    arguments = parse_arguments(raw if raw is not None else {})
    return Call(
        tool=name if arguments is not None else None,
        arguments=arguments or {},
        action=compact(call),
        thought=thought,
        malformed=name is None or arguments is None,
        call_id=as_str(call.get("id")),
    )


def final_patch(patch: Any, *, empty: bool = False) -> Timed | None:
    """The patch that an episode ended with; None where there is none, or (without `empty`) nothing in it."""
    text = as_text(patch)
    if not text.strip() and not (empty and isinstance(patch, str)):
        return None
    return Timed(payload=payloads.FinalPatch.of(patch=text, **patch_facts(text)), kind="patch")


def instance_of(text: str) -> str | None:
    """The task's id that a name begins with, as SWE-bench writes them."""
    found = _INSTANCE.match(text)
    return found[0] if found else None


def repo_of(instance_id: str) -> str:
    """The repository that a task's id names, empty where it names none."""
    found = _REPO.match(instance_id)
    return f"{found[1]}/{found[2]}" if found else ""


def openai_calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tool calls of a message."""
    return as_dicts(message.get("tool_calls"))
