"""What the tables say of an episode is what its log says, counted slowly."""

from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import Failure
from trajectory_hub.rewards.service.usage import default_prices
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.tables.clock import measure, split
from trajectory_hub.rollouts.tables.episode import EpisodeRows, read_rows

from .naive import covered, events_of, moment, of_type
from .world import Happening, answered, asked, ended, start, stepped, write_episode

PARTS = ("model_ms", "tool_ms", "environment_ms", "human_ms", "idle_ms")


def _rows(folder: Path) -> EpisodeRows:
    rows, problems = read_rows(folder, default_prices())
    assert not problems
    return rows


def _made(tmp_path: Path, *happenings: Happening, **header: Any) -> EpisodeRows:
    return _rows(write_episode(tmp_path / "run", happenings, **header))


def _one(tmp_path: Path, *happenings: Happening, **header: Any) -> dict[str, Any]:
    return _made(tmp_path, *happenings, **header)["episodes"][0]


@pytest.mark.parametrize("run", ["recorded", "reference"])
def test_recorded_episodes_equal_a_slow_count(run: str, request: pytest.FixtureRequest) -> None:
    folders = sorted((request.getfixturevalue(run) / "episodes").iterdir())
    for folder in folders:
        events, rows = events_of(folder), _rows(folder)
        row, results = rows["episodes"][0], of_type(events, "tool_result")
        end, verdict = of_type(events, "episode_end")[0], of_type(events, "verdict")[-1]
        assert row["steps"] == row["tool_calls"] == len(results) == end["payload"]["steps"] == len(rows["steps"])
        assert row["malformed_actions"] == end["payload"]["malformed_actions"]
        assert row["mean_reward"] == end["payload"]["mean_reward"]
        assert row["resolved"] == verdict["payload"]["resolved"] and row["graded"]
        assert row["wall_ms"] == pytest.approx(moment(end, "t_end") - moment(end, "t_start"), abs=0.01)
        assert sum(row[part] for part in PARTS) == pytest.approx(row["wall_ms"], abs=1e-6)
        assert row["tool_ms"] == pytest.approx(covered(results), abs=1.0 + len(results) * 0.1)
        assert row["environment_ms"] >= row["reset_ms"] - 5
        known = [m["payload"]["cpu_s"] for m in of_type(events, "sandbox_metric") if m["payload"]["cpu_s"] is not None]
        assert row["cpu_s"] == (pytest.approx(sum(known)) if known else None)
        rewards = [event["payload"]["reward"] for event in of_type(events, "step_reward")]
        assert [step["reward"] for step in rows["steps"]] == rewards
        assert row["patch_files"] == of_type(events, "final_patch")[0]["payload"]["files"]
        assert row["format"] == "trajhub" and row["cost_usd"] == 0.0 and row["requests"] == 0


def test_parallel_tools_count_once(tmp_path: Path) -> None:
    row = _one(
        tmp_path,
        start("recorded"),
        asked(0, 0.0),
        answered(0, 0.0, 2.0, calls=2),
        *stepped(0, 2.0, 5.0),
        *stepped(1, 2.0, 4.0),
        *stepped(2, 4.5, 6.0),
        ended(10.0),
    )
    assert [row[part] for part in PARTS] == [2_000.0, 4_000.0, 0.0, 0.0, 4_000.0]
    assert row["wall_ms"] == 10_000.0


def test_a_subagent_at_work_is_a_model_at_work(tmp_path: Path) -> None:
    row = _one(
        tmp_path,
        start("recorded"),
        asked(0, 0.0),
        answered(0, 0.0, 1.0),
        asked(1, 1.5, thread="sub"),
        answered(1, 1.5, 4.5, calls=0),
        *stepped(0, 1.0, 5.0, tool="Task", request_id="r0"),
        ended(5.0),
    )
    assert (row["model_ms"], row["tool_ms"], row["idle_ms"]) == (4_000.0, 1_000.0, 0.0)


def test_people_are_waited_for_after_an_answer_without_a_call(tmp_path: Path) -> None:
    rows = _made(
        tmp_path,
        start("recorded"),
        asked(0, 0.0, said=1),
        answered(0, 0.0, 2.0, calls=0),
        asked(1, 12.0, said=1, at_s=11.0),
        answered(1, 12.0, 13.0),
        *stepped(0, 13.0, 14.0),
        asked(2, 15.0),
        answered(2, 15.0, 16.0, calls=0),
        ended(20.0),
    )
    row, requests = rows["episodes"][0], rows["requests"]
    assert [row[part] for part in PARTS] == [4_000.0, 1_000.0, 0.0, 9_000.0, 6_000.0]
    assert row["user_messages"] == 2
    assert [(one.get("gap_ms"), one.get("human_ms")) for one in requests] == [
        (None, None),
        (10_000.0, 9_000.0),
        (2_000.0, 0.0),
    ]
    assert [one.get("first_step") for one in requests] == [None, 0, None]
    assert [one["repeated_tokens"] for one in requests] == [0, 100, 100]


def test_our_own_episodes_wait_for_nobody(tmp_path: Path) -> None:
    row = _one(
        tmp_path,
        start(),
        asked(0, 0.0),
        answered(0, 0.0, 2.0, calls=0),
        asked(1, 12.0),
        answered(1, 12.0, 13.0),
        ended(20.0),
    )
    assert row["human_ms"] == 0.0 and row["idle_ms"] == 17_000.0


def test_what_has_no_times_has_no_durations(tmp_path: Path) -> None:
    rows = _made(tmp_path, start("none"), asked(0, 0.0), answered(0, 0.0, 0.0), *stepped(0, 0.0, 0.0), ended(0.0))
    row = rows["episodes"][0]
    assert {name: row.get(name) for name in (*PARTS, "wall_ms", "t_start", "t_end")} == dict.fromkeys(
        (*PARTS, "wall_ms", "t_start", "t_end")
    )
    assert rows["steps"][0]["tool_ms"] is None and rows["requests"][0]["model_ms"] is None


def test_durations_alone_are_added_up(tmp_path: Path) -> None:
    row = _one(tmp_path, start("durations"), *stepped(0, 0.0, 2.0), *stepped(1, 2.0, 3.5), ended(3.5))
    assert row["tool_ms"] == 3_500.0 and row.get("wall_ms") is None and row["model_ms"] is None


def test_costs_are_recorded_or_priced_or_unknown(tmp_path: Path) -> None:
    priced = _one(tmp_path / "a", start("recorded"), answered(0, 0, 1, tokens=(1_000_000, 100_000)), ended(2))
    assert (priced["cost_usd"], priced["cost_source"]) == (pytest.approx(1.25 + 1.0), "prices")
    unknown = _one(tmp_path / "b", start("recorded"), answered(0, 0, 1), answered(1, 1, 2, model="mine"), ended(3))
    assert (unknown["cost_usd"], unknown["cost_source"]) == (None, None)
    told = _one(tmp_path / "c", start("recorded"), answered(0, 0, 1, model="mine"), ended(2, cost_usd=0.5, requests=1))
    assert (told["cost_usd"], told["cost_source"]) == (0.5, "recorded")
    nobody = _one(tmp_path / "d", start("recorded"), *stepped(0, 0, 1), ended(2))
    assert (nobody["cost_usd"], nobody["requests"]) == (None, None)


def test_reverts_are_seen_by_content_by_text_and_by_command(tmp_path: Path) -> None:
    def edit(step: int, old: str, new: str) -> list[Happening]:
        pieces = {"file_path": "/testbed/a.py", "old_string": old, "new_string": new}
        return stepped(step, step, step + 0.5, tool="Edit", arguments=pieces)

    rows = _made(
        tmp_path,
        start("recorded"),
        *edit(0, "x = 1", "x = 2"),
        *edit(1, "x = 2", "x = 1"),
        *edit(2, "y = 1", "y = 2"),
        *stepped(3, 3, 3.5, "git checkout a.py"),
        *stepped(4, 4, 4.5, "git checkout untouched.py"),
        ended(9),
    )
    assert [row["reverted"] for row in rows["steps"]] == [False, True, False, True, False]
    assert rows["episodes"][0]["reverts"] == 2 and rows["episodes"][0]["files_edited"] == ["a.py", "untouched.py"]


def test_steps_say_what_they_did(tmp_path: Path) -> None:
    rows = _made(
        tmp_path,
        start("recorded"),
        asked(0, 0),
        answered(0, 0, 1),
        *stepped(0, 1, 2, "grep -rn area src"),
        *stepped(1, 3, 4, "pytest -q", saw="== 2 failed, 5 passed in 0.1s ==", exit_code=1),
        *stepped(2, 4, 5, "pytest -q", saw="== 7 passed in 0.1s =="),
        *stepped(3, 5, 6, "python run.py", saw="Traceback (most recent call last):\n  x\n", exit_code=None),
        *stepped(4, 6, 7, tool="AskUserQuestion", arguments={"q": "?"}),
        ended(9),
    )
    steps, row = rows["steps"], rows["episodes"][0]
    assert [step["action"] for step in steps] == ["search", "test", "test", "run", "other"]
    assert [step["failed"] for step in steps] == [False, True, False, True, False]
    assert [(step["tests_passed"], step["tests_failed"]) for step in steps[:3]] == [(None, None), (5, 2), (7, 0)]
    assert [step["repeated"] for step in steps] == [False, False, True, False, False]
    assert steps[1]["signature"] == steps[2]["signature"] and len(steps[1]["signature"]) == 16
    assert [step["request"] for step in steps] == [0] * 5
    assert [step.get("gap_ms") for step in steps] == [None, 1_000.0, 0.0, 0.0, 0.0]
    assert (row["tests_run"], row["tests_passed_last"], row["tool_failures"]) == (2, 7, 2)
    assert [step["phase"] for step in steps[:3]] == ["explore", "reproduce", "reproduce"]


def test_samples_add_up_and_are_weighted_by_time(tmp_path: Path) -> None:
    def sample(when: float, memory: int, **more: object) -> Happening:
        return payloads.SandboxMetric.of(scope="sample", memory_bytes=memory, **more), when, when

    rows = _made(
        tmp_path,
        start("recorded"),
        *stepped(0, 1.0, 3.0),
        sample(1.0, 100, cpu_percent=50.0),
        sample(2.0, 300, cpu_percent=50.0),
        sample(5.0, 100, cpu_s=3.0, wall_ms=3000.0, energy_j=30.0, power_w=10.0),
        ended(6),
    )
    row, samples = rows["episodes"][0], rows["samples"]
    assert [one["cpu_s"] for one in samples] == [None, 0.5, 3.0] and row["cpu_s"] == 3.5
    assert [one["cpu_pct"] for one in samples] == [50.0, 50.0, 100.0]
    assert row["memory_peak_bytes"] == 300 and row["memory_mean_bytes"] == (100 * 1 + 300 * 3) / 4
    assert [one["step"] for one in samples] == [0, 0, None]
    assert row["energy_j"] == 30.0 and samples[0]["energy_j"] is None


def test_who_is_to_blame_and_what_counts(tmp_path: Path) -> None:
    row = _one(tmp_path, start(), ended(2, failure=Failure.ENVIRONMENT, join={"share": 0.75}))
    assert (row["failure"], row["excluded"], row["join_quality"], row["graded"]) == ("environment", True, 0.75, False)


def test_compactions_break_what_is_repeated(tmp_path: Path) -> None:
    note: Happening = (payloads.Note.of(kind="compaction", source="claude-code"), 3, 3)
    rows = _made(
        tmp_path, start("recorded"), asked(0, 0), answered(0, 0, 1), note, asked(1, 4), answered(1, 4, 5), ended(6)
    )
    assert rows["episodes"][0]["compactions"] == 1
    assert [row["repeated_tokens"] for row in rows["requests"]] == [0, None]


def test_a_later_verdict_does_not_lengthen_an_episode(tmp_path: Path) -> None:
    verdict: Happening = (payloads.Verdict.of(resolved=True, outcome="resolved"), 500.0, 600.0)
    row = _one(tmp_path, start(), *stepped(0, 1, 2, tool="shell"), ended(5.0), verdict)
    assert row["wall_ms"] == 5_000.0 and row["resolved"] is True


def test_time_is_split_exactly() -> None:
    assert measure([(0, 5), (3, 9), (20, 30)], (2, 25)) == 12
    assert split((0, 10), [[(1, 4)], [(2, 6), (5, 8)], [(0, 100)]]) == [3, 4, 3, 0]
    assert split((0, 10), [[], []]) == [0, 0, 10]
    assert split((10, 5), [[(0, 20)]]) == [0, 0]


def test_the_workdir_is_found_in_the_task(tmp_path: Path) -> None:
    told = {"problem_statement": "<uploaded_files>\n/workspace/lib\n</uploaded_files>\nFix it."}
    begin = payloads.EpisodeStart.of(origin=None, task=told)
    rows = _made(
        tmp_path,
        (begin, 0, 0),
        *stepped(0, 1, 2, tool="file_read", arguments={"path": "/workspace/lib/a.py"}, data={"start": 1, "end": 9}),
        ended(5),
    )
    assert rows["steps"][0]["paths"] == ["a.py"] and rows["episodes"][0]["files_read"] == ["a.py"]


def test_dollars_are_told_by_kind_of_token(tmp_path: Path) -> None:
    usage = payloads.Usage(
        input_tokens=1000, cached_input_tokens=600, cache_creation_tokens=100, output_tokens=50, reasoning_tokens=20
    )
    answer = payloads.LlmResponse.of(request_id="r0", model="claude-sonnet-4-5", content="x", usage=usage)
    rows = _made(tmp_path, start("recorded"), asked(0, 0), (answer, 0.0, 1.0), ended(2))
    price = default_prices().price("claude-sonnet-4-5")
    assert price is not None and price.cached_input is not None and price.cache_creation is not None
    expected = {
        "cost_input_usd": 300 * price.input / 1e6,
        "cost_cached_usd": 600 * price.cached_input / 1e6,
        "cost_cache_creation_usd": 100 * price.cache_creation / 1e6,
        "cost_output_usd": 50 * price.output / 1e6,
        "cost_reasoning_usd": 20 * price.output / 1e6,
    }
    for row in (rows["requests"][0], rows["episodes"][0]):
        assert {name: row[name] for name in expected} == pytest.approx(expected)
        whole = sum(row[f"cost_{kind}_usd"] for kind in ("input", "cached", "cache_creation", "output"))
        assert row["cost_usd"] == pytest.approx(whole)


def test_a_model_without_a_price_costs_nothing_known(tmp_path: Path) -> None:
    row = _one(tmp_path, start("recorded"), asked(0, 0), answered(0, 0, 1, model="nobody-knows"), ended(2))
    assert {row[name] for name in row if name.startswith("cost_") and name != "cost_source"} == {None}
    assert row["cost_source"] is None


def test_counts_of_the_whole_are_priced_where_no_request_is_told(tmp_path: Path) -> None:
    usage = payloads.Usage(input_tokens=1000, output_tokens=100)
    row = _one(tmp_path, start("none"), ended(2, usage=usage), model="gpt-5")
    price = default_prices().price("gpt-5")
    assert price is not None
    assert (row["cost_usd"], row["cost_source"]) == (pytest.approx(price.cost(usage)), "prices")
    assert row["cost_output_usd"] == pytest.approx(100 * price.output / 1e6)


def test_an_outcome_without_a_course_has_no_counts(tmp_path: Path) -> None:
    row = _one(tmp_path, start("none"), (payloads.Verdict.of(resolved=True, outcome="resolved"), 0.0, 0.0), ended(0))
    assert row["resolved"] is True
    assert {row.get(name) for name in ("steps", "tool_calls", "edits", "tests_run", "files_read")} == {None}
