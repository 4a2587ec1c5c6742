"""Claude Code transcripts become events."""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import Failure, StopReason
from trajectory_hub.rollouts.adapters.base import Sample
from trajectory_hub.rollouts.adapters.claude_code import ADAPTER
from trajectory_hub.rollouts.adapters.engine import ingest
from trajectory_hub.rollouts.adapters.reading import moment
from trajectory_hub.rollouts.events import AnyEvent
from trajectory_hub.rollouts.trajectory import read_trajectories

from .reading_runs import ingested, payloads
from .recorded import SESSION, at, call, claude, lines, returned, said, transcript, write


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[AnyEvent]:
    folder = tmp_path_factory.mktemp("claude")
    report, events = ingested(write(folder / "session.jsonl", transcript()), folder / "run")
    total = report.total
    assert (total.records, total.broken, total.unread) == (len(transcript()), 0, 1)
    assert report.formats["claude-code"]["assistant.content.server_tool_use"].unread == 1
    return events


def test_it_is_recognised_by_its_content() -> None:
    assert ADAPTER.recognise(Sample(path=Path("x"), head=lines(transcript()))) > 0.9
    assert ADAPTER.recognise(Sample(path=Path("session.jsonl"), head=b'{"type": "user"}\n')) == 0


def test_pieces_of_one_message_are_one_answer(events: list[AnyEvent]) -> None:
    answers = payloads(events, "llm_response")
    assert [answer.request_id for answer in answers] == [f"msg_{n}" for n in range(1, 7)]
    first = answers[0]
    assert (first.content, first.reasoning, first.model) == ("I look.", "hm", "claude-test-1")
    assert [one["id"] for one in first.tool_calls] == ["toolu_1", "toolu_2"]
    assert [part.kind for part in first.parts] == ["reasoning", "text", "tool_call", "tool_call"]
    assert first.parts[-1].at == moment(at(6))
    assert first.model_extra["api_request_id"] == "req_1"


def test_usage_that_is_repeated_counts_once(events: list[AnyEvent]) -> None:
    usage = payloads(events, "llm_response")[0].usage
    assert (usage.input_tokens, usage.cached_input_tokens, usage.cache_creation_tokens) == (123, 100, 20)
    assert usage.output_tokens == 40, "the first piece holds a place-holder"
    assert payloads(events, "episode_end")[0].usage.output_tokens == 6 * 40


def test_requests_hold_what_is_new(events: list[AnyEvent]) -> None:
    first, second = payloads(events, "llm_request")[:2]
    assert [message["content"] for message in first.messages] == ["mend the bug"]
    assert first.kept_messages == 0 and second.kept_messages == 1
    assert [message["role"] for message in second.messages] == ["assistant", "user", "user"]
    assert [(part.kind, part.call_id) for part in second.parts] == [
        ("tool_result", "toolu_1"),
        ("tool_result", "toolu_2"),
    ]


def test_calls_and_results_are_steps_with_times(events: list[AnyEvent]) -> None:
    calls, results = payloads(events, "tool_call"), payloads(events, "tool_result")
    assert [one.tool for one in calls] == ["Bash", "Read", "Task", "Grep", "Bash"]
    assert [one.step for one in calls] == list(range(5))
    assert calls[0].arguments == {"command": "ls"} and calls[0].thought == "I look." and calls[1].thought is None
    assert calls[0].request_id == "msg_1"
    bash, read, failed = results[0], results[1], results[-1]
    assert (bash.ok, bash.exit_code, bash.observation) == (True, 0, "a.py")
    assert read.observation == "x = 1" and read.internal_ms == 12 and read.model_extra["raw_chars"] == 32
    assert (failed.ok, failed.error, failed.exit_code) == (False, "tool_error", 2)
    took = [event.duration_ms for event in events if event.event_type == "tool_result"]
    assert took[0] == 500 and took[-1] == 1000


def test_a_subagent_is_a_thread(events: list[AnyEvent]) -> None:
    threads = {request.request_id: request.thread for request in payloads(events, "llm_request")}
    assert threads["msg_3"] == threads["msg_4"] == "c1"
    assert {threads[f"msg_{n}"] for n in (1, 2, 5, 6)} == {None}
    request = next(one for one in payloads(events, "llm_request") if one.request_id == "msg_5")
    assert request.kept_messages == 0, "the conversation was compacted"
    assert [message["content"] for message in request.messages] == ["so far…"]


def test_errors_of_the_service_are_errors_and_failed_attempts(events: list[AnyEvent]) -> None:
    (error,) = payloads(events, "error")
    assert (error.kind, error.message, error.failure) == ("api_error", "busy", Failure.SERVICE)
    (attempt,) = payloads(events, "llm_response")[1].failed_attempts
    assert (attempt.status, attempt.waited_s) == (529, 0.5)


def test_the_rest_are_notes(events: list[AnyEvent]) -> None:
    notes = [note.kind for note in payloads(events, "note")]
    assert sorted(notes) == ["compaction", "mode", "permission_mode", "summary", "turn_duration"]


def test_start_and_end(events: list[AnyEvent]) -> None:
    start, end = payloads(events, "episode_start")[0], payloads(events, "episode_end")[0]
    assert start.task["problem_statement"] == "mend the bug" and start.sandbox["workdir"] == "/repo"
    assert (start.origin.format, start.origin.key, start.origin.timing) == ("claude-code", SESSION, "recorded")
    assert (end.stop_reason, end.steps, end.requests, end.cost_usd) == (StopReason.SUBMITTED, 5, 6, None)
    assert (events[0].agent, events[0].agent_version, events[0].model) == ("claude-code", "2.1.0", "claude-test-1")


def test_it_is_a_trajectory(tmp_path: Path) -> None:
    ingest([write(tmp_path / "s.jsonl", transcript())], tmp_path / "run")
    (trajectory,) = read_trajectories(tmp_path / "run")
    assert [step.tool for step in trajectory.steps] == ["Bash", "Read", "Task", "Grep", "Bash"]


def test_files_of_subagents_are_read_along(tmp_path: Path) -> None:
    side = [{**record, "agentId": "agent7"} for record in transcript() if record.get("isSidechain")]
    main = [record for record in transcript() if not record.get("isSidechain")]
    write(tmp_path / "p" / f"{SESSION}.jsonl", main)
    write(tmp_path / "p" / SESSION / "subagents" / "agent-agent7.jsonl", side)
    report, events = ingested(tmp_path / "p", tmp_path / "run")
    assert report.sources == 1 and report.total.records == len(transcript())
    assert {request.thread for request in payloads(events, "llm_request")} == {None, "agent7"}
    order = [one.request_id for one in payloads(events, "llm_request")]
    assert order == [f"msg_{n}" for n in range(1, 7)], "by time"


def test_files_of_subagents_beside_their_session_are_read_along(tmp_path: Path) -> None:
    side = [record for record in transcript() if record.get("isSidechain")]
    write(tmp_path / "p" / f"{SESSION}.jsonl", [r for r in transcript() if not r.get("isSidechain")])
    write(tmp_path / "p" / "agent-7.jsonl", side)
    report, _events = ingested(tmp_path / "p", tmp_path / "run")
    assert report.sources == 1 and report.total.records == len(transcript())


def test_a_file_of_several_sessions_is_several_episodes(tmp_path: Path) -> None:
    other = json.loads(json.dumps(transcript()).replace(SESSION, "other").replace("msg_", "msg_o"))
    write(tmp_path / "both.jsonl", [*transcript(), *other])
    report = ingest([tmp_path / "both.jsonl"], tmp_path / "run")
    assert report.episodes == 2 and report.total.records == 2 * len(transcript())


def test_printed_streams_tell_their_end(tmp_path: Path) -> None:
    records: list[Any] = [
        {"type": "system", "subtype": "init", "session_id": "s", "cwd": "/repo", "claude_code_version": "2.1"},
        {"type": "assistant", "session_id": "s", "message": {"id": "m", "model": "x", "content": [call(1, "Bash")]}},
        {"type": "result", "subtype": "error_max_turns", "session_id": "s", "total_cost_usd": 0.25, "is_error": True},
    ]
    report, events = ingested(write(tmp_path / "out.jsonl", records), tmp_path / "run")
    end = payloads(events, "episode_end")[0]
    assert (end.stop_reason, end.cost_usd) == (StopReason.STEP_LIMIT, 0.25) and report.total.records == 3
    assert payloads(events, "episode_start")[0].origin.timing == "none"


def test_what_is_odd_is_kept_or_named(tmp_path: Path) -> None:
    """An answer told twice, a result without a call, a refusal, a person's interruption, an unknown type."""
    synthetic = {"model": "<synthetic>", "content": "API Error"}
    refused = "The user doesn't want to proceed with this tool use. The tool use was rejected"
    records = [
        claude("user", 0, "u1", None, message={"role": "user", "content": "go"}),
        said(1, "a1", "u1", "m1", call(1, "Bash", command="rm")),
        returned(2, "u2", "a1", 1, refused, "Error", block={"is_error": True}),
        said(3, "a2", "u2", "m2", {"type": "text", "text": "ok"}),
        said(4, "a3", "a2", "m1", {"type": "text", "text": "again"}),
        returned(5, "u3", "a3", 99, "nothing asked", None),
        claude("user", 6, "u4", "u3", message={"role": "user", "content": "[Request interrupted by user]"}),
        claude("hologram", 7, "x", "u4", message={}),
        claude("assistant", 8, "e", "x", message=synthetic, isApiErrorMessage=True),
    ]
    report, events = ingested(write(tmp_path / "s.jsonl", records), tmp_path / "run")
    kinds = [note.kind for note in payloads(events, "note")]
    assert kinds.count("repeated_answer") == kinds.count("permission") == kinds.count("user_interrupt") == 1
    assert kinds.count("unanswered") == 1
    assert payloads(events, "tool_result")[0].error == "rejected"
    assert payloads(events, "error")[0].message == "API Error"
    row = report.formats["claude-code"]["hologram of another shape"]
    assert row.unread == 1 and row.first == "s.jsonl: line 8"
    assert report.total.records == len(records)
