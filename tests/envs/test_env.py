"""`SWEBench-v0` as gymnasium's users meet it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from trajectory_hub.envs import EnvConfig, SWEBenchEnv
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.step import Step
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError, Failure, StopReason, TaskIncomplete, TaskNotFound, UsageError
from trajectory_hub.rewards.wrapper import RubricReward

pytestmark = pytest.mark.docker

Make = Callable[..., SWEBenchEnv]


def call(name: str, **arguments: Any) -> str:
    """An action."""
    return json.dumps({"name": name, "arguments": arguments})


@pytest.fixture
def tasks(tiny_task: Task) -> list[Task]:
    """Five tasks that differ in name."""
    return [tiny_task.model_copy(update={"instance_id": f"trajhub__tiny-{i}"}) for i in range(1, 6)]


@pytest.fixture
def make(engine: Engine, tasks: list[Task]) -> Iterator[Make]:
    """Environments that are closed in the end."""
    made: list[SWEBenchEnv] = []

    def make(**config: Any) -> SWEBenchEnv:
        made.append(SWEBenchEnv(tasks, engine=engine, config=config))
        return made[-1]

    yield make
    for env in made:
        env.close()


def test_a_user_types_nothing_but_gymnasium() -> None:
    program = "import gymnasium; print(gymnasium.spec('SWEBench-v0').id)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd="/")
    assert done.stdout == "SWEBench-v0\n", done.stderr


def test_gymnasiums_own_check_passes_without_a_warning(tasks: list[Task]) -> None:
    env = gymnasium.make("SWEBench-v0", tasks=tasks)
    check_env(env.unwrapped)  # warnings are errors here
    env.close()


def test_an_episode_ends_with_a_patch(make: Make) -> None:
    env = make()
    observation, info = env.reset(options={"task_id": "trajhub__tiny-2"})
    assert "The area of a triangle is twice what it should be." in observation
    assert info["task"]["instance_id"] == "trajhub__tiny-2"
    env.step(call("file_write", path="new/ü.txt", content="x\n"))
    env.step(call("shell", command="git -c user.name=a -c user.email=a@b commit -qam x; echo y >> README.md"))
    _, reward, terminated, truncated, info = env.step(call("submit"))
    assert (reward, terminated, truncated) == (0.0, True, False)
    assert info["stop_reason"] is StopReason.SUBMITTED
    assert info["failure"] is None
    assert "+x" in info["final_patch"]
    assert env.final_patch() == info["final_patch"]
    with pytest.raises(ResetNeeded):
        env.step(call("submit"))


def test_the_patch_applies_to_a_fresh_copy(make: Make) -> None:
    env = make()
    env.reset()
    env.step(call("shell", command="printf 'caf\\351\\n' > latin1.txt; head -c 3000 /dev/urandom > blob; rm README.md"))
    changed = env.sandbox.run("sha256sum latin1.txt blob").text
    *_, info = env.step(call("submit"))
    env.reset()
    env.sandbox.write_file("/tmp/p.diff", info["final_patch"].encode())
    assert env.sandbox.run("git apply --verbose /tmp/p.diff").exit_code == 0
    assert env.sandbox.run("sha256sum latin1.txt blob").text == changed
    assert env.sandbox.run("ls README.md").exit_code != 0


def test_a_seed_fixes_the_order_of_tasks(make: Make) -> None:
    def order(env: SWEBenchEnv, seed: int) -> list[str]:
        first = env.reset(seed=seed)[1]["task"]["instance_id"]
        return [first, *(env.reset()[1]["task"]["instance_id"] for _ in range(6))]

    a, b, c = order(make(), 5), order(make(warm=0), 5), order(make(), 6)
    assert a == b
    assert sorted(a[:5]) == [f"trajhub__tiny-{i}" for i in range(1, 6)]
    assert a != c


def test_malformed_actions_are_answered_and_counted(make: Make) -> None:
    env = make()
    env.reset()
    bad: list[Any] = ["", "not json", "[]", '{"name": "fly"}', call("shell"), call("shell", command="\0"), {"name": 3}]
    for number, action in enumerate(bad, start=1):
        observation, _, terminated, truncated, info = env.step(action)
        assert observation
        assert not terminated
        assert not truncated
        assert info["malformed_actions"] == number
        assert info["step"].malformed


def test_what_decides_is_not_in_the_sandbox(make: Make, tiny_task: Task) -> None:
    env = make()
    env.reset()
    look = "grep -rIl 'test_triangle_of_floats' / --include='*' --exclude-dir=proc --exclude-dir=sys 2>/dev/null"
    assert env.sandbox.run(look, timeout=60).text == ""
    added = [line[1:] for line in tiny_task.patch.splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert added
    for line in added:
        env.sandbox.write_file("/dev/shm/needle", line.strip().encode())
        assert env.sandbox.run("grep -rFf /dev/shm/needle /testbed /tmp /root", timeout=60).text == ""


def test_info_carries_the_step_with_its_telemetry_and_equal_steps_are_equal(make: Make) -> None:
    env = make()
    steps: list[Step] = []
    for _ in range(2):
        env.reset(seed=1)
        *_, info = env.step(call("file_read", path="README.md"))
        steps.append(info["step"])
    assert steps[0] == steps[1]
    assert steps[0].telemetry.cpu_s is not None
    assert steps[0].telemetry.memory_peak_bytes is not None
    assert steps[0].duration_ms > 0


@pytest.mark.parametrize(
    ("config", "action", "reason"),
    [
        ({"max_steps": 2}, call("shell", command="true"), StopReason.STEP_LIMIT),
        ({"time_limit": 1.0}, call("shell", command="sleep 30"), StopReason.TIME_LIMIT),
        (
            {"observation_limit": 1000},
            call("shell", command="head -c 900 /dev/zero | tr '\\0' x"),
            StopReason.TOKEN_LIMIT,
        ),
    ],
)
def test_limits_truncate_with_a_reason(make: Make, config: dict[str, Any], action: str, reason: StopReason) -> None:
    env = make(**config)
    env.reset()
    terminated, truncated, info = False, False, dict[str, Any]()
    while not truncated:
        _, _, terminated, truncated, info = env.step(action)
    assert (terminated, truncated, info["stop_reason"]) == (False, True, reason)
    assert info["final_patch"] == ""


def test_a_lost_sandbox_ends_the_episode_as_an_environment_failure(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make(warm=0)
    env.reset()
    # An engine that is gone for good cannot be had without killing the one that all tests share.
    monkeypatch.setattr("trajectory_hub.envs.sandbox._ENGINE_GRACE", 0.1)
    env.engine.remove(env.sandbox.container_id)
    monkeypatch.setattr(type(env.engine), "url", "unix:///nonexistent.sock", raising=False)
    env.engine.url = "unix:///nonexistent.sock"
    _, _, terminated, truncated, info = env.step(call("shell", command="true"))
    env.engine.url = None
    assert (terminated, truncated) == (False, True)
    assert info["stop_reason"] is StopReason.ENVIRONMENT_ERROR
    assert info["failure"] is Failure.ENVIRONMENT


def test_hints_are_shown_only_when_asked_for(engine: Engine, tiny_task: Task) -> None:
    task = tiny_task.model_copy(update={"hints_text": "divide by two"})
    for hints in (False, True):
        env = SWEBenchEnv([task], engine=engine, config={"hints": hints})
        observation, _ = env.reset()
        env.close()
        assert ("divide by two" in observation) is hints


def test_wrong_use_says_what_is_wrong(engine: Engine, tasks: list[Task], make: Make) -> None:
    with pytest.raises(TaskNotFound, match="nope"):
        SWEBenchEnv(tasks, task_ids=["nope"], engine=engine)
    with pytest.raises(UsageError, match="rgb_array"):
        SWEBenchEnv(tasks, engine=engine, render_mode="rgb_array")
    with pytest.raises(ConfigError, match="max_step"):
        SWEBenchEnv(tasks, engine=engine, config={"max_step": 3})
    env = make()
    with pytest.raises(ResetNeeded):
        env.step(call("submit"))
    with pytest.raises(UsageError, match="taskid"):
        env.reset(options={"taskid": "x"})
    with pytest.raises(TaskNotFound):
        env.reset(options={"task_id": "x"})
    bare = tasks[0].model_copy(update={"image": None})
    other = SWEBenchEnv([bare], engine=engine)
    with pytest.raises(TaskIncomplete, match="image"):
        other.reset()
    other.close()


def test_rendering_is_harmless_text(engine: Engine, tasks: list[Task], capsys: pytest.CaptureFixture[str]) -> None:
    env = SWEBenchEnv(tasks, engine=engine, render_mode="ansi")
    env.reset()
    env.step(call("shell", command="printf '\\033[31mred\\033]0;title\\007\\n'"))
    shown = env.render()
    env.close()
    assert shown is not None
    assert "red" in shown
    assert "\x1b" not in shown
    human = SWEBenchEnv(tasks, engine=engine, render_mode="human")
    human.reset()
    human.step(call("shell", command="echo seen"))
    human.close()
    assert "seen" in capsys.readouterr().out


def test_wrappers_are_the_users_to_choose(tasks: list[Task], engine: Engine) -> None:
    plain = gymnasium.make("SWEBench-v0", tasks=tasks, engine=engine, wrappers=())
    scored = gymnasium.make("SWEBench-v0", tasks=tasks, engine=engine)
    layers: list[str] = []
    env: Any = scored
    while env is not env.unwrapped:
        layers.append(type(env).__name__)
        env = env.env
    assert RubricReward.__name__ in layers
    assert RubricReward.__name__ not in str(plain)
    plain.close()
    scored.close()


def test_sampled_actions_are_valid(make: Make) -> None:
    env = make()
    env.action_space.seed(3)
    for _ in range(50):
        action = env.action_space.sample()
        assert env.action_space.contains(action)
        assert "explain" not in str(env.tools.parse(action))
        assert type(env.tools.parse(action)).__name__ == "ParsedCall"
    assert env.observation_space.contains("中文 🙂")


@pytest.mark.parametrize("mode", [None, "sync", "async"])
def test_vector_environments_step_and_reset_by_themselves(tasks: list[Task], mode: Any) -> None:
    config = {"max_steps": 2}
    env = gymnasium.make_vec("SWEBench-v0", num_envs=3, vectorization_mode=mode, tasks=tasks, config=config)
    observations, infos = env.reset(seed=7)
    assert all("The area of a triangle" in text for text in observations)
    assert len(infos["task"]["instance_id"]) == 3
    action = tuple(call("shell", command=f"echo ünï {i}") for i in range(3))
    for expected in (False, True):
        observations, rewards, terminated, truncated, infos = env.step(action)
        assert [text.split("\n")[0] for text in observations] == [f"ünï {i}" for i in range(3)]
        assert rewards.shape == (3,)
        assert truncated.tolist() == [expected] * 3
        assert not terminated.any()
    observations, rewards, terminated, truncated, _ = env.step(action)
    assert all("The area of a triangle" in text for text in observations)
    assert not rewards.any()
    assert not (terminated | truncated).any()
    env.close()


def test_our_vector_environment_gives_each_its_task_and_can_reset_in_the_same_step(tasks: list[Task]) -> None:
    ids = [task.instance_id for task in tasks[:2]]
    env = gymnasium.make_vec("SWEBench-v0", num_envs=2, tasks=tasks, config={"max_steps": 1}, autoreset_mode="SameStep")
    _, infos = env.reset(options={"task_id": ids})
    assert infos["task"]["instance_id"].tolist() == ids
    observations, _, _, truncated, infos = env.step([call("shell", command="echo last")] * 2)
    assert truncated.tolist() == [True, True]
    assert all("The area of a triangle" in text for text in observations)
    assert all(text.startswith("last") for text in infos["final_obs"])
    with pytest.raises(UsageError, match="2 environments"):
        env.step(["x"])
    env.close()


def test_a_space_of_text_compares_by_what_it_holds(make: Make) -> None:
    a, b = make().observation_space, make().observation_space
    assert a == b
    assert a != make().action_space
    assert isinstance(a.sample(), str)
    assert not a.contains(np.zeros(3))


def test_config_is_checked(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="max_steps"):
        EnvConfig(max_steps=0)
