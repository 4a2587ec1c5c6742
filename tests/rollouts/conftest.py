"""What tests of rollouts share: tasks of the tiny repository, and a run of them in this process."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from trajectory_hub.envs.task import Task
from trajectory_hub.rollouts import Policy, Summary, load_config, run_rollout
from trajectory_hub.rollouts.config import read_overrides

from .model_server import Served

RunTasks = Callable[..., Summary]


@pytest.fixture
def three_tasks(tiny_task: Task) -> list[Task]:
    return [tiny_task.model_copy(update={"instance_id": f"trajhub__tiny-{n}"}) for n in (1, 2, 3)]


@pytest.fixture
def run_tasks(tmp_path: Path, three_tasks: list[Task]) -> RunTasks:
    """Run the three tasks in `tmp_path / "run"`, with settings as after -c."""

    def run(*items: str, policy: Policy | None = None, tasks: Sequence[Task] = three_tasks) -> Summary:
        config = load_config(read_overrides(["tasks=tiny", "warm=0", *items]))
        return run_rollout(tmp_path / "run", config, policy=policy, tasks=tasks)

    return run


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The one vLLM of all tests, kept alive by a watcher; it takes 20 seconds to start and 3 GB."""
    with Served(tmp_path_factory.mktemp("server")) as running:
        yield running
