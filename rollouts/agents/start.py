"""From settings to a run of a black box: what `trajhub run` and a Python program have in common."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ...envs.engine import Engine
from ...envs.task import Task
from ...errors import ConfigError
from ..config import RolloutConfig
from .install import Installed, ensure_installed, image_name
from .policy import AgentPolicy
from .settings import AgentConfig

__all__ = ["agent_of", "missing_images", "prepare_agent", "unprepared_agent"]


def agent_of(config: RolloutConfig) -> AgentConfig:
    """The agent of a run. Raises ConfigError when it has none, or when its episodes could not be done here."""
    if config.agent is None:
        raise ConfigError("this run has no agent: set `agent`, or give a policy to `trajhub rollout`")
    if config.engine != "local":
        raise ConfigError("an agent's network is this machine's: its episodes are done with engine=local")
    return config.agent


def missing_images(engine: Engine, agent: AgentConfig, tasks: Sequence[Task]) -> list[str]:
    """The tasks' images upon which the agent is not installed yet."""
    images = dict.fromkeys(task.require_image() for task in tasks)
    known = {image: engine.image_id(image) for image in images}
    return [i for i, base in known.items() if base is None or not engine.has_image(image_name(agent.recipe, base))]


def prepare_agent(
    config: RolloutConfig,
    tasks: Sequence[Task],
    engine: Engine,
    done: Callable[[str], None] = lambda image: None,
) -> AgentPolicy:
    """The agent of a run, installed upon every task's image; `done` hears of each. Raises ImageMissing."""
    agent = agent_of(config)
    images = list(dict.fromkeys(task.require_image() for task in tasks))

    def one(image: str) -> Installed:
        installed = ensure_installed(engine, agent.recipe, image)
        done(image)
        return installed

    with ThreadPoolExecutor(max(1, min(config.workers, 4)), "trajhub-install") as pool:
        installed = dict(zip(images, pool.map(one, images), strict=True))
    return AgentPolicy(agent, config.prices, installed)


def unprepared_agent(config: RolloutConfig) -> AgentPolicy:
    """The agent of a run before it is installed anywhere, to show what would be done."""
    return AgentPolicy(agent_of(config), config.prices, {})
