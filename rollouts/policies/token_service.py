"""What a vLLM server is asked besides chatting: ids of messages and texts, and ids that continue ids."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ...errors import ConfigError
from ...rewards.service.client import ChatClient, ContextOverflow, Refused, Reply
from ..llm import VllmConfig
from .conversation import Message

__all__ = ["TokenService", "Wait"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How long an episode waits for an answer, retries included."""

    deadline: float
    """On the monotonic clock."""
    cancelled: threading.Event


class TokenService:
    """One server, shared by all episodes. Thread-safe."""

    def __init__(self, config: VllmConfig) -> None:
        self.config = config
        self.client = ChatClient(config)
        self.root = config.base_url.removesuffix("/v1")
        self.context = 0
        """Tokens of prompt and answer together; known once something was tokenized."""

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def render(self, wait: Wait, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
        """Ids of messages by the model's chat template, up to where its answer begins."""
        body: dict[str, Any] = {"messages": list(messages), "add_generation_prompt": True}
        if tools:
            body["tools"] = list(tools)
        if self.config.chat_template_kwargs:
            body["chat_template_kwargs"] = dict(self.config.chat_template_kwargs)
        return self._tokenize(wait, body)

    def ids_of(self, wait: Wait, text: str, first: bool) -> tuple[int, ...]:
        """Ids of a text; of one that is `first` in a prompt with whatever the tokenizer puts before it."""
        return self._tokenize(wait, {"prompt": text, "add_special_tokens": first})

    def complete(self, wait: Wait, session: str, prompt: Sequence[int], parameters: Mapping[str, Any]) -> Reply:
        """Ids and log-probabilities that continue `prompt`. Raises ServiceError, ContextOverflow or ConfigError."""
        body = {"model": self.config.model, "prompt": prompt, "return_token_ids": True, "logprobs": 0, **parameters}
        url, headers = f"{self.config.base_url}/completions", {"X-Session-ID": session}
        try:
            reply = self.client.ask(
                url, body, _is_completion, deadline=wait.deadline, cancelled=wait.cancelled, headers=headers
            )
        except ContextOverflow:
            raise
        except Refused as error:
            raise ConfigError(f"{self.config.base_url} does not take what it is asked: {error}") from None
        if reply.choice.get("token_ids") is None:
            raise ConfigError(
                f"{self.config.base_url} returns no token ids, so it is no vLLM of version 0.10.2 or later; use policy "
                f"chat:{self.config.model}@{self.config.base_url}"
            )
        return reply

    def _tokenize(self, wait: Wait, body: Mapping[str, Any]) -> tuple[int, ...]:
        asked = {"model": self.config.model, **body}
        try:
            reply = self.client.ask(
                f"{self.root}/tokenize", asked, _is_tokens, deadline=wait.deadline, cancelled=wait.cancelled
            )
        except ContextOverflow:
            raise
        except Refused as error:
            raise ConfigError(
                f"the model's chat template cannot tell this conversation ({error}); try "
                "-c vllm.observation_role=user, or -c vllm.format=plain for a model without a template"
            ) from None
        self.context = int(reply.body["max_model_len"])
        return tuple(cast("list[int]", reply.body["tokens"]))


def _is_tokens(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("tokens"), list) and isinstance(value.get("max_model_len"), int)


def _is_completion(value: Mapping[str, Any]) -> bool:
    choices = value.get("choices")
    return isinstance(choices, list) and bool(choices) and isinstance(choices[0].get("text"), str)  # pyright: ignore
