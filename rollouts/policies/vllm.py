"""A policy that gives a model served by vLLM token ids, and is given token ids with their log-probabilities."""

from ...errors import ConfigError
from ..llm import VllmConfig
from .base import Context, PolicyBase, Session, TaskView

__all__ = ["VllmPolicy"]


class VllmPolicy(PolicyBase):
    """A model served by vLLM."""

    name = "vllm"

    def __init__(self, config: VllmConfig) -> None:
        if not config.base_url or not config.model:
            raise ConfigError("policy `vllm` needs a model and a URL: --policy vllm:MODEL@http://HOST:PORT/v1")
        self.model = config.model
        self.config = config

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin an episode."""
        raise NotImplementedError
