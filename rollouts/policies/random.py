"""A policy that takes valid actions at random: a floor to compare with, and a way to shake the environment."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...tools.registry import ToolRegistry
from .base import Action, Context, PolicyBase, Session, TaskView

__all__ = ["RandomPolicy"]


class RandomPolicy(PolicyBase):
    """Draws tool calls from the action space; the same seed gives the same calls."""

    name = "random"

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin an episode; tasks with the same seed get different calls."""
        words = [context.seed, *task.instance_id.encode()]
        return _RandomSession(np.random.default_rng(words), ToolRegistry())


class _RandomSession:
    def __init__(self, rng: np.random.Generator, registry: ToolRegistry) -> None:
        self._rng = rng
        self._registry = registry

    def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        return Action(call=json.loads(self._registry.sample(self._rng)))

    def cancel(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing is held."""
