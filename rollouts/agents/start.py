"""From settings to a run of a black box: what `trajhub run` and a Python program have in common."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...envs.engine import Engine
from ...envs.sources import load_tasks
from ...envs.task import Task
from ...errors import ConfigError
from ..config import RolloutConfig, check_budget, choose, resolve
from ..start import opened
from ..summary import Summary, summarise
from .install import Installed, ensure_installed, image_name
from .policy import AgentPolicy
from .settings import AgentConfig

__all__ = ["agent_of", "missing_images", "prepare_agent", "run_agent", "unprepared_agent"]


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
