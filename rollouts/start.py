"""From settings to a run that is done: what `trajhub rollout` and a Python program have in common."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..envs.engine import Engine
from ..envs.sources import load_tasks
from ..envs.task import Task
from ..errors import ConfigError
from .agents.recover import recover
from .budget import RunLedger
from .config import RolloutConfig, check_budget, choose, resolve
from .counting import counted
from .crew import Crew
from .manifest import make_manifest, open_run
from .plan import Plan, make_plan
from .policies.base import Policy
from .policies.choose import make_policy
from .run_dir import RunLock
from .run_place import RunFolder
from .runner import Runner
from .scale.facts import Facts
from .scoring import make_rubric
from .summary import Summary, summarise
from .threads import ThreadCrew

__all__ = ["make_runner", "opened", "run_rollout"]


Crews = tuple[Engine | Facts, Callable[[RunLedger], Crew]]
"""What the places where episodes are done have, and how to make a crew there that charges a ledger."""


@contextmanager
def opened(
    run: Path,
    config: RolloutConfig,
    policy: Policy,
    tasks: Sequence[Task],
    host: str | Sequence[str] | None = None,
) -> Generator[Runner]:
    """A runner for what is left to do of a run, which is begun or taken up, and locked meanwhile.

    `host` is the address of a Docker engine, or of several among which episodes are spread. Raises ConfigError when the
    run was begun with another configuration or another process works on it, EngineUnavailable, and ClusterUnavailable.
    """
    urls = [host] if isinstance(host, str) else list(host or ())
    several = config.engine != "local" or len(urls) > 1
    places = _spread(run, config, policy, tasks, urls) if several else _here(run, config, policy, tasks, urls)
    with places as (facts, make_crew), RunLock(run):
        known = open_run(run, make_manifest(run, config, policy, tasks, facts))
        if config.agent is not None:
            recover(run)
        plan = make_plan(run, config, tasks)
        money = RunLedger(config.budget, plan.spent_usd)
        with counted(run, policy):
            yield Runner(run, known.run_id, config, policy, tasks, plan, make_crew(money), money)


@contextmanager
def _here(
    run: Path, config: RolloutConfig, policy: Policy, tasks: Sequence[Task], urls: Sequence[str]
) -> Generator[Crews]:
    """Threads of this process, on one engine."""
    engine = Engine(urls[0] if urls else None, run_id=run.resolve().name)
    try:
        engine.sweep()
        yield engine, lambda money: _threads(run, config, policy, tasks, engine, money)
    finally:
        engine.close()


@contextmanager
def _spread(
    run: Path, config: RolloutConfig, policy: Policy, tasks: Sequence[Task], urls: Sequence[str]
) -> Generator[Crews]:
    """Hosts in several places."""
    from .scale.start import make_hosts, spread_crew

    hosts = make_hosts(run, config, policy, tasks, urls)
    try:
        yield hosts.facts, lambda money: spread_crew(run, config, hosts, money)
    finally:
        hosts.close()


def _threads(
    run: Path, config: RolloutConfig, policy: Policy, tasks: Sequence[Task], engine: Engine, money: RunLedger
) -> ThreadCrew:
    return ThreadCrew(RunFolder(run), config, policy, tasks, engine, money, make_rubric(run, config))


def make_runner(
    run: Path,
    run_id: str,
    config: RolloutConfig,
    policy: Policy,
    tasks: Sequence[Task],
    engine: Engine,
    plan: Plan,
) -> Runner:
    """A runner whose episodes are done by threads of this process. Raises ConfigError when others were asked for."""
    if config.engine != "local":
        raise ConfigError(f"these episodes are done by threads of this process: engine {config.engine} cannot do them")
    money = RunLedger(config.budget, plan.spent_usd)
    crew = _threads(run, config, policy, tasks, engine, money)
    return Runner(run, run_id, config, policy, tasks, plan, crew, money)


def run_rollout(
    run: str | Path,
    config: RolloutConfig,
    *,
    policy: Policy | None = None,
    tasks: Sequence[Task] | None = None,
    host: str | Sequence[str] | None = None,
) -> Summary:
    """Carry out a run, or what is left of it. A policy or tasks given as objects replace those in `config`."""
    settled = resolve(config)
    chosen = choose(settled, load_tasks(settled.tasks) if tasks is None else tasks)
    actor = policy or make_policy(settled.policy, settled.chat, settled.vllm)
    try:
        check_budget(settled, actor.model)
        with opened(Path(run), settled, actor, chosen, host) as runner:
            runner.run()
    finally:
        if policy is None:
            actor.close()
    return summarise(Path(run))
