"""From the settings of a run to hosts that do it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...envs.task import Task
from ...errors import ConfigError
from ..budget import RunLedger
from ..config import RolloutConfig
from ..policies.base import Policy
from .clerk import Clerk
from .crew import SpreadCrew
from .engines import EngineHosts
from .host import Work
from .ray_hosts import RayHosts

__all__ = ["make_hosts", "spread_crew"]


def make_hosts(
    run: Path, config: RolloutConfig, policy: Policy, tasks: Sequence[Task], urls: Sequence[str]
) -> RayHosts | EngineHosts:
    """Hosts on the nodes of a Ray cluster, or in this process, one for each of several Docker engines.

    Raises ConfigError for what cannot be spread, MissingExtra, ClusterUnavailable and EngineUnavailable.
    """
    _refuse_judge_limits(config)
    work = Work(
        label=run.resolve().name,
        config=config,
        policy=_Given(policy),
        environment=_keys(config),
        engine_url=urls[0] if urls else None,
    )
    if config.engine == "local":
        return EngineHosts(urls, config, work, tasks)
    if len(urls) > 1:
        raise ConfigError("--engine ray takes each node's own Docker engine: give no list of them")
    return RayHosts(config, work, tasks)


def spread_crew(run: Path, config: RolloutConfig, hosts: RayHosts | EngineHosts, money: RunLedger) -> SpreadCrew:
    """A crew of these hosts, whose records go into the folder `run`."""
    return SpreadCrew(hosts, Clerk(run, money, grades=config.grade, retries=config.retries), config)


@dataclass(frozen=True, slots=True)
class _Given:
    """Makes a policy by having it."""

    policy: Policy

    def __call__(self) -> Policy:
        return self.policy


def _keys(config: RolloutConfig) -> Mapping[str, str]:
    """The variables with services' keys that are set here."""
    judge = config.rubric.judge if config.rubric is not None else None
    members = judge.members if judge is not None else ()
    names = {"OPENAI_API_KEY", config.chat.api_key_env, config.vllm.api_key_env}
    names |= {member.api_key_env for member in members}
    return {name: os.environ[name] for name in sorted(names) if name in os.environ}


def _refuse_judge_limits(config: RolloutConfig) -> None:
    rubric = config.rubric
    if rubric is None or rubric.judge is None or rubric.layers.combine == "rules":
        return
    limits = rubric.judge.budget.model_dump(exclude_none=True)
    if limits:
        raise ConfigError(
            f"rubric.judge.budget.{next(iter(limits))}: a judge's budget is not counted across hosts; have the rules "
            "score this run (rubric.layers.combine=rules) and judge it afterwards with `trajhub judge`"
        )
