"""SWE-agent's trajectories become events."""

from pathlib import Path

import pytest
from trajectory_hub.errors import Failure, StopReason
from trajectory_hub.rollouts.adapters.exits import read_exit
from trajectory_hub.rollouts.adapters.swe_agent import ADAPTER
from trajectory_hub.rollouts.payloads import (
    EpisodeEnd,
    EpisodeStart,
    FinalPatch,
    LlmRequest,
    LlmResponse,
    Note,
    ToolCall,
    ToolResult,
)

from .benchmark_records import DIFF, TASK, swe_agent, swe_agent_old, write_json
from .reading_events import Told, told

DATA = Path(__file__).parents[4] / "shared" / "data" / "sweagent"
REAL = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real trajectories are not at {DATA}")


@pytest.fixture
def new(tmp_path: Path) -> Told:
    (only,) = told(ADAPTER, write_json(tmp_path / "x.traj", swe_agent()))
    return only


def test_an_episode_knows_its_task_model_and_limits(new: Told) -> None:
    episode, (start,) = new.episode, new.payloads(EpisodeStart)
    assert (episode.task_id, episode.repo, episode.commit, episode.model) == (TASK, "acme/tool", "abc", "gpt-test")
    assert (episode.agent_version, episode.timing) == ("1.1.0", "durations")
    assert start.observation == "Mend the bug"
    assert start.task == {"problem_statement": "It is broken."}
    assert (start.limits, start.sandbox) == ({"cost_usd": 3.0}, {"image": "an/image"})


def test_steps_are_calls_and_results(new: Told) -> None:
    first, refused, blocked = new.payloads(ToolCall)
    assert (first.tool, first.arguments, first.action, first.call_id) == ("bash", {"command": "ls"}, "ls", "c1")
    assert (refused.tool, refused.malformed, refused.action) == (None, True, "no action here")
    assert (blocked.tool, blocked.malformed) == ("bash", False)
    results = new.payloads(ToolResult)
    assert [result.observation for result in results] == ["a.py", "", ""]
    assert [(result.ok, result.error) for result in results] == [
        (True, None),
        (False, "malformed_action"),
        (False, "not_executed"),
    ]
    assert results[0].data["state"] == {"open_file": "n/a", "working_dir": "/repo"}
    took = [item.duration_ms for item in new.timed if isinstance(item.payload, ToolResult)]
    assert took == [500.0, 0.0, 0.0]


def test_requests_tell_only_what_each_query_adds(new: Told) -> None:
    first, second, third = new.payloads(LlmRequest)
    assert [message["role"] for message in first.messages] == ["system", "user"]
    assert (second.kept_messages, [message["role"] for message in second.messages]) == (2, ["assistant", "tool"])
    assert (third.kept_messages, third.messages) == (4, ())
    assert new.payloads(LlmResponse)[0].tool_calls[0]["id"] == "c1"


def test_why_it_was_stopped_is_a_note_and_the_end_has_the_totals(new: Told) -> None:
    notes = {note.kind: note.data for note in new.payloads(Note)}
    assert notes["exit"]["observation"] == "Exited (autosubmitted)"
    assert notes["replay_config"]["env"]["repo"]["base_commit"] == "abc"
    assert "submission" not in notes["info"]
    (end,), (patch,) = new.payloads(EpisodeEnd), new.payloads(FinalPatch)
    assert (end.stop_reason, end.failure, end.message) == (StopReason.COST_LIMIT, None, "submitted (exit_cost)")
    assert (end.usage.input_tokens, end.usage.output_tokens, end.cost_usd, end.requests) == (100, 20, 1.5, 3)
    assert (patch.patch, patch.files, patch.lines_added) == (DIFF, ("a.py",), 1)


def test_every_step_and_member_is_one_record(new: Told) -> None:
    assert new.records == 4 + 3
    assert not new.unread


def test_old_trajectories_take_their_messages_from_the_history(tmp_path: Path) -> None:
    (only,) = told(ADAPTER, write_json(tmp_path / f"{TASK}.traj", swe_agent_old()))
    first, second = only.payloads(LlmRequest)
    assert [message["content"] for message in first.messages] == ["Be good.", "A demonstration", "Mend the bug"]
    assert second.kept_messages == 3
    assert [message["role"] for message in second.messages] == ["assistant", "user"]
    assert [call.tool for call in only.payloads(ToolCall)] == ["bash", "submit"]
    assert only.payloads(ToolResult)[0].data["state"]["working_dir"] == "/repo"
    assert (only.episode.timing, only.episode.task_id) == ("none", TASK)
    assert only.payloads(EpisodeEnd)[0].cost_usd == 0.1


def test_a_history_alone_gives_steps(tmp_path: Path) -> None:
    (only,) = told(ADAPTER, write_json(tmp_path / "x.traj", {"history": swe_agent()["history"]}))
    assert [call.action for call in only.payloads(ToolCall)] == ["ls"]
    assert [result.observation for result in only.payloads(ToolResult)] == ["a.py\n(Open file: n/a)"]
    assert only.records == 4
    assert not only.payloads(EpisodeEnd)


def test_attempts_are_episodes(tmp_path: Path) -> None:
    attempt = swe_agent()
    whole = {"attempts": [attempt, attempt], "info": {"best_attempt_idx": 1, "exit_status": "submitted"}}
    first, second = told(ADAPTER, write_json(tmp_path / "x.traj", whole))
    assert [first.episode.key, second.episode.key] == ["attempt-1", "attempt-2"]
    assert [one.payloads(EpisodeStart)[0].attempt for one in (first, second)] == [1, 2]
    assert len(second.payloads(ToolCall)) == 3


@pytest.mark.parametrize("field", ["trajectory", "history", "info", "replay_config"])
@pytest.mark.parametrize("value", [None, 7, "text", {"a": 1}, [1, None, "x", []]])
def test_members_of_another_type_do_no_harm(tmp_path: Path, field: str, value: object) -> None:
    (only,) = told(ADAPTER, write_json(tmp_path / "x.traj", {**swe_agent(), field: value}))
    assert only.payloads(EpisodeStart)


@pytest.mark.parametrize(
    ("said", "stop", "failure"),
    [
        ("submitted", StopReason.SUBMITTED, None),
        ("submitted (exit_context)", StopReason.TOKEN_LIMIT, Failure.MODEL),
        ("exit_format", StopReason.POLICY_ERROR, Failure.MODEL),
        ("exit_command", StopReason.POLICY_ERROR, Failure.MODEL),
        ("submitted (exit_command_timeout)", StopReason.TIME_LIMIT, None),
        ("exit_total_execution_time", StopReason.TIME_LIMIT, None),
        ("exit_api", StopReason.POLICY_ERROR, Failure.SERVICE),
        ("exit_environment_error", StopReason.ENVIRONMENT_ERROR, Failure.ENVIRONMENT),
        ("early_exit", StopReason.EARLY_STOPPED, None),
        ("something new", StopReason.POLICY_ERROR, None),
        (None, StopReason.INTERRUPTED, None),
    ],
)
def test_exit_statuses(said: str | None, stop: StopReason, failure: Failure | None) -> None:
    assert read_exit("swe-agent", said) == (stop, failure)


@REAL
def test_real_trajectories() -> None:
    new = told(ADAPTER, DATA / "marshmallow-code__marshmallow-1867.function_calling.traj")[0]
    assert [call.tool for call in new.payloads(ToolCall)][:4] == ["create", "edit", "bash", "bash"]
    assert new.payloads(FinalPatch)[0].files == ("src/marshmallow/fields.py",)
    assert new.payloads(EpisodeEnd)[0].cost_usd is None, "tokens and cost of a replay are no zeros"
    old = told(ADAPTER, DATA / "pydicom__pydicom-1458.traj")[0]
    assert len(old.payloads(ToolCall)) == 12
    assert old.payloads(EpisodeEnd)[0].cost_usd == 1.26719
    assert sum(len(request.messages) for request in old.payloads(LlmRequest)) == 25
    assert told(ADAPTER, DATA / "function_calling_simple.traj")[0].records == 12
