"""OpenHands' records become events: V0's rows and event lists, and the SDK's conversations."""

import json
from pathlib import Path

import pytest
from trajectory_hub.errors import Failure, StopReason
from trajectory_hub.rollouts.adapters.exits import read_exit
from trajectory_hub.rollouts.adapters.openhands import ADAPTER as V0
from trajectory_hub.rollouts.adapters.openhands_sdk import ADAPTER as SDK
from trajectory_hub.rollouts.adapters.registry import sample_of
from trajectory_hub.rollouts.payloads import (
    EpisodeEnd,
    EpisodeStart,
    Error,
    FinalPatch,
    LlmRequest,
    LlmResponse,
    Note,
    ToolCall,
    ToolResult,
    Verdict,
)

from .benchmark_records import (
    DIFF,
    TASK,
    openhands_history,
    openhands_pairs,
    openhands_row,
    sdk_events,
    write_json,
    write_lines,
)
from .reading_events import Told, told

DATA = Path(__file__).parents[4] / "shared" / "data"
REAL = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real records are not at {DATA}")


@pytest.fixture
def row(tmp_path: Path) -> Told:
    (only,) = told(V0, write_lines(tmp_path / "output.jsonl", [openhands_row()]))
    return only


def test_a_row_knows_its_task_and_limits(row: Told) -> None:
    episode, (start,) = row.episode, row.payloads(EpisodeStart)
    assert (episode.task_id, episode.repo, episode.commit, episode.model) == (TASK, "acme/tool", "abc", "org/m-1")
    assert (episode.agent_version, episode.timing) == ("0.35.0", "recorded")
    assert (start.observation, start.limits) == ("Mend the bug", {"steps": 50})
    assert start.tools[0]["function"]["name"] == "execute_bash"
    assert start.task["problem_statement"] == "It is broken."


def test_actions_and_observations_are_calls_and_results(row: Told) -> None:
    calls, results = row.payloads(ToolCall), row.payloads(ToolResult)
    assert [call.tool for call in calls] == ["execute_bash", None, "str_replace_editor", "finish"]
    assert calls[0].arguments == {"command": "ls"}
    assert [call.request_id for call in calls] == ["r1", "r1", "r3", "r2"]
    assert [result.error for result in results] == [None, "malformed_action", "failed", None]
    assert (results[0].observation, results[0].exit_code) == ("a.py", 1)
    (timed,) = (item for item in row.timed if item.payload is results[0])
    assert timed.t_start is not None and timed.t_end is not None
    assert (timed.t_end - timed.t_start).total_seconds() == 1.5


def test_answers_have_tokens_times_and_cost(row: Told) -> None:
    first = row.payloads(LlmResponse)[0]
    assert (first.usage.input_tokens, first.usage.cached_input_tokens, first.cost_usd) == (50, 20, 0.5)
    times = next(item for item in row.timed if item.payload is first)
    assert times.t_start is not None
    assert times.t_end is not None
    assert (times.t_end - times.t_start).total_seconds() == 3.0, "the latency that the metrics tell"
    assert [message["role"] for message in row.payloads(LlmRequest)[0].messages] == ["system", "user"]


def test_a_row_ends_with_patch_verdict_and_totals(row: Told) -> None:
    (end,), (verdict,) = row.payloads(EpisodeEnd), row.payloads(Verdict)
    assert (end.stop_reason, end.cost_usd, end.usage.input_tokens) == (StopReason.SUBMITTED, 0.75, 150)
    assert verdict.resolved is True
    assert row.payloads(FinalPatch)[0].patch == DIFF
    assert row.records == len(openhands_history()) + 5, "events, and the row's other members"


def test_pairs_tell_the_same(tmp_path: Path, row: Told) -> None:
    (pairs,) = told(V0, write_lines(tmp_path / "pairs.jsonl", [openhands_row(openhands_pairs())]))
    assert [item for item in pairs.items if item not in row.items] == []
    (listed,) = told(V0, write_json(tmp_path / "events.json", openhands_history()))
    assert listed.payloads(ToolResult) == row.payloads(ToolResult)
    assert listed.records == len(openhands_history())


def test_a_row_may_hold_events_of_the_sdk(tmp_path: Path) -> None:
    (only,) = told(V0, write_lines(tmp_path / "output.jsonl", [openhands_row(sdk_events(), error="stuck in a loop")]))
    assert [call.tool for call in only.payloads(ToolCall)] == ["terminal", "terminal", "finish"]
    (end,) = only.payloads(EpisodeEnd)
    assert (end.stop_reason, end.failure) == (StopReason.POLICY_ERROR, Failure.MODEL)


@pytest.fixture
def talk(tmp_path: Path) -> Told:
    (only,) = told(SDK, write_lines(tmp_path / f"{TASK}.jsonl", sdk_events()))
    return only


def test_actions_of_one_answer_are_told_together(talk: Told) -> None:
    answers, calls = talk.payloads(LlmResponse), talk.payloads(ToolCall)
    assert [len(answer.tool_calls) for answer in answers] == [2, 1]
    assert (answers[0].content, answers[0].reasoning) == ("I look.", "hm")
    assert [call.request_id for call in calls] == ["r1", "r1", "r2"]
    assert calls[0].arguments == {"command": "ls"}
    assert [call.thought for call in calls] == ["hm", None, "hm"]


def test_running_totals_become_what_each_answer_used(talk: Told) -> None:
    first, second = talk.payloads(LlmResponse)
    assert (first.usage.input_tokens, first.usage.cached_input_tokens, first.cost_usd) == (100, 50, 0.2)
    assert (second.usage.input_tokens, second.usage.output_tokens) == (60, 4)
    assert second.cost_usd == pytest.approx(0.1)
    assert talk.payloads(EpisodeEnd)[0].usage.input_tokens == 160
    times = next(item for item in talk.timed if item.payload is first)
    assert times.t_start is not None
    assert times.t_end is not None
    assert (times.t_end - times.t_start).total_seconds() == 4.0, "from the message on, not from the token counts"


def test_results_rejections_and_the_end(talk: Told) -> None:
    done, refused, last = talk.payloads(ToolResult)
    assert (done.observation, done.exit_code, done.data["security_risk"]) == ("a.py", 0, "LOW")
    assert (refused.observation, refused.error) == ("no", "rejected")
    assert last.tool == "finish"
    assert talk.payloads(EpisodeEnd)[0].stop_reason is StopReason.SUBMITTED
    assert "compaction" in [note.kind for note in talk.payloads(Note)]
    assert (talk.records, talk.unread) == (len(sdk_events()), [])
    assert talk.episode.model == "org/m-2"


def test_a_conversation_may_be_a_folder(tmp_path: Path, talk: Told) -> None:
    folder = tmp_path / "conversation"
    for number, event in enumerate(sdk_events()):
        write_json(folder / "events" / f"event-{number:05d}-{event['id']}.json", event)
    write_json(folder / "base_state.json", {"agent": {"llm": {"model": "org/m-9"}}, "max_iterations": 30})
    assert SDK.recognise(sample_of(folder)) == 1.0
    (only,) = told(SDK, folder)
    assert only.payloads(ToolResult) == talk.payloads(ToolResult)
    assert only.episode.model == "org/m-9"
    assert only.payloads(EpisodeStart)[0].limits == {"steps": 30}
    torn = folder / "events" / "event-00005-e5.json"
    torn.write_bytes(torn.read_bytes()[:40])
    (broken,) = told(SDK, folder)
    assert [item.where for item in broken.unread if item.broken]


def test_an_error_of_the_conversation_says_who_is_to_blame(tmp_path: Path) -> None:
    failed = {**sdk_events()[7], "kind": "ConversationErrorEvent", "code": "MaxIterationsReached", "detail": "30"}
    (only,) = told(SDK, write_json(tmp_path / "x.json", [*sdk_events()[:6], failed]))
    assert only.payloads(Error)[0].message == "30"
    assert only.payloads(EpisodeEnd)[0].stop_reason is StopReason.STEP_LIMIT


@pytest.mark.parametrize(
    ("said", "stop", "failure"),
    [
        ("RuntimeError: Agent reached maximum iteration in headless mode", StopReason.STEP_LIMIT, None),
        ("Agent reached maximum budget for conversation", StopReason.COST_LIMIT, None),
        ("AgentStuckInLoopError: Agent got stuck in a loop", StopReason.POLICY_ERROR, Failure.MODEL),
        ("litellm.ContextWindowExceededError: too long", StopReason.TOKEN_LIMIT, Failure.MODEL),
        ("litellm.RateLimitError: 429", StopReason.POLICY_ERROR, Failure.SERVICE),
        ("AgentRuntimeDisconnectedError: gone", StopReason.ENVIRONMENT_ERROR, Failure.ENVIRONMENT),
        ("finished", StopReason.SUBMITTED, None),
        ("paused", StopReason.INTERRUPTED, None),
        ("something new", StopReason.POLICY_ERROR, None),
    ],
)
def test_words_for_the_end(said: str, stop: StopReason, failure: Failure | None) -> None:
    assert read_exit("openhands", said) == (stop, failure)


@REAL
def test_real_rows_and_events() -> None:
    rows = told(V0, DATA / "openhands" / "output.jsonl")
    assert [len(row.payloads(LlmResponse)) for row in rows] == [23, 33, 49]
    with (DATA / "openhands" / "output.jsonl").open() as file:
        counts = [json.loads(line)["metrics"]["token_usages"] for line in file]
    for row, usages in zip(rows, counts, strict=True):
        recorded = [answer.usage.input_tokens for answer in row.payloads(LlmResponse)]
        assert recorded == [usage["prompt_tokens"] for usage in usages][: len(recorded)]
    assert [row.payloads(EpisodeEnd)[0].stop_reason for row in rows][-1] is StopReason.STEP_LIMIT
    (talk,) = told(SDK, DATA / "openhands-sdk" / "events.jsonl")
    assert (talk.records, len(talk.payloads(ToolResult))) == (10, 2)
