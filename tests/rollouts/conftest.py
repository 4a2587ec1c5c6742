"""What tests of rollouts share: tasks of the tiny repository, and a run of them in this process."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.task import Task
from trajectory_hub.rollouts.config import RolloutConfig, load_config, read_overrides, resolve
from trajectory_hub.rollouts.manifest import make_manifest, open_run
from trajectory_hub.rollouts.plan import make_plan
from trajectory_hub.rollouts.policies import Policy, make_policy
from trajectory_hub.rollouts.runner import Runner
from trajectory_hub.rollouts.summary import Summary, summarise

RunTasks = Callable[..., Summary]


def configure(*items: str) -> RolloutConfig:
    return resolve(load_config(read_overrides(["tasks=tiny", "warm=0", *items])))


def run_in(run: Path, engine: Engine, tasks: Sequence[Task], *items: str, policy: Policy | None = None) -> Summary:
    """A sitting of a run in this process."""
    config = configure(*items)
    actor = policy or make_policy(config.policy, config.chat)
    own = Engine(run_id=run.name)
    try:
        opened = open_run(run, make_manifest(run, config, actor, tasks, own))
        Runner(run, opened.run_id, config, actor, tasks, own, make_plan(run, config, tasks)).run()
    finally:
        actor.close()
        own.close()
    return summarise(run)


@pytest.fixture
def three_tasks(tiny_task: Task) -> list[Task]:
    return [tiny_task.model_copy(update={"instance_id": f"trajhub__tiny-{n}"}) for n in (1, 2, 3)]


@pytest.fixture
def run_tasks(engine: Engine, tmp_path: Path, three_tasks: list[Task]) -> RunTasks:
    """Run the three tasks in `tmp_path / "run"`, with settings as after -c."""

    def run(*items: str, policy: Policy | None = None, tasks: Sequence[Task] = three_tasks) -> Summary:
        return run_in(tmp_path / "run", engine, tasks, *items, policy=policy)

    return run
