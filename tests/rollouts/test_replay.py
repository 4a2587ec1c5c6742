"""Replay against the real engine: a run repeats itself, edits are found where they were made, branches go on."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.grader import Grader, GraderConfig
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
from trajectory_hub.envs.step import Step
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError, ReplayDiverged, StopReason, TaskNotFound, UsageError
from trajectory_hub.rollouts import load_config, read_trajectory, run_rollout
from trajectory_hub.rollouts.policies.base import Action
from trajectory_hub.rollouts.policies.scripted import ScriptedPolicy
from trajectory_hub.rollouts.replay import (
    EpisodeReplay,
    Match,
    Prefix,
    branch,
    read_replays,
    replay_run,
    sandbox_at,
    summarise_replays,
)
from trajectory_hub.rollouts.replay.report import Hint
from trajectory_hub.rollouts.run_dir import read_episodes

pytestmark = pytest.mark.docker

SUBMIT: dict[str, Any] = {"name": "submit", "arguments": {}}
FIX = {
    "path": "shapes/area.py",
    "old": "    return rectangle(base, height)",
    "new": "    return rectangle(base, height) / 2",
}
TRIANGLE = "python3 -c 'from shapes.area import triangle; print(triangle(3, 4))'"


def shell(command: str, **more: Any) -> Action:
    return Action(call={"name": "shell", "arguments": {"command": command, **more}})


WORK = [
    shell(TRIANGLE),
    Action(call={"name": "file_edit", "arguments": FIX}, thought="halve it"),
    shell(TRIANGLE),
    Action(call={"name": "run_tests", "arguments": {"tests": ["tests/test_shapes.py"]}}),
    shell("date -u +%FT%T.%6N; date; python3 -c 'print(object())'; mktemp; ls -la ."),
    Action(call="no call at all"),
    Action(call=SUBMIT),
]
CHANCE = 4
"""The step that differs each time, in ways that mean nothing."""


@pytest.fixture(scope="module")
def graded(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graded run of one episode."""
    run = tmp_path_factory.mktemp("graded") / "run"
    config = load_config({"tasks": "tiny", "warm": 0, "grade": True})
    run_rollout(run, config, policy=ScriptedPolicy({"default": WORK}), tasks=[tiny_task])
    return run


@pytest.fixture
def recorded(graded: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may edit."""
    return Path(shutil.copytree(graded, tmp_path / "run"))


def episode_of(run: Path) -> Path:
    (episode,) = read_episodes(run)
    return episode.folder


def replayed(run: Path, task: Task, engine: Engine, **more: Any) -> EpisodeReplay:
    (row,) = replay_run(run, tasks=[task], engine=engine, **more)
    return row


def edit(run: Path, kind: str, change: Callable[[dict[str, Any]], None], step: int | None = None) -> None:
    """Change the payload of one event by hand."""
    path = episode_of(run) / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    for number, line in enumerate(lines):
        event = json.loads(line)
        if event["event_type"] == kind and (step is None or event["payload"]["step"] == step):
            change(event["payload"])
            lines[number] = json.dumps(event) + "\n"
    path.write_text("".join(lines))


def test_a_run_repeats_itself(recorded: Path, tiny_task: Task, engine: Engine) -> None:
    row = replayed(recorded, tiny_task, engine)
    assert row.problem is None
    by_step = [step.match for step in row.steps]
    assert by_step[CHANCE] is Match.EQUIVALENT, row.steps[CHANCE]
    assert set(row.steps[CHANCE].normalisers) == {"timestamps", "addresses", "temporary_paths"}
    assert {match for number, match in enumerate(by_step) if number not in (3, CHANCE)} == {Match.IDENTICAL}
    assert row.steps[3].match is not Match.DIVERGED
    assert row.patch is not None and row.verdict is not None and row.end is not None
    assert (row.patch.match, row.verdict.match, row.end.match) == (Match.IDENTICAL,) * 3
    assert (row.rewards.checked, row.rewards.note) == (len(WORK), None)
    assert (row.first, row.forced) == (None, ())
    assert list(read_replays(recorded)) == [row]


def test_finished_replays_are_kept_until_the_record_changes(recorded: Path, tiny_task: Task, engine: Engine) -> None:
    first = replayed(recorded, tiny_task, engine, grade=False)
    assert first.verdict is None
    assert replayed(recorded, tiny_task, engine, grade=False) == first
    with (recorded / "replay.jsonl").open("a") as file:
        file.write('{"torn')
    graded = replayed(recorded, tiny_task, engine)
    assert graded.verdict is not None
    again = replayed(recorded, tiny_task, engine, again=True)
    assert again.replayed_at > graded.replayed_at
    edit(recorded, "tool_result", lambda payload: payload.update(observation="no"), step=0)
    assert replayed(recorded, tiny_task, engine).match is Match.DIVERGED
    assert len(list(read_replays(recorded))) == 1


def check(row: EpisodeReplay, where: str, step: int | None, field: str, hint: Hint) -> None:
    assert row.match is Match.DIVERGED
    assert row.first is not None
    assert (row.first.where, row.first.step, row.first.field, row.first.hint) == (where, step, field, hint)


def test_an_edited_observation_is_found(recorded: Path, tiny_task: Task, engine: Engine) -> None:
    edit(recorded, "tool_result", lambda p: p.update(observation=p["observation"].replace("6", "5")), step=2)
    row = replayed(recorded, tiny_task, engine, grade=False)
    check(row, "step", 2, "observation", Hint.NUMBERS)
    assert "-5" in row.steps[2].differences[0].diff
    assert "+6" in row.steps[2].differences[0].diff
    assert row.place == "step 2 (shell), observation"
    assert row.first is not None and row.first.chance is False


def test_chance_is_told_from_another_record(tiny_task: Task, engine: Engine, tmp_path: Path) -> None:
    random = "python3 -c 'import random; print(random.random())'"
    policy = ScriptedPolicy({"default": [shell("pwd"), shell(random), shell(random)]})
    run_rollout(tmp_path / "run", load_config({"tasks": "tiny", "warm": 0}), policy=policy, tasks=[tiny_task])
    row = replayed(tmp_path / "run", tiny_task, engine)
    assert [step.hint for step in row.steps] == [None, Hint.NUMBERS, Hint.AFTERMATH, None]
    assert row.first is not None and (row.first.step, row.first.chance) == (1, True)
    summary = summarise_replays([row])
    assert [(item.where, item.episodes, item.chance) for item in summary.classes] == [("shell", 1, 1)]
    unsure = replayed(tmp_path / "run", tiny_task, engine, again=True, repeats=0)
    assert unsure.first is not None and unsure.first.chance is None


def test_an_edited_action_is_found(recorded: Path, tiny_task: Task, engine: Engine) -> None:
    def other(payload: dict[str, Any]) -> None:
        payload["action"] = payload["action"].replace("triangle(3, 4)", "triangle(3, 8)")

    edit(recorded, "tool_call", other, step=2)
    row = replayed(recorded, tiny_task, engine, grade=False)
    check(row, "step", 2, "arguments.command", Hint.NUMBERS)


def test_an_action_edited_with_its_arguments_is_found_by_what_it_does(
    recorded: Path, tiny_task: Task, engine: Engine
) -> None:
    def other(payload: dict[str, Any]) -> None:
        payload["arguments"]["new"] = "    return rectangle(base, height) / 4"
        payload["action"] = json.dumps({"name": "file_edit", "arguments": payload["arguments"], "thought": "halve it"})

    edit(recorded, "tool_call", other, step=1)
    row = replayed(recorded, tiny_task, engine)
    check(row, "step", 1, "observation", Hint.NUMBERS)
    assert {item.field for item in row.steps[1].differences} >= {"observation", "data.after_sha256"}
    assert row.steps[2].hint is Hint.AFTERMATH
    assert row.patch is not None and row.verdict is not None
    assert (row.patch.match, row.verdict.match) == (Match.DIVERGED, Match.DIVERGED)


def test_an_edited_reward_is_found(recorded: Path, tiny_task: Task, engine: Engine) -> None:
    edit(recorded, "step_reward", lambda payload: payload.update(reward=0.987), step=3)
    row = replayed(recorded, tiny_task, engine, grade=False)
    check(row, "step", 3, "reward", Hint.REWARD)
    assert "0.987" in row.steps[3].differences[-1].diff
    assert row.end is not None and row.end.differences[0].field == "mean_reward"
    assert summarise_replays([row]).rewards_diverged == 1


def test_an_edited_patch_is_found_in_the_log_and_in_its_file(recorded: Path, tiny_task: Task, engine: Engine) -> None:
    folder = episode_of(recorded)
    file = folder / "patch.diff"
    whole = file.read_text()
    file.write_text(whole.replace("/ 2", "/ 3"))
    row = replayed(recorded, tiny_task, engine)
    check(row, "patch", None, "patch.diff", Hint.RECORD)
    edit(recorded, "final_patch", lambda payload: payload.update(patch=whole.replace("/ 2", "/ 3")))
    row = replayed(recorded, tiny_task, engine)
    assert row.first is not None and (row.first.where, row.first.field) == ("patch", "patch")
    assert row.patch is not None and row.verdict is not None
    assert [item.field for item in row.patch.differences] == ["patch", "sha256"]
    # the tests were right about the patch that the steps lead to, which is not the one that is recorded
    assert [item.field for item in row.verdict.differences] == ["patch_sha256"]


def test_an_edited_verdict_is_found(recorded: Path, tiny_task: Task, engine: Engine) -> None:
    edit(recorded, "verdict", lambda payload: payload.update(resolved=False, outcome="tests_failed"))
    row = replayed(recorded, tiny_task, engine)
    check(row, "verdict", None, "resolved", Hint.TESTS)


def test_other_tasks_and_images_are_refused_by_name(recorded: Path, tiny_task: Task, engine: Engine) -> None:
    other = tiny_task.model_copy(update={"problem_statement": "Something else."})
    with pytest.raises(ConfigError, match="task trajhub__tiny-1: digest"):
        replayed(recorded, other, engine)
    manifest = json.loads((recorded / "run.json").read_text())
    manifest["images"] = {tiny_task.image: "sha256:" + "0" * 64}
    (recorded / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match=f"image {tiny_task.image}: sha256:0000"):
        replayed(recorded, tiny_task, engine)
    row = replayed(recorded, tiny_task, engine, force=True, grade=False)
    assert row.match is not Match.DIVERGED
    assert len(row.forced) == 1
    with pytest.raises(TaskNotFound, match="tiny"):
        replay_run(recorded, engine=engine)
    with pytest.raises(UsageError, match="has no episode with id 'nobody'"):
        replayed(recorded, tiny_task, engine, episode="nobody")


def test_an_environment_goes_on_from_the_middle_of_an_episode(recorded: Path, tiny_task: Task, tmp_path: Path) -> None:
    parent = read_trajectory(episode_of(recorded))
    branches = tmp_path / "branches"
    with gymnasium.make("SWEBench-v0", tasks=[tiny_task], record=str(branches), config={"max_steps": 4}) as env:
        observation, info = env.reset(options={"replay": episode_of(recorded), "until": 2})
        prefix = info["replayed"]
        assert isinstance(prefix, Prefix)
        assert observation == parent.steps[1].observation
        assert (info["step_index"], prefix.diverged, len(prefix.steps)) == (2, (), 2)
        _, reward, terminated, truncated, info = env.step({"name": "shell", "arguments": {"command": TRIANGLE}})
        assert (terminated, truncated) == (False, False)
        assert info["step"].index == 2
        assert info["step"].observation == parent.steps[2].observation
        told = parent.rewards[2]
        assert told is not None and reward == told.reward  # the rubric knows what came before
        assert env.step("again")[3] is True  # four steps in all: the limit counts those of the parent
    (folder,) = (episode.folder for episode in read_episodes(branches))
    child = read_trajectory(folder)
    assert child.start.parent is not None
    assert child.start.parent.model_dump() == {
        "episode_id": parent.header.episode_id,
        "run_id": parent.header.run_id,
        "steps": 2,
    }
    assert [step.action for step in child.steps[:3]] == [step.action for step in parent.steps[:3]]
    assert [reward.reward for reward in child.rewards[:3] if reward] == [
        reward.reward for reward in parent.rewards[:3] if reward
    ]
    assert child.end is not None and child.end.stop_reason is StopReason.STEP_LIMIT
    assert child.patch is not None and "/ 2" in child.patch.patch


def test_a_branch_is_a_whole_trajectory_that_can_be_replayed(
    recorded: Path, tiny_task: Task, engine: Engine, tmp_path: Path
) -> None:
    branches = tmp_path / "branches"
    with gymnasium.make("SWEBench-v0", tasks=[tiny_task], record=str(branches)) as env:
        branch(env, read_trajectory(episode_of(recorded)))
        _, _, terminated, _, info = env.step(SUBMIT)
        assert terminated
        assert "/ 2" in info["final_patch"]
    row = replayed(branches, tiny_task, engine)
    assert row.match is not Match.DIVERGED
    assert len(row.steps) == len(WORK)


def test_a_prefix_that_diverges_is_refused_naming_the_step(recorded: Path, tiny_task: Task, tmp_path: Path) -> None:
    edit(recorded, "tool_result", lambda payload: payload.update(exit_code=7), step=2)
    branches = tmp_path / "branches"
    with gymnasium.make("SWEBench-v0", tasks=[tiny_task], record=str(branches)) as env:
        with pytest.raises(ReplayDiverged, match=r"step 2 \(shell\).*exit_code") as refused:
            env.reset(options={"replay": str(episode_of(recorded)), "until": 4})
        assert (refused.value.step, refused.value.field) == (2, "exit_code")
        env.reset(options={"replay": str(episode_of(recorded)), "until": 2})
        options = {"replay": str(episode_of(recorded)), "until": 4, "allow_divergence": True}
        _, info = env.reset(options=options)
        assert info["replayed"].diverged == (2,)
    ends = [episode.end for episode in read_episodes(branches)]
    assert [end.stop_reason if end else None for end in ends] == [StopReason.INTERRUPTED] * 3
    assert any(end is not None and "step 2 (shell)" in (end.message or "") for end in ends)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replay": "steps", "until": 99}, "`until` must be between 0 and 7"),
        ({"replay": "steps", "until": 7}, r"step 6 ends the episode \(submitted\)"),
        ({"replay": "steps", "until": "2"}, "`until` is a number of steps"),
        ({"replay": 3}, "an episode's folder, a Trajectory, or a sequence of steps"),
        ({"until": 2}, "give `replay` with them"),
        ({"replay": "trajectory", "task_id": "other"}, "not of 'other'"),
        ({"replay": "/nowhere"}, "is not an episode"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    recorded: Path, tiny_task: Task, options: dict[str, Any], message: str
) -> None:
    found = read_trajectory(episode_of(recorded))
    sources: dict[Any, Any] = {"steps": found.steps, "trajectory": found}
    if "replay" in options:
        options = {**options, "replay": sources.get(options["replay"], options["replay"])}
    with gymnasium.make("SWEBench-v0", tasks=[tiny_task]) as env, pytest.raises(UsageError, match=message):
        env.reset(options=options)


def test_bare_steps_and_wrappers_of_ones_own_will_do(recorded: Path, tiny_task: Task) -> None:
    steps = read_trajectory(episode_of(recorded)).steps
    env = gymnasium.make("SWEBench-v0", tasks=[tiny_task], wrappers=(), max_episode_steps=3)
    with env:
        _, info = branch(env, steps, 2, options={"task_id": tiny_task.instance_id})
        assert info["replayed"].parent.model_dump() == {"episode_id": None, "run_id": None, "steps": 2}
        assert env.step({"name": "shell", "arguments": {"command": "true"}})[3] is True


def test_time_spent_on_the_replay_does_not_count(tiny_task: Task) -> None:
    with gymnasium.make("SWEBench-v0", tasks=[tiny_task], config={"time_limit": 2.0}) as env:
        env.reset()
        step: Step = env.step({"name": "shell", "arguments": {"command": "sleep 1.2"}})[-1]["step"]
        branch(env, [step, replace(step, index=1)])
        assert env.step({"name": "shell", "arguments": {"command": "true"}})[2:4] == (False, False)


def test_a_live_sandbox_at_any_step(recorded: Path, tiny_task: Task, engine: Engine) -> None:
    for until, shown in ((1, "12"), (2, "6.0")):
        with sandbox_at(episode_of(recorded), tiny_task, engine, until) as sandbox:
            assert sandbox.run(TRIANGLE).text.strip() == shown
    before = {box["Id"] for box in engine.containers()}
    with sandbox_at(episode_of(recorded), tiny_task, engine, 0) as sandbox:
        assert sandbox.container_id not in before
    assert sandbox.container_id not in {box["Id"] for box in engine.containers()}


ALIKE = (
    "env | sort",
    "locale 2>/dev/null || true",
    "ls -lA /testbed",
    "ls -l /testbed/shapes",
    "python3 -c 'print(list({str(n) for n in range(50)}))'",
    "python3 -c 'import shutil, time; print(shutil.get_terminal_size(), time.tzname)'",
    "git -C /testbed log --date=local",
    "hostname; whoami; umask; ulimit -a; ls /proc/self/fd | wc -l",
    "find /testbed -name '*.py'",
)


def test_two_sandboxes_say_the_same(tiny_task: Task, engine: Engine) -> None:
    config = SandboxConfig(image=tiny_task.require_image(), base_commit=tiny_task.base_commit)
    said = list[list[str]]()
    for _ in range(2):
        with Sandbox(engine, config) as sandbox:
            said.append([sandbox.run(command).text for command in ALIKE])
    for command, first, second in zip(ALIKE, *said, strict=True):
        assert first == second, command
    assert "TIME_STYLE=long-iso" in said[0][0]
    assert re.search(r" \d{4}-\d\d-\d\d \d\d:\d\d area.py", said[0][3]), "the form of a date depends on its age"


def test_the_grader_finds_the_environment_of_the_image(tiny_task: Task, engine: Engine) -> None:
    """What makes an agent's commands alike is not there when the deciding tests run."""
    first, _, rest = (tiny_task.eval_script or "").partition("\n")
    nosy = tiny_task.model_copy(
        update={"eval_script": f'{first}\necho "seen:${{TIME_STYLE-}}${{PAGER-}}$LANG"\n{rest}'}
    )
    verdict = Grader(engine, GraderConfig(canaries=False)).grade(nosy, tiny_task.patch)
    assert verdict.resolved
    assert "seen:C.UTF-8\n" in verdict.log
