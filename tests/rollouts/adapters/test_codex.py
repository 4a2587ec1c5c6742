"""Codex rollouts become events."""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.rollouts.adapters.engine import ingest
from trajectory_hub.rollouts.adapters.reading import moment
from trajectory_hub.rollouts.events import AnyEvent, ToolResultEvent

from .reading_runs import ingested, payloads
from .recorded import at, counted, item, rollout, write


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[AnyEvent]:
    folder = tmp_path_factory.mktemp("codex")
    report, events = ingested(write(folder / "rollout.jsonl", rollout()), folder / "run")
    total = report.total
    assert (total.records, total.broken, total.unread) == (len(rollout()), 0, 0)
    return events


def test_token_counts_end_an_answer(events: list[AnyEvent]) -> None:
    answers = payloads(events, "llm_response")
    assert [answer.request_id for answer in answers] == ["t-1:0", "t-1:1", "t-1:2"]
    first = answers[0]
    assert (first.content, first.reasoning) == ("I look.", "think")
    assert (first.usage.input_tokens, first.usage.cached_input_tokens, first.usage.reasoning_tokens) == (50, 30, 4)
    assert [part.kind for part in first.parts] == ["reasoning", "text", "tool_call", "tool_call", "usage"]
    assert [one["call_id"] for one in first.tool_calls] == ["c1", "c2"]


def test_counts_that_repeat_the_total_are_notes(events: list[AnyEvent]) -> None:
    assert [note.kind for note in payloads(events, "note")].count("token_count") == 1
    assert payloads(events, "episode_end")[0].usage.input_tokens == 150


def test_requests_hold_messages_and_times(events: list[AnyEvent]) -> None:
    first, second, third = payloads(events, "llm_request")
    assert [message["role"] for message in first.messages] == ["developer", "user"]
    assert [(part.kind, part.chars) for part in first.parts] == [("user_message", 4)]
    assert first.parameters["effort"] == "high" and first.model == "gpt-test"
    assert [part.call_id for part in second.parts] == ["c1", "c2"]
    assert third.kept_messages == 0, "compacted"


def test_results(events: list[AnyEvent]) -> None:
    shell, patch, pwd = payloads(events, "tool_result")
    assert (shell.tool, shell.ok, shell.exit_code, shell.internal_ms) == ("exec_command", False, 1, 250)
    assert (patch.tool, patch.ok, patch.observation) == ("apply_patch", True, "Success")
    assert patch.data["success"] is True
    ended = next(event for event in events if isinstance(event, ToolResultEvent) and event.payload.step == 1)
    assert ended.t_end == moment(at(4.1)), "the program knows better than the transcript"
    assert (pwd.tool, pwd.observation) == ("local_shell", "/repo")
    calls = payloads(events, "tool_call")
    assert calls[0].arguments == {"cmd": "ls"} and calls[0].action == '{"cmd":"ls"}' and calls[0].thought == "I look."
    assert calls[1].arguments == {"input": "*** Begin Patch"}


def test_start_and_errors(events: list[AnyEvent]) -> None:
    first = events[0]
    assert (first.repo, first.commit, first.model, first.agent_version) == ("owner/name", "abc", "gpt-test", "0.114.0")
    assert payloads(events, "error")[0].message == "lost"


def test_without_counts_an_answer_ends_where_the_model_goes_on(tmp_path: Path) -> None:
    records = [record for record in rollout() if record["payload"].get("type") != "token_count"]
    _report, events = ingested(write(tmp_path / "r.jsonl", records), tmp_path / "run")
    assert [len(answer.tool_calls) for answer in payloads(events, "llm_response")] == [2, 1, 0]


def test_the_first_shape(tmp_path: Path) -> None:
    """Items without an envelope, as the first versions wrote them."""
    head: dict[str, Any] = {"id": "old", "timestamp": at(0), "instructions": None, "git": {}}
    records: list[Any] = [
        head,
        {"record_type": "state"},
        *(record["payload"] for record in rollout() if record["type"] == "response_item"),
    ]
    report, events = ingested(write(tmp_path / "r.jsonl", records), tmp_path / "run")
    assert report.total.records == len(records) and not report.total.unread
    assert [one.tool for one in payloads(events, "tool_call")] == ["exec_command", "apply_patch", "local_shell"]
    assert events[0].task_id == "old"


def test_a_result_that_only_the_program_tells(tmp_path: Path) -> None:
    records = [record for record in rollout() if record["payload"].get("type") != "custom_tool_call_output"]
    _report, events = ingested(write(tmp_path / "r.jsonl", records), tmp_path / "run")
    told = {result.tool: result.observation for result in payloads(events, "tool_result")}
    assert told["apply_patch"] == "ok"


def test_a_subagent_s_file_repeats_its_parent(tmp_path: Path) -> None:
    """Turns before the subagent began belong to the parent's conversation."""
    source = {"subagent": {"thread_spawn": {"parent_thread_id": "p-0"}}}
    meta = [
        {"timestamp": at(0), "type": "session_meta", "payload": {"id": name, "source": source}}
        for name in ("s-5", "p-0")
    ]
    own = json.loads(json.dumps(rollout()[1:]).replace("t-1", "t-9").replace('call_id": "c', 'call_id": "d'))
    records = [meta[0], meta[1], *json.loads(json.dumps(rollout()[1:]).replace("t-1", "a-1")), *own, counted(9, 900)]
    report, events = ingested(write(tmp_path / "r.jsonl", records), tmp_path / "run")
    threads = {request.request_id.split(":")[0]: request.thread for request in payloads(events, "llm_request")}
    assert threads == {"a-1": "p-0", "t-9": None} and report.total.records == len(records)


def test_sessions_in_one_file(tmp_path: Path) -> None:
    other = json.loads(json.dumps(rollout()).replace("s-1", "s-2"))
    report = ingest([write(tmp_path / "r.jsonl", [*rollout(), *other])], tmp_path / "run")
    assert report.episodes == 2


def test_unknown_items_are_named(tmp_path: Path) -> None:
    records = [
        *rollout(),
        item(9, type="hologram"),
        {"timestamp": at(9), "type": "event_msg", "payload": {"type": "sneeze"}},
    ]
    report, _events = ingested(write(tmp_path / "r.jsonl", records), tmp_path / "run")
    rows = report.formats["codex"]
    assert rows["response_item.hologram"].unread == rows["event_msg.sneeze"].unread == 1
    assert report.total.records == len(records)
