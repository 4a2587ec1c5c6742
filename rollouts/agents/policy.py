"""A command-line agent as a policy: it is given a task and a sandbox, and left alone until it is done."""

from collections.abc import Mapping
from typing import Any

import gymnasium

from ...envs.task import Task
from ...errors import UsageError
from ..budget import Ledger, PriceTable
from ..log import Header
from ..play import Turn
from ..policies.base import Context, PolicyBase, Session, TaskView
from .episode import BlackBox
from .house import FOLDER, Installed
from .settings import AgentConfig

__all__ = ["AgentPolicy"]


class AgentPolicy(PolicyBase):
    """Does whole episodes (see `rollouts.autonomous`)."""

    def __init__(self, config: AgentConfig, prices: PriceTable, installed: Installed | None = None) -> None:
        """`installed` is where the agent is; None before it is anywhere."""
        self.config = config
        self.prices = prices
        self.name = config.recipe.name
        self.version = (installed.version if installed else config.recipe.version) or "unknown"
        self.model = config.model
        self.volumes: Mapping[str, str] = {installed.volume: FOLDER} if installed and installed.volume else {}
        """The agent's house."""

    def isolated(self, task: Task) -> Task:
        """The task without network: the agent's model is reached through the proxy alone."""
        return task.model_copy(update={"network": False})

    def start(self, task: TaskView, context: Context) -> Session:
        """An agent is not asked for single actions. Raises UsageError."""
        raise UsageError(f"{self.name} does whole episodes: run it with `trajhub run {self.name}`")

    def play(self, env: gymnasium.Env[Any, Any], turn: Turn, header: Header, ledger: Ledger, time_limit: float) -> None:
        """Do one episode."""
        limit = min(time_limit, self.config.recipe.task_seconds or time_limit)
        BlackBox(self.config, self.prices, env, turn, header, ledger).play(limit)
