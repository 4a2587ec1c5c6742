"""The benchmark of the dynamic time-out: what its agent does, and how two runs of it are compared."""

from pathlib import Path

import pytest
from trajectory_hub.benchmarks.timeouts import balanced, compare
from trajectory_hub.benchmarks.waiting import Waiting, world_of
from trajectory_hub.benchmarks.waiting_check import KINDS
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.micro import MicroConfig, build_micro
from trajectory_hub.envs.sources import load_tasks
from trajectory_hub.rollouts import load_config, run_rollout
from trajectory_hub.rollouts.config import read_overrides
from trajectory_hub.rollouts.trajectory import read_trajectories

from .made import episode, step


@pytest.mark.docker
def test_the_agent_finds_out_which_idea_is_right_by_a_check_that_ends(tmp_path: Path, engine: Engine) -> None:
    home = build_micro(tmp_path / "tasks", MicroConfig(train=40, dev=0, eval=0, modules=40), engine)["train"]
    tasks = load_tasks(str(home))
    assert {world_of(task.instance_id) for task in tasks} == set(KINDS)
    [quick] = [task for task in balanced(tasks, 1) if world_of(task.instance_id) == "quick"]
    settings = ["tasks=micro", "warm=0", "grade=true", "seeds=2", "grader.canaries=false", "grader.reuse=true"]
    run_rollout(tmp_path / "run", load_config(read_overrides(settings)), policy=Waiting(), tasks=[quick])
    found = list(read_trajectories(tmp_path / "run"))
    assert all(one.verdict is not None and one.verdict.resolved for one in found)
    checks = {sum("check.py quick" in done.action for done in one.steps) for one in found}
    assert checks <= {1, 2}, "the second idea is tried when the check of the first one fails, and never more"


def test_minutes_and_successes_are_compared_by_world() -> None:
    names = [f"task-{number}" for number in range(60)]
    slow = [episode(name, [step()] * 4, resolved=True) for name in names]
    fast = [episode(name, [step()] * 2, resolved=True) for name in names]
    total, *worlds = compare(slow, fast, 3.0, ["-", "-"], 100)
    assert (total.episodes, total.resolved, total.resolved_with) == (60, 60, 60)
    assert total.minutes == pytest.approx(45.0) and total.minutes_with == pytest.approx(25.0)
    assert total.gain == "+80% [+80%, +80%]"
    assert [one.world for one in worlds] == list(KINDS) and sum(one.episodes for one in worlds) == 60
