"""What a user may get wrong, and Ctrl-C: an answer that helps, and an environment that still works."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from trajectory_hub.envs import SWEBenchEnv
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.patch_of import NoPatch
from trajectory_hub.envs.sandbox import Sandbox
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import TaskError, TaskNotFound, UsageError
from trajectory_hub.rewards.rubric import Rubric
from trajectory_hub.rollouts.trajectory import read_trajectory

pytestmark = pytest.mark.docker

ECHO = '{"name": "shell", "arguments": {"command": "echo hi"}}'


def _interrupt_once(started: Callable[[], bool]) -> None:
    """Ctrl-C for this process as soon as a command runs."""

    def watch() -> None:
        deadline = time.monotonic() + 60
        while not started() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()


def test_after_ctrl_c_the_next_command_gets_its_own_answer(sandbox: Sandbox, engine: Engine) -> None:
    """The answer that nobody waited for is not taken for the next one's, and what was interrupted does not go on."""

    def started() -> bool:
        titles = engine.api.top(sandbox.container_id, "-eo pid,args")["Processes"]
        return any("sleep 300" in " ".join(process) for process in titles)

    _interrupt_once(started)
    with pytest.raises(KeyboardInterrupt):
        sandbox.run("echo early; sleep 300; echo late", timeout=120)
    begun = time.monotonic()
    result = sandbox.run("echo mine")
    assert (result.exit_code, result.output, result.recovered) == (0, b"mine\n", "reopened")
    assert time.monotonic() - begun < 60  # not when the interrupted command would have ended
    assert not started()
    assert sandbox.run("echo again").recovered is None


@pytest.mark.parametrize("action", [None, 5, b"ls", ["ls"], np.zeros(2), {(1, 2): "shell"}, {"name": {"a": {1, 2}}}])
def test_what_is_no_action_at_all_is_answered_like_a_malformed_one(
    engine: Engine, tiny_task: Task, action: Any
) -> None:
    env = SWEBenchEnv([tiny_task], engine=engine)
    env.reset()
    observation, _, terminated, truncated, info = env.step(action)
    assert info["step"].malformed
    assert info["malformed_actions"] == 1
    assert "Example:" in observation
    assert not (terminated or truncated)
    env.close()


def test_a_closed_environment_takes_no_steps(engine: Engine, tiny_task: Task) -> None:
    env = SWEBenchEnv([tiny_task], engine=engine)
    env.reset()
    env.close()
    with pytest.raises(UsageError, match="closed"):
        env.step(ECHO)


def test_wrong_arguments_name_what_is_expected(engine: Engine, tiny_task: Task) -> None:
    one = SWEBenchEnv([tiny_task], task_ids=tiny_task.instance_id, engine=engine)
    assert [task.instance_id for task in one.tasks] == [tiny_task.instance_id]
    with pytest.raises(TaskNotFound, match="no task"):
        one.reset(options={"task_id": [tiny_task.instance_id]})
    one.close()
    for tasks in (5, [5], [tiny_task, "x"]):
        with pytest.raises(TaskError, match="a list of Task, not"):
            SWEBenchEnv(tasks, engine=engine)  # pyright: ignore[reportArgumentType]
    for wrapper in ("no_such_module:x", "trajectory_hub.rewards.wrapper:Nope", "RubricReward"):
        with pytest.raises(UsageError, match="module:attribute"):
            gymnasium.make("SWEBench-v0", tasks=[tiny_task], wrappers=(wrapper,))
    named = gymnasium.make("SWEBench-v0", tasks=[tiny_task], wrappers="trajectory_hub.rewards.wrapper:RubricReward")
    assert "RubricReward" in str(named)
    named.close()


def test_a_record_goes_where_it_can_be_written(tmp_path: Path, tiny_task: Task) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="name another place"):
        gymnasium.make("SWEBench-v0", tasks=[tiny_task], record=str(tmp_path / "file"))


def test_many_environments_say_what_is_missing(tiny_task: Task) -> None:
    envs: Any = gymnasium.make_vec("SWEBench-v0", num_envs=2, tasks=[tiny_task])
    with pytest.raises(UsageError, match="as many seeds, not 1"):
        envs.reset(seed=[1])
    envs.reset(seed=1)
    for actions in (None, ECHO, [ECHO]):
        with pytest.raises(UsageError, match="as many actions"):
            envs.step(actions)
    assert envs.get_attr("render_mode") == (None, None)
    envs.close()
    with pytest.raises(UsageError, match="closed"):
        envs.step([ECHO, ECHO])
    with pytest.raises(UsageError, match="closed"):
        envs.reset()


def test_a_thought_that_no_file_can_hold_is_judged_as_it_is_recorded(tmp_path: Path, tiny_task: Task) -> None:
    """Half a surrogate pair, as a broken stream of a model gives: the record's rewards are those of the episode."""
    env = gymnasium.make("SWEBench-v0", tasks=[tiny_task], record=str(tmp_path / "run"))
    env.reset(seed=0)
    given: list[float] = []
    for thought in ("look \ud83d at \ud83dshapes", "\ud83d \udc00 pyproject \ud83d then \ud83dtests", "\ud83d look"):
        for path in ("pyproject.toml", "tests", "nowhere"):
            call = {"name": "file_read", "arguments": {"path": path}, "thought": f"{thought} {path}"}
            *_, info = env.step(call)
            given.append(info["step_reward"])
    env.step({"name": "file_read", "arguments": {"path": "\ud83d"}})
    env.close()
    (episode,) = (tmp_path / "run" / "episodes").iterdir()
    scorer = Rubric().start(tiny_task)
    assert [scorer.score(step).reward for step in read_trajectory(episode).steps][:-1] == given


def test_a_patch_can_be_made_after_an_attempt_that_was_killed(engine: Engine, tiny_task: Task) -> None:
    """What is too large for the disk when git copies it hides the other changes only as long as it is there."""
    env = SWEBenchEnv([tiny_task], engine=engine, config={"disk_mb": 64})
    env.reset()
    env.step({"name": "shell", "arguments": {"command": "echo kept > kept.txt; touch /tmp/.trajhub-index.$PPID"}})
    lock = "for n in $(seq 1 40); do touch /tmp/.trajhub-index.$n.lock; done"
    env.step({"name": "shell", "arguments": {"command": lock}})
    assert "+kept" in env.final_patch()
    env.step({"name": "shell", "arguments": {"command": "head -c 50000000 /dev/urandom > large.bin"}})
    with pytest.raises(NoPatch):
        env.final_patch()
    env.step({"name": "shell", "arguments": {"command": "rm large.bin"}})
    assert "+kept" in env.final_patch()
    env.close()
