"""From settings to a run of a black box: what `trajhub run` and a Python program have in common."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ...envs.engine import Engine
from ...envs.sources import load_tasks
from ...envs.task import Task
from ...errors import ConfigError
from ..config import RolloutConfig, check_budget, choose, resolve
from ..start import opened
from ..summary import Summary, summarise
from .house import ensure_installed, house_name
from .policy import AgentPolicy
from .settings import AgentConfig

__all__ = ["agent_of", "check_agent", "missing_house", "prepare_agent", "run_agent", "unprepared_agent"]


def agent_of(config: RolloutConfig) -> AgentConfig:
    """The agent of a run. Raises ConfigError when it has none, or when its episodes could not be done here."""
    if config.agent is None:
        raise ConfigError("this run has no agent: set `agent`, or give a policy to `trajhub rollout`")
    if config.engine != "local":
        raise ConfigError("an agent's network is this machine's: its episodes are done with engine=local")
    return config.agent


def check_agent(config: RolloutConfig) -> None:
    """Raise ConfigError when the agent's model is not said, or its key is not there, before anything is made."""
    agent = agent_of(config)
    title = agent.recipe.title
    if agent.model is None and agent.recipe.asks_model:
        raise ConfigError(f"{title} asks a model: give --model MODEL, or MODEL@URL for a service of your own")
    if agent.model is not None and agent.key_env is not None and not os.environ.get(agent.key_env, "").strip():
        raise ConfigError(
            f"the environment has no {agent.key_env}, the key of {agent.url}: put it there (it never reaches a "
            "sandbox), or give --model MODEL@URL for a service that needs none"
        )


def missing_house(engine: Engine, agent: AgentConfig) -> str | None:
    """The volume that would have to be made; None when the engine has it, or when the recipe installs nothing."""
    name = house_name(agent.recipe)
    return None if name is None or engine.has_volume(name) else name


def prepare_agent(
    config: RolloutConfig, tasks: Sequence[Task], engine: Engine, tell: Callable[[str], None] = lambda _: None
) -> AgentPolicy:
    """The agent of a run, installed where this engine does not have it; `tell` hears what takes its time.

    Raises ConfigError, InfrastructureError, DiskFull and TaskIncomplete.
    """
    check_agent(config)
    agent = agent_of(config)
    image = next(task.require_image() for task in tasks)
    return AgentPolicy(agent, config.prices, ensure_installed(engine, agent.recipe, image, tell))


def unprepared_agent(config: RolloutConfig) -> AgentPolicy:
    """The agent of a run before it is installed anywhere, to show what would be done."""
    return AgentPolicy(agent_of(config), config.prices)


def run_agent(
    run: str | Path, config: RolloutConfig, *, tasks: Sequence[Task] | None = None, host: str | None = None
) -> Summary:
    """Do a run of `config.agent`, or what is left of it, installing the agent where it is not yet."""
    settled = resolve(config.model_copy(update={"policy": f"agent:{agent_of(config).recipe.name}"}))
    chosen = choose(settled, load_tasks(settled.tasks) if tasks is None else tasks)
    check_budget(settled, agent_of(settled).model)
    engine = Engine(host)
    try:
        policy = prepare_agent(settled, chosen, engine)
    finally:
        engine.close()
    with opened(Path(run), settled, policy, chosen, host) as runner:
        runner.run()
    return summarise(Path(run))
