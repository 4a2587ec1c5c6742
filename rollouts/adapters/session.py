"""A live session told in order: who said what in which conversation, and which call each result belongs to.

For formats that write down every piece when it was there. An answer comes in pieces, and results of its first calls may
come before its last piece; it is told at the place of its first piece, and what comes after waits until it is whole.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ...rewards.service.usage import RequestAttempt, Usage
from .. import payloads
from .base import Foreign, Timed

__all__ = ["Answer", "Session"]

_LONGEST_QUEUE = 512
_REMEMBERED = 4096


@dataclass(slots=True)
class _Conversation:
    """What a model was told since it was asked last."""

    told: int = 0
    """Messages of the request before."""
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    parts: list[payloads.Part] = field(default_factory=list[payloads.Part])
    records: int = 0
    at: datetime | None = None
    attempts: list[RequestAttempt] = field(default_factory=list[RequestAttempt])
    answer: "Answer | None" = None
    """The last one, which may still grow."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """What a model says, piece by piece."""

    request_id: str
    thread: str | None
    kind: str
    inputs: _Conversation
    """What it answers."""
    model: str | None = None
    content: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Its pieces as the format has them."""
    texts: list[str] = field(default_factory=list[str])
    reasoning: list[str] = field(default_factory=list[str])
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    parts: list[payloads.Part] = field(default_factory=list[payloads.Part])
    usage: Usage = field(default_factory=Usage)
    finish_reason: str | None = None
    cost_usd: float | None = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    """More fields of the event."""
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    """Of the request."""
    records: int = 0
    first: datetime | None = None
    last: datetime | None = None
    open: bool = True

    def seen(self, at: datetime | None) -> None:
        """A record of it was written then."""
        self.records += 1
        if at is not None:
            self.first = self.first or at
            self.last = max(self.last or at, at)

    def part(self, kind: str, at: datetime | None, chars: int | None, call_id: str | None = None, **more: Any) -> None:
        """One of its pieces."""
        self.parts.append(payloads.Part.of(kind=kind, at=at, chars=chars, call_id=call_id, **more))

    @property
    def thought(self) -> str | None:
        """Its text so far, for its first call."""
        return "\n".join(self.texts) or None if not self.calls else None


@dataclass(frozen=True, slots=True)
class _Call:
    step: int
    tool: str | None
    at: datetime | None


class Session:
    """One episode. Everything that happens is `put` in order; `ready` gives what can be told."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.steps = 0
        self._queue = deque[Foreign | Answer]()
        self._conversations = dict[str | None, _Conversation]()
        self._calls = dict[str, _Call]()
        self._known = OrderedDict[str, None]()

    def conversation(self, thread: str | None = None) -> _Conversation:
        """The conversation of a thread."""
        found = self._conversations.get(thread)
        if found is None:
            found = self._conversations[thread] = _Conversation()
        return found

    def hear(
        self, message: dict[str, Any] | None, part: payloads.Part | None, *, thread: str | None = None, records: int = 1
    ) -> None:
        """What the model of a thread will be told, accounting for so many records if nothing else does."""
        conversation = self.conversation(thread)
        if message is not None:
            conversation.messages.append(message)
        conversation.records += records
        if part is not None:
            conversation.parts.append(part)
            if part.at is not None:
                conversation.at = max(conversation.at or part.at, part.at)

    def length(self, thread: str | None = None) -> int:
        """How many messages a conversation has by now."""
        conversation = self.conversation(thread)
        return conversation.told + (conversation.answer is not None) + len(conversation.messages)

    def forget(self, thread: str | None = None, *, keep: int = 0) -> None:
        """The conversation was taken back to its first messages; those that replace the others come next."""
        conversation = self.conversation(thread)
        self._close(conversation)
        self._unanswered(thread, conversation)
        conversation.told, conversation.answer, conversation.messages = keep, None, []

    def answer(self, request_id: str, *, thread: str | None = None, kind: str = "assistant") -> Answer | None:
        """The answer of that id, begun if it is new; None when it is told already."""
        conversation = self.conversation(thread)
        current = conversation.answer
        if current is not None and current.open and current.request_id == request_id:
            return current
        if request_id in self._known:
            return None
        self._known[request_id] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        self._close(conversation)
        answer = Answer(request_id=request_id, thread=thread, kind=kind, inputs=conversation)
        before = [] if current is None else [_message(current)]
        told = conversation.told
        answer.inputs = _Conversation(
            told=told,
            messages=before + conversation.messages,
            parts=conversation.parts,
            records=conversation.records,
            at=conversation.at,
            attempts=conversation.attempts,
        )
        self._conversations[thread] = _Conversation(told=told + len(answer.inputs.messages), answer=answer)
        self._queue.append(answer)
        return answer

    def done(self, thread: str | None = None) -> None:
        """The answer that was begun in a thread is whole."""
        self._close(self.conversation(thread))

    def _close(self, conversation: _Conversation) -> None:
        if conversation.answer is not None:
            conversation.answer.open = False

    def put(self, item: Foreign) -> None:
        """Something that happened now."""
        self._queue.append(item)

    def note(self, kind: str, data: dict[str, Any], at: datetime | None, *, what: str, records: int = 1) -> None:
        """A fact that is none of the other events; `what` is its kind of record."""
        step = self.steps - 1 if self.steps else None
        payload = payloads.Note.of(kind=kind, source=self.source, step=step, data=data)
        self.put(Timed(payload=payload, t_start=at, kind=what, records=records))

    def call(
        self,
        call_id: str | None,
        tool: str | None,
        arguments: dict[str, Any] | None,
        action: str,
        at: datetime | None,
        *,
        request_id: str | None,
        thought: str | None,
        kind: str,
        records: int = 0,
    ) -> bool:
        """The next step begins; False when there was a call of that id already."""
        if call_id is not None and call_id in self._calls:
            return False
        step = self.steps
        self.steps += 1
        self._calls[call_id or f"#{step}"] = _Call(step, tool, at)
        payload = payloads.ToolCall.of(
            step=step,
            tool=tool if arguments is not None else None,
            arguments=arguments or {},
            action=action,
            thought=thought,
            malformed=tool is None or arguments is None,
            call_id=call_id,
            request_id=request_id,
        )
        self.put(Timed(payload=payload, t_start=at, kind=kind, records=records))
        return True

    def known(self, call_id: str | None) -> bool:
        """Whether a call of that id waits for its result."""
        return call_id in self._calls

    def result(self, call_id: str, at: datetime | None, *, kind: str, records: int = 1, **fields: Any) -> None:
        """What a call that waits led to."""
        call = self._calls.pop(call_id)
        start = call.at if call.at is None or at is None or call.at <= at else at
        payload = payloads.ToolResult.of(step=call.step, tool=call.tool, **fields)
        self.put(Timed(payload=payload, t_start=start, t_end=at, kind=kind, records=records))

    def ready(self) -> Iterator[Foreign]:
        """What is certain by now."""
        queue = self._queue
        while queue:
            front = queue[0]
            if isinstance(front, Answer):
                if front.open and len(queue) < _LONGEST_QUEUE:
                    return
                front.open = False
                queue.popleft()
                yield from self._told(front)
            else:
                yield queue.popleft()  # pyright: ignore[reportReturnType]

    def rest(self) -> Iterator[Foreign]:
        """Everything, at the end."""
        for thread, conversation in self._conversations.items():
            self._close(conversation)
            self._unanswered(thread, conversation)
        yield from self.ready()

    def _unanswered(self, thread: str | None, conversation: _Conversation) -> None:
        """Messages that no answer will follow, where nothing else tells them."""
        if conversation.records:
            data = {"thread": thread, "messages": conversation.messages}
            self.note("unanswered", data, conversation.at, what="user", records=conversation.records)
            conversation.records = 0

    def _told(self, answer: Answer) -> Iterator[Timed]:
        inputs = answer.inputs
        asked = inputs.at
        if asked is None or (answer.first is not None and answer.first < asked):
            asked = answer.first
        request = payloads.LlmRequest.of(
            request_id=answer.request_id,
            model=answer.model or "unknown",
            kept_messages=inputs.told,
            messages=tuple(inputs.messages),
            parameters=answer.parameters,
            thread=answer.thread,
            parts=tuple(inputs.parts),
        )
        yield Timed(payload=request, t_start=asked, kind="user", records=inputs.records)
        response = payloads.LlmResponse.of(
            request_id=answer.request_id,
            model=answer.model,
            content="\n".join(answer.texts) if answer.texts else None,
            reasoning="\n".join(answer.reasoning) or None,
            tool_calls=tuple(answer.calls),
            finish_reason=answer.finish_reason,
            usage=answer.usage,
            cost_usd=answer.cost_usd,
            failed_attempts=tuple(inputs.attempts),
            parts=tuple(answer.parts),
            **answer.extra,
        )
        yield Timed(payload=response, t_start=asked, t_end=answer.last, kind=answer.kind, records=answer.records)


def _message(answer: Answer) -> dict[str, Any]:
    return {"role": "assistant", "content": answer.content}
