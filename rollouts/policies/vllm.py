"""A policy that gives a model served by vLLM token ids, and is given token ids with their log-probabilities.

The next prompt is the last one, what was sampled, and the ids of what the model's template puts between two answers:
append-only, so that the server's prefix cache holds nearly all of it, and token-faithful, so that what is trained on
is what was sampled. The format `native` asks the chat endpoint instead, whose server renders everything anew; there
the ids prove whether the conversation was append-only, and the log tells where it was not.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast
from uuid import uuid4

from ...errors import ConfigError, Failure, ServiceError, StopReason
from ...rewards.service.client import ContextOverflow, Reply
from ...rewards.service.usage import Usage, read_usage
from ..llm import ChatConfig, VllmConfig
from ..payloads import LlmRequest, LlmResponse, Phase
from ..serving.metrics import scrape
from .base import Context, PolicyBase, PolicyStop, Session, TaskView
from .chat import ChatConversation
from .conversation import Answer, Conversation, Message, remembered
from .rendering import Ids, PlainRenderer, Renderer, Sampled, TemplateRenderer
from .token_prompt import TokenPrompt
from .token_service import TokenService, Wait
from .tool_formats import ReadAnswer, grammar_of, read_hermes, read_plain

__all__ = ["VllmPolicy"]

_SEEDS = 1 << 31


class VllmPolicy(PolicyBase):
    """A model served by vLLM."""

    name = "vllm"

    def __init__(self, config: VllmConfig) -> None:
        if not config.base_url or not config.model:
            raise ConfigError("policy `vllm` needs a model and a URL: --policy vllm:MODEL@http://HOST:PORT/v1")
        self.model = config.model
        self.config = config
        self._service = TokenService(config)

    def __reduce__(self) -> "tuple[type[VllmPolicy], tuple[VllmConfig]]":
        return VllmPolicy, (self.config,)  # on another machine it has connections of its own

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin an episode."""
        if self.config.format == "native":
            return _NativeConversation(self._service, _as_chat(self.config), context)
        return _TokenConversation(self._service, self.config, context)

    def counters(self) -> Mapping[str, float]:
        """What the server has counted so far, whoever asked it; empty when it counts nothing."""
        return scrape(self._service.root)

    def close(self) -> None:
        """Close the connections."""
        self._service.close()


class _TokenConversation(Conversation):
    def __init__(self, service: TokenService, config: VllmConfig, context: Context) -> None:
        super().__init__(config, context)
        self._service, self._config = service, config
        self._wait = Wait(deadline=context.deadline, cancelled=self.cancelled)
        self._renderer: Renderer = (
            PlainRenderer(partial(service.ids_of, self._wait))
            if config.format == "plain"
            else TemplateRenderer(partial(service.render, self._wait), config.observation_role)
        )
        self._prompt = TokenPrompt()
        self._heard = 0
        """How many messages the prompt holds."""
        self._requests = 0
        self._session = uuid4().hex

    def request(self) -> Answer:
        """Send the ids and give the answer."""
        self._hear_all()
        ids = self._fitting()
        parameters = self._parameters(len(ids))
        kept = self._prompt.kept(ids)
        request = LlmRequest.of(
            request_id=uuid4().hex,
            model=self._config.model,
            endpoint=self._config.base_url,
            kept_messages=self.sent,
            messages=self.messages[self.sent :],
            kept_tokens=kept,
            token_ids=ids[kept:],
            parameters=parameters,
        )
        self.context.log(request)
        self.sent = len(self.messages)
        self._requests += 1
        try:
            reply = self._service.complete(self._wait, self._session, ids, parameters)
        except ContextOverflow as error:
            raise _overflow(str(error)) from None
        return self._take_in(request, ids, reply)

    def _hear_all(self) -> None:
        """Render what was said to the model since its last answer."""
        start, end = self._heard, len(self.messages)
        if not self._prompt.begun:
            ids = self._renderer.opening(self.messages, self.context.tools)
        else:
            start += 1  # the answer itself, whose ids were sampled
            ids = self._between(cast("Sampled", self._prompt.last), self.messages[start:end])
        self._prompt.add(ids, (start, end))
        self._heard = end

    def _between(self, answer: Sampled, messages: Sequence[Message]) -> Ids:
        return self._renderer.between(answer, messages)

    def _fitting(self) -> Ids:
        """The prompt, with observations dropped where that is wanted and needed. Raises PolicyStop."""
        ids, config = self._prompt.ids, self._config
        room = self._service.context - config.min_tokens
        if len(ids) <= room:
            return ids
        dropped = None
        if config.overflow == "drop_oldest":
            target = min(room, int(config.overflow_target * self._service.context))
            dropped = self._prompt.drop_oldest(target, self.messages, self._between)
        if dropped is not None:
            self.sent = min(self.sent, dropped.first_message)
            said = f"dropped the {dropped.observations} oldest observations, {dropped.tokens} tokens"
            self.context.log(Phase(name="context_overflow", evidence=f"{len(ids)} tokens did not fit: {said}"))
            ids = self._prompt.ids
        if len(ids) > room:
            raise _overflow(f"{len(ids)} of {self._service.context} tokens")
        return ids

    def _parameters(self, length: int) -> dict[str, Any]:
        config = self._config
        chosen = {"temperature": config.temperature, "top_p": config.top_p}
        if config.send_seed:
            chosen["seed"] = (self.context.seed * 1_000_003 + self._requests) % _SEEDS
        fixed: dict[str, Any] = {
            "max_tokens": min(config.max_tokens, self._service.context - length),
            "skip_special_tokens": False,  # the tags of tool calls may be special tokens
            "spaces_between_special_tokens": False,
        }
        if config.format == "plain" and not config.constrain:  # a grammar ends an answer itself
            fixed["stop"] = ["\n"]
        if config.constrain:
            fixed["structured_outputs"] = {"structural_tag": self._grammar()}
        return {**fixed, **{key: value for key, value in chosen.items() if value is not None}, **config.extra_body}

    def _grammar(self) -> str:
        plain = self._config.format == "plain"
        tags = {} if plain else {"opening": "<tool_call>\n", "closing": "\n</tool_call>"}
        return json.dumps(grammar_of(self.context.tools, thought=plain, **tags))

    def _take_in(self, request: LlmRequest, ids: Ids, reply: Reply) -> Answer:
        """Record an answer, make it part of the prompt, and take it apart."""
        choice = reply.choice
        if tuple(choice.get("prompt_token_ids") or ids) != ids:
            raise ServiceError(f"{self._config.base_url} did not use the prompt's token ids as they were sent")
        stop = choice.get("stop_reason")
        answer = Sampled(
            ids=tuple(choice["token_ids"]),
            ended=choice.get("finish_reason") == "stop",
            stop=stop if isinstance(stop, str) else None,
        )
        self._prompt.answered(ids, answer)
        read = self._read(str(choice["text"]), answer)
        calls = [_call(name, arguments) for name, arguments in read.calls]
        self._record(request, reply, read, calls)
        note = None if answer.ended else f"Your answer was cut off after {len(answer.ids)} tokens; be briefer."
        return Answer(
            message=remembered(read.content, calls),
            thought=read.reasoning or read.content,
            calls=calls,
            unreadable=read.unreadable,
            note=note,
        )

    def _read(self, text: str, answer: Sampled) -> ReadAnswer:
        read = read_plain if self._config.format == "plain" else read_hermes
        return read(text, self.context.tools, ended=answer.ended)

    def _record(self, request: LlmRequest, reply: Reply, read: ReadAnswer, calls: list[dict[str, Any]]) -> None:
        choice = reply.choice
        usage = read_usage(reply.body, request.kept_tokens)
        response = LlmResponse.of(
            request_id=request.request_id,
            model=reply.body.get("model"),
            content=read.content,
            reasoning=read.reasoning or None,
            tool_calls=calls,
            finish_reason=choice.get("finish_reason"),
            usage=usage,
            cost_usd=self.context.ledger.price.cost(usage) if self.context.ledger.price else None,
            failed_attempts=reply.failed,
            completion_token_ids=choice["token_ids"],
            logprobs=cast("Mapping[str, Any]", choice.get("logprobs") or {}).get("token_logprobs"),
        )
        self.context.log(response, t_start=reply.t_start, t_end=reply.t_end, duration_ms=reply.duration_ms)
        self.context.ledger.add(usage)


def _overflow(said: str) -> PolicyStop:
    message = f"the conversation no longer fits the model: {said}"
    return PolicyStop(StopReason.TOKEN_LIMIT, message, failure=Failure.MODEL)


def _call(name: str, arguments: str) -> dict[str, Any]:
    return {"id": f"call-{uuid4().hex[:24]}", "type": "function", "function": {"name": name, "arguments": arguments}}


def _as_chat(config: VllmConfig) -> ChatConfig:
    """The same settings for the chat endpoint."""
    asked: dict[str, Any] = {"return_token_ids": True, "logprobs": True}
    if config.chat_template_kwargs:
        asked["chat_template_kwargs"] = config.chat_template_kwargs
    shared = config.model_dump(include=set(ChatConfig.model_fields) & set(VllmConfig.model_fields))
    return ChatConfig.model_validate(
        shared
        | {"tool_choice": "required" if config.constrain else "auto", "extra_body": {**asked, **config.extra_body}}
    )


class _NativeConversation(ChatConversation):
    """By the chat endpoint. What the server made of the messages is recorded, and whether it only grew."""

    def __init__(self, service: TokenService, config: ChatConfig, context: Context) -> None:
        super().__init__(service.client, config, context)
        self._told: Ids = ()

    def usage(self, reply: Reply) -> Usage:
        """With the share of the prompt that the last request and its answer had."""
        prompt, sampled = reply.body.get("prompt_token_ids"), reply.choice.get("token_ids")
        if prompt is None or sampled is None:
            raise ConfigError(f"{self._config.base_url} returns no token ids; use policy chat:{self._config.model}@...")
        kept = _common_start(self._told, tuple(prompt))
        if kept < len(self._told):
            said = f"the server rendered the conversation anew: {kept} of {len(self._told)} tokens were kept"
            self.context.log(Phase(name="new_token_segment", evidence=said))
        self._told = (*prompt, *sampled)
        return read_usage(reply.body, kept)


def _common_start(left: Ids, right: Ids) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((i for i, (one, other) in pairs if one != other), min(len(left), len(right)))
