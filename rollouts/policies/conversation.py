"""What policies that talk with a model have in common: who says what next, and when to give up.

The conversation only ever grows. Several calls in one answer are taken one after another. An answer without a call is
an action of its own, which the environment calls malformed; the model is reminded, and the episode is given up when
that does not help.
"""

import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...errors import Failure, StopReason
from ...tools.prompt import SYSTEM_PROMPT
from .base import Action, Context, PolicyStop

__all__ = ["REMINDER", "Answer", "Conversation", "Message", "Talk", "remembered"]

REMINDER = (
    "Your answer held no tool call, so nothing was done. Answer with exactly one call of one of your tools. "
    "When the work is complete, call `submit`."
)

Message = dict[str, Any]
"""A message as OpenAI's chat API has it."""


class Talk(Protocol):
    """Settings of a conversation."""

    @property
    def system_prompt(self) -> str | None:
        """Instead of the built-in one."""
        ...

    @property
    def reminders(self) -> int:
        """Answers without a call, one after another, before the episode is given up."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model answered."""

    message: Message
    """As it is remembered: content and tool calls."""
    thought: str = ""
    calls: Sequence[Mapping[str, Any]] = ()
    """Tool calls, arguments as text."""
    unreadable: str | None = None
    """What the model wrote in place of a call that can be read: an action that the environment explains."""
    note: str | None = None
    """Something to tell the model with what it sees next."""


class Conversation:
    """A session that keeps the messages; what asks the model is `request`."""

    def __init__(self, talk: Talk, context: Context) -> None:
        self.context = context
        self.cancelled = threading.Event()
        self.messages: list[Message] = [{"role": "system", "content": talk.system_prompt or SYSTEM_PROMPT}]
        self.sent = 0
        """How many messages the model was sent."""
        self._reminders = talk.reminders
        self._calls = deque[Mapping[str, Any]]()
        self._answering: str | None = None
        """Id of the call that the next observation answers."""
        self._silent = 0
        self._note: str | None = None

    def request(self) -> Answer:
        """Send the messages and give the answer, both recorded. Raises PolicyStop or ServiceError."""
        raise NotImplementedError

    def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        """The next action."""
        self._hear(observation)
        if not self._calls:
            action = self._ask()
            if action is not None:
                return action
        return self._take("")

    def remember(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Begin after `messages`, which take the place of the prompt; they are sent with the first request."""
        self.messages = [dict(message) for message in messages]
        calls = self.messages[-1].get("tool_calls")
        self._answering = calls[-1]["id"] if calls else None
        self._silent = 0 if calls else 1

    def cancel(self) -> None:
        """Make a pause between two tries end."""
        self.cancelled.set()

    def close(self) -> None:
        """The connections belong to the policy."""

    def _hear(self, observation: str) -> None:
        note, self._note = self._note, None
        said = REMINDER if self._silent and self._answering is None else observation
        content = f"{said}\n{note}" if note else said
        if self._answering is not None:
            self.messages.append({"role": "tool", "tool_call_id": self._answering, "content": content})
        else:
            self.messages.append({"role": "user", "content": content})
        self._answering = None

    def _ask(self) -> Action | None:
        """Ask the model; an action when the answer holds no call, None when there are calls to take."""
        exceeded = self.context.ledger.exceeded()
        if exceeded:
            raise PolicyStop(*exceeded)
        if self._silent > self._reminders:
            raise PolicyStop(
                StopReason.POLICY_ERROR, f"{self._silent} answers without a tool call", failure=Failure.MODEL
            )
        answer = self.request()
        self.messages.append(answer.message)
        self._note = answer.note
        self._calls.extend(answer.calls)
        self._silent = self._silent + 1 if not answer.calls and answer.unreadable is None else 0
        if answer.unreadable is not None:
            return Action(call=answer.unreadable)
        if not answer.calls:
            return Action(call=str(answer.message.get("content") or ""))
        return self._take(answer.thought)

    def _take(self, thought: str) -> Action:
        call = self._calls.popleft()
        self._answering = call["id"]
        function = call["function"]
        action = {"name": function["name"], "arguments": function["arguments"], "id": call["id"]}
        return Action(call=action, thought=thought or None, call_id=call["id"])


def remembered(text: str, calls: Sequence[Mapping[str, Any]]) -> Message:
    """The answer as it is sent back. Services refuse a conversation whose arguments are not JSON objects."""
    if not calls:
        return {"role": "assistant", "content": text}
    kept = [{**call, "function": {**call["function"], "arguments": _as_object(call)}} for call in calls]
    return {"role": "assistant", "content": text, "tool_calls": kept}


def _as_object(call: Mapping[str, Any]) -> str:
    arguments = call["function"]["arguments"]
    try:
        if isinstance(json.loads(arguments), dict):
            return arguments
    except ValueError:
        pass
    return json.dumps({"unreadable": arguments})
