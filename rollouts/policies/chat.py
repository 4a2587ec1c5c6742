"""A policy that asks a chat model with tool calls, at any OpenAI-compatible service.

What was sent once is sent again unchanged, so that a service may cache it.
"""

import json
from collections.abc import Mapping
from typing import Any, cast
from uuid import uuid4

from ...errors import ConfigError, Failure, StopReason
from ...rewards.service.client import ChatClient, ContextOverflow, Reply
from ...rewards.service.usage import Usage, read_usage
from ..llm import ChatConfig
from ..payloads import LlmRequest, LlmResponse
from .base import Context, PolicyBase, PolicyStop, Session, TaskView
from .conversation import REMINDER, Answer, Conversation, remembered

__all__ = ["REMINDER", "ChatConversation", "ChatPolicy"]


class ChatPolicy(PolicyBase):
    """A chat model behind an API."""

    name = "chat"

    def __init__(self, config: ChatConfig) -> None:
        if not config.base_url or not config.model:
            raise ConfigError("policy `chat` needs a model and a URL: --policy chat:MODEL@http://HOST:PORT/v1")
        self.model = config.model
        self.config = config
        self._client = ChatClient(config)

    def __reduce__(self) -> "tuple[type[ChatPolicy], tuple[ChatConfig]]":
        return ChatPolicy, (self.config,)  # on another machine it has connections of its own

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin a conversation."""
        return ChatConversation(self._client, self.config, context)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class ChatConversation(Conversation):
    """Sends messages and tools, and reads the calls that the service found in the answer."""

    def __init__(self, client: ChatClient, config: ChatConfig, context: Context) -> None:
        super().__init__(config, context)
        self._client = client
        self._config = config

    def request(self) -> Answer:
        """Send the messages and give the answer."""
        request_id = uuid4().hex
        parameters = self._parameters()
        self.context.log(
            LlmRequest.of(
                request_id=request_id,
                model=self._config.model,
                endpoint=self._config.base_url,
                kept_messages=self.sent,
                messages=self.messages[self.sent :],
                parameters=parameters,
            )
        )
        self.sent = len(self.messages)
        body = {"model": self._config.model, "messages": self.messages, "tools": self.context.tools, **parameters}
        try:
            reply = self._client.complete(body, deadline=self.context.deadline, cancelled=self.cancelled)
        except ContextOverflow as error:
            message = f"the conversation no longer fits the model: {error}"
            raise PolicyStop(StopReason.TOKEN_LIMIT, message, failure=Failure.MODEL) from None
        self._record(request_id, reply)
        return _read(cast("Mapping[str, Any]", reply.choice["message"]))

    def usage(self, reply: Reply) -> Usage:
        """What the answer says it used."""
        return read_usage(reply.body)

    def _parameters(self) -> dict[str, Any]:
        config = self._config
        chosen = {"temperature": config.temperature, "top_p": config.top_p}
        if config.send_seed:
            chosen["seed"] = self.context.seed
        fixed = {"max_tokens": config.max_tokens, "tool_choice": config.tool_choice}
        return {**fixed, **{key: value for key, value in chosen.items() if value is not None}, **config.extra_body}

    def _record(self, request_id: str, reply: Reply) -> None:
        message = cast("Mapping[str, Any]", reply.choice["message"])
        usage = self.usage(reply)
        response = LlmResponse.of(
            request_id=request_id,
            model=reply.body.get("model"),
            content=_text(message.get("content")),
            reasoning=_reasoning(message) or None,
            tool_calls=message.get("tool_calls") or (),
            finish_reason=reply.choice.get("finish_reason"),
            usage=usage,
            cost_usd=self.context.ledger.price.cost(usage) if self.context.ledger.price else None,
            failed_attempts=reply.failed,
            prompt_token_ids=reply.body.get("prompt_token_ids"),
            completion_token_ids=reply.choice.get("token_ids"),
            logprobs=_logprobs(reply.choice),
        )
        times = {"t_start": reply.t_start, "t_end": reply.t_end}
        self.context.log(response, **times, duration_ms=reply.duration_ms)
        self.context.ledger.add(usage)


def _read(message: Mapping[str, Any]) -> Answer:
    text, calls = _text(message.get("content")), _calls(message)
    return Answer(message=remembered(text, calls), thought=_reasoning(message) or text, calls=calls)


def _reasoning(message: Mapping[str, Any]) -> str:
    return _text(message.get("reasoning_content") or message.get("reasoning"))


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
