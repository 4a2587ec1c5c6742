"""How the policies that ask a model do it."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ..rewards.service.config import ServiceConfig

__all__ = ["ChatConfig", "VllmConfig"]


class ChatConfig(ServiceConfig):
    """How a chat model is asked."""

    tool_choice: str = "auto"
    """`auto`, or `required` where the service supports it."""
    send_seed: bool = False
    """Send the episode's seed with every request; some services refuse it, and vLLM's CPU build dies of it."""
    system_prompt: str | None = None
    """Instead of the built-in one."""
    reminders: int = Field(default=3, ge=0)
    """Answers without a tool call, one after another, before the episode is given up."""


class VllmConfig(ServiceConfig):
    """How a model served by vLLM is asked: token ids in, token ids and log-probabilities out."""

    format: Literal["hermes", "native", "plain"] = "hermes"
    """How the model writes tool calls: `hermes` (`<tool_call>` with JSON or XML inside, the model's chat template),
    `native` (read by the server's own parser), `plain` (a text protocol for models without a chat template)."""
    overflow: Literal["stop", "drop_oldest"] = "stop"
    """When the conversation no longer fits the model: end the episode, or go on without the oldest observations."""
    overflow_target: float = Field(default=0.7, gt=0, lt=1)
    """Share of the context that `drop_oldest` makes the conversation fit into, so that it is seldom needed again."""
    min_tokens: int = Field(default=64, ge=1)
    """Room for an answer below which the conversation counts as one that no longer fits."""
    observation_role: Literal["tool", "user"] = "tool"
    """Role under which the chat template is given observations; `user` for templates that know no tools."""
    chat_template_kwargs: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """For the chat template, such as `enable_thinking: false`."""
    constrain: bool = False
    """Have the server hold answers to the grammar of a valid tool call."""
    send_seed: bool = False
    """Sample with a seed drawn from the episode's and the number of the request; vLLM's CPU build dies of it."""
    system_prompt: str | None = None
    """Instead of the built-in one."""
    reminders: int = Field(default=3, ge=0)
    """Answers without a tool call, one after another, before the episode is given up."""

    @model_validator(mode="after")
    def _native_prompts_are_the_servers(self) -> Self:
        if self.format == "native" and self.overflow == "drop_oldest":
            raise ValueError(
                "overflow drop_oldest needs format hermes or plain; with native the server makes the prompt"
            )
        return self
