"""How a chat policy asks its model."""

from pydantic import Field

from ..rewards.service.config import ServiceConfig

__all__ = ["ChatConfig"]


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
