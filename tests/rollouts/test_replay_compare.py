"""Comparing without a container: normalisers, steps, rewards, patches, totals."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.step import Step
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.rewards.rubric import Rubric
from trajectory_hub.rollouts import Trajectory, read_trajectories
from trajectory_hub.rollouts.payloads import CriterionRecord, StepReward
from trajectory_hub.rollouts.replay.compare import compare_step
from trajectory_hub.rollouts.replay.normalise import NORMALISERS, Clock, needed, normalise
from trajectory_hub.rollouts.replay.parts import compare_end, compare_patch
from trajectory_hub.rollouts.replay.report import Cause, EpisodeReplay, Hint, Match, StepReplay
from trajectory_hub.rollouts.replay.rewards import WRAPPER, check_rewards
from trajectory_hub.rollouts.replay.summary import summarise_replays
from trajectory_hub.tools.base import Telemetry
from trajectory_hub.tools.registry import ToolRegistry

RUNS = Path(__file__).parents[1] / "data" / "runs-1.0"
TINY = Path(__file__).parents[1] / "data" / "tiny"
THEN = datetime(2026, 11, 21, 11, 40, 24, tzinfo=UTC)
NOW = datetime(2027, 2, 3, 9, 5, 0, tzinfo=UTC)
CLOCKS = Clock.around(THEN, THEN), Clock.around(NOW, NOW)

PAIRS = [
    ("durations", "=== 5 passed in 0.12s ===", "= 5 passed in 112.03s (0:01:52) ="),
    ("durations", "Ran 3 tests in 0.003s", "Ran 3 tests in 0.01s"),
    ("durations", "real\t0m0.012s", "real\t1m3.1s"),
    ("durations", "[timed out after 3 s; killed]", "[timed out after 2.99871 s; killed]"),
    ("durations", "took 12 ms, 3.5 MB/s", "took 1.5 ms, 14 MB/s"),
    ("timestamps", "2026-11-21 11:40:24,512 start", "2027-02-03 09:04:59,001 start"),
    ("timestamps", "-rw-r--r-- 1 root root 9 Nov 21 11:40 a", "-rw-r--r-- 1 root root 9 Feb  3 09:04 a"),
    ("timestamps", "Sat Nov 21 11:40:20 UTC 2026", "Wed Feb  3 09:04:58 UTC 2027"),
    ("timestamps", "Date: Sat, 21 Nov 2026 11:40:20 +0000", "Date: Wed, 03 Feb 2027 09:04:58 +0000"),
    ("timestamps", "built 2026-11-21", "built 2027-02-03"),
    ("timestamps", "at 11:39:58 ok", "at 09:04:01 ok"),
    ("timestamps", f"t={int(THEN.timestamp())}.25", f"t={int(NOW.timestamp())}.5"),
    ("addresses", "<Foo object at 0x7f12ab34cd50>", "<Foo object at 0x7ffff7e01230>"),
    ("pids", "worker pid 412 died", "worker pid 97 died"),
    ("pids", "sshd[12]: ready", "sshd[7]: ready"),
    ("temporary_paths", "/tmp/tmpab12cd_4/x.py", "/tmp/tmpzz98yx11/x.py"),
    ("temporary_paths", "/tmp/pytest-of-root/pytest-0/a", "/tmp/pytest-of-root/pytest-3/a"),
    ("temporary_paths", "/tmp/tmp.Xy12Zw34Ab", "/tmp/tmp.AAbb11CCdd"),
    ("uuids", "id 123e4567-e89b-12d3-a456-426614174000", "id 00000000-e89b-12d3-a456-426614174999"),
    ("commit_ids", "[main 3f2a1b4] fix", "[main 99aabbc] fix"),
    ("commit_ids", "3f2a1b4 fix\n341a8db base", "99aabbc fix\n341a8db base"),
    ("cut", "a\nhead 12\n[... 512 bytes left out ...]\ntail x\nend", "a\nhea\n[... 515 bytes left out ...]\nx\nend"),
]


@pytest.mark.parametrize(("name", "recorded", "replayed"), PAIRS)
def test_a_normaliser_makes_two_runs_equal_and_is_named(name: str, recorded: str, replayed: str) -> None:
    assert normalise(recorded, CLOCKS[0]) == normalise(replayed, CLOCKS[1])
    assert needed(recorded, replayed, *CLOCKS) == (name,)


def test_every_normaliser_is_tried() -> None:
    assert {name for name, _, _ in PAIRS} == set(NORMALISERS)


@pytest.mark.parametrize(
    ("recorded", "replayed"),
    [
        ("Date: 2019-05-05 10:00:00 +0000", "Date: 2020-05-05 10:00:00 +0000"),
        ("-rw-r--r-- 1 root root 9 Jan  5  2019 a", "-rw-r--r-- 1 root root 9 Jan  6  2019 a"),
        ("x = 5\ny = 0.5", "x = 6\ny = 0.5"),
        ("3 passed in 0.12s", "4 passed in 0.10s"),
        ("retry after 30 s", "retry after 60 s"),
        ("/tmp/first/x", "/tmp/other/x"),
        ("13:61:00", "13:62:00"),
        ("return 0xff", "return 0xfe"),
        ("deadbee is a word", "feedbee is a word in it"),
    ],
)
def test_what_the_clock_or_chance_did_not_write_stays_different(recorded: str, replayed: str) -> None:
    assert normalise(recorded, CLOCKS[0]) != normalise(replayed, CLOCKS[1])


def test_a_time_of_the_image_that_is_as_old_as_the_run_is_no_difference() -> None:
    recorded = "total 8\n1 root 2026-11-21 10:50 old.py 0x7f12ab34cd50\n1 root 2026-11-21 11:40 new.py"
    replayed = "total 8\n1 root 2026-11-21 10:50 old.py 0x7f99ab34cd50\n1 root 2027-02-03 09:05 new.py"
    assert needed(recorded, replayed, *CLOCKS) == ("addresses", "timestamps")


def test_two_dates_of_the_past_that_change_places_are_a_difference() -> None:
    recorded, replayed = "a 2019-05-05\nb 2020-06-06", "a 2020-06-06\nb 2019-05-05"
    assert needed(recorded, replayed, *CLOCKS) is None


def test_two_normalisers_that_are_both_needed_are_both_named() -> None:
    recorded, replayed = "0x7f12ab34cd50 in 0.1s", "0x7f12ab34ffff in 0.2s"
    assert needed(recorded, replayed, *CLOCKS) == ("addresses", "durations")


def step(tool: str = "shell", **fields: Any) -> Step:
    """A step as recorded."""
    values: dict[str, Any] = {"action": "{}", "observation": "", "ok": True, "index": 0, "duration_ms": 1.0}
    values |= {"telemetry": Telemetry(wall_ms=1.0), "t_start": THEN, "t_end": THEN} | fields
    return Step(tool=tool, **values)


def compared(recorded: Step, **changes: Any) -> StepReplay:
    """Against a replay of it that differs in some fields."""
    again = replace(recorded, **({"t_start": NOW, "t_end": NOW, "duration_ms": 2.0} | changes))
    return compare_step(recorded, again, (THEN, NOW), ToolRegistry())


def test_the_same_step_is_identical_whatever_it_cost() -> None:
    found = compared(step(observation="x", exit_code=0, data={"command": "ls", "n": 1}))
    assert (found.match, found.differences, found.recorded_ms, found.replayed_ms) == (Match.IDENTICAL, (), 1.0, 2.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tool", "git"),
        ("arguments", {"command": "ls -l"}),
        ("thought", "hm"),
        ("ok", False),
        ("error", "not_found"),
        ("exit_code", 1),
        ("observation", "y"),
        ("data", {"after_sha256": "b"}),
    ],
)
def test_each_field_is_compared_and_named(field: str, value: Any) -> None:
    recorded = step(arguments={"command": "ls"}, observation="x", exit_code=0, data={"after_sha256": "a"})
    found = compared(recorded, **{field: value})
    assert found.match is Match.DIVERGED
    assert (found.cause or "").split(".")[0] == field
    assert len(found.differences) == 1
    assert "-" in found.differences[0].diff and "+" in found.differences[0].diff


def test_the_first_field_that_differs_is_the_cause() -> None:
    found = compared(step(exit_code=0, observation="ok", data={"a": 1}), exit_code=2, observation="no", data={"a": 2})
    assert found.cause == "exit_code"
    assert [item.field for item in found.differences] == ["exit_code", "observation", "data.a"]


def test_order_means_nothing_where_the_tool_says_so() -> None:
    walk = step(observation="b\na\n[exit code 0]", data={"command": "find . -name '*.py'"})
    found = compared(walk, observation="a\nb\n[exit code 0]")
    assert (found.match, found.normalisers) == (Match.EQUIVALENT, ("order",))
    first = step(observation="b\na\n[exit code 0]", data={"command": "find . | head -2"})
    found = compared(first, observation="a\nb\n[exit code 0]")
    assert (found.match, found.hint) == (Match.DIVERGED, Hint.ORDER)


def shell(text: str, digest: str, **fields: Any) -> Step:
    """A shell step whose facts hold a digest of its output."""
    data = {"command": "make", "output_sha256": digest, "output_bytes": 9}
    return step(observation=text, data=data | fields.pop("data", {}), **fields)


def test_a_digest_of_the_output_follows_the_observation() -> None:
    recorded = shell("done in 0.10s", "a")
    changed = {"command": "make", "output_sha256": "b", "output_bytes": 9}
    found = compared(recorded, observation="done in 0.20s", data=changed)
    assert (found.match, found.normalisers) == (Match.EQUIVALENT, ("durations",))
    found = compared(recorded, data=changed)
    assert (found.match, found.cause) == (Match.DIVERGED, "data.output_sha256")
    long = shell("a\n[... 500 bytes left out ...]\nz", "a")
    found = compared(long, data=changed)
    assert (found.match, found.normalisers) == (Match.EQUIVALENT, ("unseen_output",))


def test_flaky_tests_are_called_tests() -> None:
    data = {"tests": {"t::a": "PASSED", "t::b[<f at 0x7f12ab34cd50>]": "PASSED"}}
    recorded = step("run_tests", observation="2 passed", data=data)
    renamed = {"tests": {"t::a": "PASSED", "t::b[<f at 0x7f99ab34cd50>]": "PASSED"}}
    found = compared(recorded, data=renamed)
    assert (found.match, found.normalisers) == (Match.EQUIVALENT, ("addresses",))
    failed = {"tests": {"t::a": "PASSED", "t::b[<f at 0x7f99ab34cd50>]": "FAILED"}}
    found = compared(recorded, observation="1 passed, 1 failed", data=failed)
    assert (found.cause, found.hint) == ("observation", Hint.TESTS)
    cause = Cause(where="step", step=0, field="observation", hint=Hint.TESTS, chance=True)
    about = {"run_id": "r", "episode_id": "e", "task_id": "t", "replayed_at": NOW}
    row = EpisodeReplay.model_validate(about | {"match": found.match, "first": cause, "steps": (found,)})
    (alike,) = summarise_replays([row]).classes
    assert (alike.where, alike.episodes, alike.chance) == ("run_tests", 1, 1)
    assert alike.tests == ("t::b[<f at <address>>]",)


def test_a_killed_command_may_have_written_more_or_less() -> None:
    end = "[timed out after 3 s; the command and all it started were killed]"
    recorded = step(observation=f"1\n2\n3\n{end}", ok=False, error="timeout")
    found = compared(recorded, observation=f"1\n2\n3\n4\n{end}")
    assert (found.match, found.normalisers) == (Match.EQUIVALENT, ("killed_output",))
    found = compared(recorded, observation=f"1\nother\n{end}")
    assert found.match is Match.DIVERGED
    found = compared(recorded, observation="1\n2\n3\n4\n[exit code 0]", ok=True, error=None)
    assert (found.cause, found.hint) == ("ok", Hint.LIMIT)


def test_a_lost_sandbox_is_called_so() -> None:
    recorded = step(observation="[the sandbox was lost]", ok=False, error="sandbox_lost")
    assert compared(recorded, observation="fine", ok=True, error=None).hint is Hint.SANDBOX
    assert compared(recorded, ok=True, error=None, data={"tests": {"t::a": "PASSED"}}).hint is Hint.SANDBOX


def test_only_numbers_differ() -> None:
    assert compared(step(observation="total 48"), observation="total 52").hint is Hint.NUMBERS


def trajectories() -> Sequence[Trajectory]:
    """Of a real run."""
    return list(read_trajectories(RUNS / "reference"))


def test_a_real_patch_and_its_totals_agree_with_themselves() -> None:
    for found in trajectories():
        assert found.patch is not None
        part, end = compare_patch(found, found.patch.patch, CLOCKS), compare_end(found)
        assert part is not None and end is not None
        assert (part.match, end.match) == (Match.IDENTICAL, Match.IDENTICAL)


def test_a_patch_that_differs_in_a_recorded_time_is_equivalent_and_one_in_its_ids_alone_is_not() -> None:
    found = trajectories()[0]
    assert found.patch is not None
    text = "diff --git a/log b/log\nindex 11aa..22bb 100644\n--- a/log\n+++ b/log\n@@ -0,0 +1 @@\n+at {}\n"
    recorded = found.patch.model_copy(update={"patch": text.format("2026-11-21 11:40:00")})
    again = text.format("2027-02-03 09:04:00").replace("22bb", "33cc")
    part = compare_patch(replace(found, patch=recorded, folder=None), again, CLOCKS)
    assert part is not None
    first = part.differences[0]
    assert (first.field, first.match, first.normalisers) == ("patch", Match.EQUIVALENT, ("timestamps", "content_ids"))
    forged = recorded.patch.replace("22bb", "33cc")
    part = compare_patch(replace(found, patch=recorded, folder=None), forged, CLOCKS)
    assert part is not None and part.differences[0].match is Match.DIVERGED


def test_totals_that_do_not_follow_from_the_steps_are_named() -> None:
    found = trajectories()[0]
    assert found.end is not None
    edited = replace(found, end=found.end.model_copy(update={"mean_reward": 0.99}))
    part = compare_end(edited)
    assert part is not None
    assert [(item.field, item.hint) for item in part.differences] == [("mean_reward", Hint.RECORD)]


def test_times_of_both_runs_are_those_of_their_own_episode() -> None:
    late = Clock.around(THEN, THEN + timedelta(minutes=30))
    assert normalise("12:05:00", late) == "<time>"
    assert normalise("12:30:00", late) == "12:30:00"


@pytest.fixture
def scored_task() -> Task:
    """The task of the recorded runs, as far as rules look at it."""
    return Task(
        instance_id="trajhub__tiny-1",
        repo="trajhub/tiny",
        base_commit=trajectories()[0].header.commit,
        patch=(TINY / "gold.patch").read_text(),
        test_patch=(TINY / "test.patch").read_text(),
        problem_statement="The area of a triangle is twice what it should be.",
        FAIL_TO_PASS=("tests/test_shapes.py::test_triangle",),
        test_command="python3 -m pytest -rA -p no:cacheprovider",
        provenance=Provenance(source="task_repo"),
    )


def test_rewards_computed_again_are_those_recorded(scored_task: Task) -> None:
    for found in trajectories():
        check, differing = check_rewards(found, scored_task, (WRAPPER,), Rubric())
        recorded_by = {item.layer for reward in found.rewards if reward for item in reward.criteria}
        if recorded_by == {Rubric().version}:
            assert (check.checked, check.note, differing) == (len(found.steps), None, {})
        else:
            assert (check.checked, differing) == (0, {})
            assert check.note is not None and "is not computed again" in check.note


def test_an_edited_reward_is_found_at_its_step(scored_task: Task) -> None:
    found = trajectories()[0]
    again = Rubric().score(scored_task, found.steps)
    rewards = [
        StepReward(
            step=score.index,
            reward=score.reward,
            criteria=tuple(CriterionRecord.of(criterion=name, **item) for name, item in score.scores().items()),
            process=score.process.as_dict(),
        )
        for score in again
    ]
    rewards[2] = rewards[2].model_copy(update={"reward": 1.0})
    criteria = tuple(item.model_copy(update={"score": 0.123}) for item in rewards[4].criteria)
    rewards[4] = rewards[4].model_copy(update={"criteria": criteria})
    _, differing = check_rewards(replace(found, rewards=tuple(rewards)), scored_task, (WRAPPER,), Rubric())
    assert sorted(differing) == [2, 4]
    assert [item.field for item in differing[2]] == ["reward"]
    assert {item.field for item in differing[4]} == {f"criteria.{item.criterion}.score" for item in criteria}
    assert {item.hint for item in differing[2] + differing[4]} == {Hint.REWARD}


def test_rewards_of_others_are_not_compared(scored_task: Task) -> None:
    check, differing = check_rewards(trajectories()[0], scored_task, ("mine:Reward",), Rubric())
    assert (check.checked, differing) == (0, {})
    assert check.note == "the run was not scored by RubricReward"
