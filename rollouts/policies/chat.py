"""A policy that asks a chat model with tool calls, at any OpenAI-compatible service.

The conversation only ever grows: what was sent once is sent again unchanged, so that a service may cache it. Several
calls in one answer are taken one after another. An answer without a call is an action of its own, which the
environment calls malformed; the model is reminded, and the episode is given up when that does not help.
"""

import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import uuid4

from ...errors import ConfigError, Failure, StopReason
from ...rewards.service.client import ChatClient, ContextOverflow, Reply
from ...rewards.service.usage import read_usage
from ...tools.prompt import SYSTEM_PROMPT
from ..llm import ChatConfig
from ..payloads import LlmRequest, LlmResponse
from .base import Action, Context, PolicyBase, PolicyStop, Session, TaskView

__all__ = ["REMINDER", "ChatPolicy"]

REMINDER = (
    "Your answer held no tool call, so nothing was done. Answer with exactly one call of one of your tools. "
    "When the work is complete, call `submit`."
)


class ChatPolicy(PolicyBase):
    """A chat model behind an API."""

    name = "chat"

    def __init__(self, config: ChatConfig) -> None:
        if not config.base_url or not config.model:
            raise ConfigError("policy `chat` needs a model and a URL: --policy chat:MODEL@http://HOST:PORT/v1")
        self.model = config.model
        self.config = config
        self._client = ChatClient(config)

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin a conversation."""
        return _Conversation(self._client, self.config, context)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class _Conversation:
    def __init__(self, client: ChatClient, config: ChatConfig, context: Context) -> None:
        self._client = client
        self._config = config
        self._context = context
        self._cancelled = threading.Event()
        self._messages: list[dict[str, Any]] = [{"role": "system", "content": config.system_prompt or SYSTEM_PROMPT}]
        self._sent = 0
        self._calls = deque[dict[str, Any]]()
        self._answering: str | None = None
        """Id of the call that the next observation answers."""
        self._silent = 0

    def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        self._hear(observation)
        if not self._calls:
            action = self._ask()
            if action is not None:
                return action
        return self._take("")

    def remember(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Begin after `messages`, which take the place of the prompt; they are sent with the first request."""
        self._messages = [dict(message) for message in messages]
        calls = self._messages[-1].get("tool_calls")
        self._answering = calls[-1]["id"] if calls else None
        self._silent = 0 if calls else 1

    def cancel(self) -> None:
        """Make a pause between two tries end."""
        self._cancelled.set()

    def close(self) -> None:
        """The connections belong to the policy."""

    def _hear(self, observation: str) -> None:
        if self._answering is not None:
            self._messages.append({"role": "tool", "tool_call_id": self._answering, "content": observation})
        else:
            self._messages.append({"role": "user", "content": REMINDER if self._silent else observation})
        self._answering = None

    def _ask(self) -> Action | None:
        """Ask the model; an action when the answer is text alone, None when there are calls to take."""
        exceeded = self._context.ledger.exceeded()
        if exceeded:
            raise PolicyStop(*exceeded)
        if self._silent > self._config.reminders:
            raise PolicyStop(
                StopReason.POLICY_ERROR, f"{self._silent} answers without a tool call", failure=Failure.MODEL
            )
        message = self._request()
        text = _text(message.get("content"))
        thought = _text(message.get("reasoning_content") or message.get("reasoning")) or text
        self._calls.extend(_calls(message))
        self._messages.append(_remembered(text, self._calls))
        if not self._calls:
            self._silent += 1
            return Action(call=text)
        self._silent = 0
        return self._take(thought)

    def _take(self, thought: str) -> Action:
        call = self._calls.popleft()
        self._answering = call["id"]
        function = call["function"]
        action = {"name": function["name"], "arguments": function["arguments"], "id": call["id"]}
        return Action(call=action, thought=thought or None, call_id=call["id"])

    def _request(self) -> Mapping[str, Any]:
        request_id = uuid4().hex
        parameters = self._parameters()
        self._context.log(
            LlmRequest.of(
                request_id=request_id,
                model=self._config.model,
                endpoint=self._config.base_url,
                kept_messages=self._sent,
                messages=self._messages[self._sent :],
                parameters=parameters,
            )
        )
        self._sent = len(self._messages)
        body = {"model": self._config.model, "messages": self._messages, "tools": self._context.tools, **parameters}
        try:
            reply = self._client.complete(body, deadline=self._context.deadline, cancelled=self._cancelled)
        except ContextOverflow as error:
            message = f"the conversation no longer fits the model: {error}"
            raise PolicyStop(StopReason.TOKEN_LIMIT, message, failure=Failure.MODEL) from None
        return self._record(request_id, reply)

    def _parameters(self) -> dict[str, Any]:
        config = self._config
        chosen = {"temperature": config.temperature, "top_p": config.top_p}
        if config.send_seed:
            chosen["seed"] = self._context.seed
        fixed = {"max_tokens": config.max_tokens, "tool_choice": config.tool_choice}
        return {**fixed, **{key: value for key, value in chosen.items() if value is not None}, **config.extra_body}

    def _record(self, request_id: str, reply: Reply) -> Mapping[str, Any]:
        message = cast("Mapping[str, Any]", reply.choice["message"])
        usage = read_usage(reply.body)
        response = LlmResponse.of(
            request_id=request_id,
            model=reply.body.get("model"),
            content=_text(message.get("content")),
            reasoning=_text(message.get("reasoning_content") or message.get("reasoning")) or None,
            tool_calls=message.get("tool_calls") or (),
            finish_reason=reply.choice.get("finish_reason"),
            usage=usage,
            cost_usd=self._context.ledger.price.cost(usage) if self._context.ledger.price else None,
            failed_attempts=reply.failed,
            prompt_token_ids=reply.body.get("prompt_token_ids"),
            completion_token_ids=reply.choice.get("token_ids"),
            logprobs=_logprobs(reply.choice),
        )
        times = {"t_start": reply.t_start, "t_end": reply.t_end}
        self._context.log(response, **times, duration_ms=reply.duration_ms)
        self._context.ledger.add(usage)
        return message


def _text(content: object) -> str:
    """Text of a message, whose content may be a list of parts."""
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))  # pyright: ignore
    return content if isinstance(content, str) else ""


def _logprobs(choice: Mapping[str, Any]) -> list[float] | None:
    said = cast("Mapping[str, Any]", choice.get("logprobs") or {})
    tokens = cast("list[dict[str, Any]] | None", said.get("content"))
    return None if tokens is None else [token["logprob"] for token in tokens]


def _calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    calls = list[dict[str, Any]]()
    for call in cast("list[dict[str, Any]]", message.get("tool_calls") or []):
        function = cast("dict[str, Any]", call.get("function") or {})
        arguments = function.get("arguments")
        calls.append(
            {
                "id": call.get("id") or uuid4().hex,
                "type": "function",
                "function": {
                    "name": str(function.get("name") or ""),
                    "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
                },
            }
        )
    return calls


def _remembered(text: str, calls: "deque[dict[str, Any]]") -> dict[str, Any]:
    """The answer as it is sent back. Services refuse a conversation whose arguments are not JSON objects."""
    if not calls:
        return {"role": "assistant", "content": text}
    kept = [{**call, "function": {**call["function"], "arguments": _object(call)}} for call in calls]
    return {"role": "assistant", "content": text, "tool_calls": kept}


def _object(call: Mapping[str, Any]) -> str:
    arguments = call["function"]["arguments"]
    try:
        if isinstance(json.loads(arguments), dict):
            return arguments
    except ValueError:
        pass
    return json.dumps({"unreadable": arguments})
