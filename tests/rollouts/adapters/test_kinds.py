"""Every kind of record that a producer's own source can write becomes an event, is kept as a note, or is named."""

from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.adapters.registry import adapters

from .benchmark_records import write_json
from .reading_events import Told, told
from .recorded import SESSION, at, claude, item, write
from .recorded_gemini import header, message

CLAUDE = """
agent-color agent-name agent-setting ai-title api-request api-request-blob api-request-resumed api-request-shape
artifact-autoreact-ledger artifact-comment-monitor atis-latch attachment attribution-snapshot bridge-session
content-replacement continued-in cost-state custom-title data-flow-incomplete data-flow-records derived-from dev-mods
ended-by-model file-history-delta file-history-snapshot fork-context-ref frame-link history-suppression host-row
hybrid-organization isolation-latch last-prompt memory-mode mode observer-ref permission-mode pr-link progress
queue-operation relocated repl-mode resume-head-vouch session-owner summary tag tools-used worktree-state
""".split()
"""The table of its own readers and writers, Claude Code 2.1.330; `user`, `assistant` and `system` besides."""
CLAUDE_SYSTEM = """
agents_killed api_error away_summary bridge_status compact_boundary file_snapshot informational local_command
memory_saved model_fallback permission_retry scheduled_task_fire stop_hook_summary thinking_tokens turn_duration
""".split()
"""Subtypes of `system`, Claude Code 2.1.330: some of those that its transcripts hold."""
CLAUDE_BLOCKS = "container_upload mcp_tool_result mcp_tool_use server_tool_use web_search_tool_result".split()
"""Blocks of an answer that the service works off itself (the API's reference)."""

CODEX_LINES = """
inter_agent_communication inter_agent_communication_metadata realtime_item security_risk_score token_usage_record
world_state compacted turn_context
""".split()
"""Variants of `RolloutItem`, Codex 0.169.0; `session_meta`, `response_item` and `event_msg` besides."""
CODEX_ITEMS = """
message agent_message reasoning local_shell_call function_call tool_search_call function_call_output custom_tool_call
custom_tool_call_output tool_search_output web_search_call image_generation_call configuration_update ghost_snapshot
compaction compaction_trigger context_compaction
""".split()
"""Variants of `ResponseItem`, Codex 0.169.0 and before."""
CODEX_EVENTS = """
error warning guardian_warning auth_recovery_started auth_recovery_completed realtime_conversation_started
realtime_conversation_realtime realtime_conversation_closed realtime_conversation_sdp model_reroute model_verification
turn_moderation_metadata safety_buffering context_compacted thread_rolled_back task_started thread_settings_applied
task_complete token_count agent_message user_message injected_message agent_reasoning agent_reasoning_raw_content
agent_reasoning_section_break session_configured environment_connected environment_disconnected thread_goal_updated
thread_name_updated thread_queue_changed mcp_startup_update mcp_startup_complete mcp_tool_call_begin mcp_tool_call_end
web_search_begin web_search_end image_generation_begin image_generation_end exec_command_begin
exec_command_output_delta terminal_interaction exec_command_end view_image_tool_call exec_approval_request
request_permissions request_user_input dynamic_tool_call_request dynamic_tool_call_response elicitation_request
elicitation_abandoned apply_patch_approval_request guardian_assessment deprecation_notice background_event
stream_error patch_apply_begin patch_apply_updated patch_apply_end turn_diff plan_update turn_aborted
shutdown_complete entered_review_mode exited_review_mode raw_response_item raw_response_completed item_started
item_completed hook_started hook_completed agent_message_content_delta plan_delta reasoning_content_delta
reasoning_raw_content_delta collab_agent_spawn_begin collab_agent_spawn_end collab_agent_interaction_begin
collab_agent_interaction_end collab_waiting_begin collab_waiting_end collab_close_begin collab_close_end
collab_resume_begin collab_resume_end sub_agent_activity
""".split()
"""Variants of `EventMsg`, Codex 0.169.0."""

GEMINI = {
    "header": header(),
    "user": message(1, "user", "u", "go"),
    "gemini": message(1, "gemini", "g", "done", model="m", tokens={"input": 1, "output": 1}),
    "info": message(1, "info", "i", "a hint"),
    "warning": message(1, "warning", "w", "careful"),
    "error": message(1, "error", "e", "[API Error]"),
    "$rewindTo": {"$rewindTo": "u"},
    "$set": {"$set": {"lastUpdated": at(1)}},
    "$set.messages": {"$set": {"messages": [message(1, "user", "u", "go")]}},
    "$set.summary": {"$set": {"summary": "s"}},
    "$set.directories": {"$set": {"directories": ["/repo"]}},
    "$set.memoryScratchpad": {"$set": {"memoryScratchpad": {"version": 1}}},
    "$set.sessionId": {"$set": {"sessionId": "s"}},
}
"""What the service that records chats appends, Gemini CLI 0.61.0."""
GEMINI_STATUSES = "validating scheduled error success executing cancelled awaiting_approval".split()
"""Of a call, Gemini CLI 0.61.0."""


def _read(name: str, records: list[dict[str, Any]], folder: Path) -> Told:
    (only,) = told(adapters().adapters[name], write(folder / "x.jsonl", records))
    assert only.records == len(records)
    return only


def _known(read: Told) -> None:
    assert [one.kind for one in read.unread] == []


@pytest.mark.parametrize("kind", CLAUDE)
def test_claude_code(kind: str, tmp_path: Path) -> None:
    record = {"type": kind, "sessionId": SESSION, "about": kind, "timestamp": at(1)}
    read = _read(
        "claude-code", [claude("user", 0, "u", None, message={"role": "user", "content": "go"}), record], tmp_path
    )
    _known(read)
    notes = [note for note in read.payloads(payloads.Note) if note.kind != "unanswered"]
    assert [(note.kind, note.data["about"]) for note in notes] == [(kind.replace("-", "_"), kind)]


@pytest.mark.parametrize("subtype", CLAUDE_SYSTEM)
def test_claude_codes_system(subtype: str, tmp_path: Path) -> None:
    _known(_read("claude-code", [claude("system", 0, "s", None, subtype=subtype, content="c")], tmp_path))


@pytest.mark.parametrize("kind", CLAUDE_BLOCKS)
def test_claude_codes_blocks_are_named_and_kept(kind: str, tmp_path: Path) -> None:
    said = {"id": "m", "model": "c", "role": "assistant", "content": [{"type": kind, "id": "b"}]}
    read = _read("claude-code", [claude("assistant", 0, "a", None, message=said)], tmp_path)
    assert [one.kind for one in read.unread] == [f"assistant.content.{kind}"]
    assert read.payloads(payloads.LlmResponse)[0].model_extra["other_content"] == [{"type": kind, "id": "b"}]


def _codex(record: dict[str, Any], folder: Path) -> Told:
    first = {"timestamp": at(0), "type": "session_meta", "payload": {"id": "s"}}
    return _read("codex", [first, record], folder)


@pytest.mark.parametrize("kind", CODEX_LINES)
def test_codex(kind: str, tmp_path: Path) -> None:
    _known(_codex({"timestamp": at(1), "type": kind, "payload": {"about": kind}}, tmp_path))


@pytest.mark.parametrize("kind", CODEX_ITEMS)
def test_codexs_items(kind: str, tmp_path: Path) -> None:
    _known(
        _codex(item(1, type=kind, call_id="c", name="t", arguments={}, action={}, role="user", content=[]), tmp_path)
    )


@pytest.mark.parametrize("kind", CODEX_EVENTS)
def test_codexs_events(kind: str, tmp_path: Path) -> None:
    _known(_codex({"timestamp": at(1), "type": "event_msg", "payload": {"type": kind, "message": "m"}}, tmp_path))


@pytest.mark.parametrize("kind", sorted(GEMINI))
def test_gemini_cli(kind: str, tmp_path: Path) -> None:
    records = [header(), GEMINI[kind]]
    _known(_read("gemini-cli", records, tmp_path))


@pytest.mark.parametrize("status", GEMINI_STATUSES)
def test_gemini_clis_calls(status: str, tmp_path: Path) -> None:
    call: dict[str, Any] = {"id": "c", "name": "t", "args": {}, "status": status, "timestamp": at(2)}
    read = _read("gemini-cli", [header(), message(1, "gemini", "g", "", model="m", toolCalls=[call])], tmp_path)
    _known(read)
    assert len(read.payloads(payloads.ToolCall)) == 1
    over = status in ("error", "success", "cancelled")
    assert [result.ok for result in read.payloads(payloads.ToolResult)] == ([status == "success"] if over else [])


def _read_document(name: str, file: str, document: Any, folder: Path) -> Told:
    path = write(folder / file, document) if file.endswith(".jsonl") else write_json(folder / file, document)
    (only,) = told(adapters().adapters[name], path)
    return only


@pytest.mark.parametrize("version", [f"ATIF-v1.{minor}" for minor in range(9)])
@pytest.mark.parametrize("source", ["system", "user", "agent"])
def test_atif(version: str, source: str, tmp_path: Path) -> None:
    step = {"step_id": 1, "source": source, "message": "hello"}
    document = {"schema_version": version, "session_id": "s", "agent": {"name": "a", "version": "1"}, "steps": [step]}
    read = _read_document("atif", "a.json", document, tmp_path)
    _known(read)
    assert len(read.payloads(payloads.LlmResponse)) == (source == "agent")


MINI_EXITS = "Submitted LimitsExceeded TimeExceeded RepeatedFormatError FormatError UserInterruption".split()
"""Names of the exceptions that end mini-swe-agent 2.4.6, besides those of models and environments."""


@pytest.mark.parametrize("status", [*MINI_EXITS, "RuntimeError"])
def test_mini_swe_agents_exits(status: str, tmp_path: Path) -> None:
    messages = [{"role": role, "content": "x"} for role in ("system", "user", "assistant", "user")]
    last = {"role": "exit", "content": "", "extra": {"exit_status": status, "submission": ""}}
    document = {
        "trajectory_format": "mini-swe-agent-1.1",
        "messages": [*messages, last],
        "info": {"exit_status": status},
    }
    read = _read_document("mini-swe-agent", "a.traj.json", document, tmp_path)
    _known(read)
    (end,) = read.payloads(payloads.EpisodeEnd)
    assert end.message == status and (end.stop_reason == "submitted") == (status == "Submitted")


@pytest.mark.parametrize("kind", ["FormatError", "UserInterruption", "LimitsExceeded"])
def test_mini_swe_agents_interruptions(kind: str, tmp_path: Path) -> None:
    messages = [{"role": role, "content": "x"} for role in ("system", "user", "assistant")]
    told_of = {"role": "user", "content": "stop", "extra": {"interrupt_type": kind}}
    document: dict[str, Any] = {
        "trajectory_format": "mini-swe-agent-1.1",
        "messages": [*messages, told_of],
        "info": {},
    }
    read = _read_document("mini-swe-agent", "a.traj.json", document, tmp_path)
    _known(read)
    assert kind in "".join(note.model_dump_json() for note in read.payloads(payloads.Note))


LISTS = {"resolved_ids": True, "unresolved_ids": False, "empty_patch_ids": False, "error_ids": None}
"""Lists of a run's report that put an instance somewhere, swebench 5.0.2."""


@pytest.mark.parametrize("name", LISTS)
def test_swe_benchs_lists(name: str, tmp_path: Path) -> None:
    lists: dict[str, list[str]] = {one: [] for one in LISTS}
    document = {"total_instances": 1, "submitted_ids": ["a__b-1"], **lists, name: ["a__b-1"], "schema_version": 2}
    read = _read_document("swe-bench", "r.json", document, tmp_path)
    _known(read)
    (verdict,) = read.payloads(payloads.Verdict)
    assert verdict.resolved is LISTS[name]


NEBIUS_EXITS = (
    "submitted exit_context exit_cost exit_error exit_format early_exit submitted_(exit_context) submitted_(exit_cost) "
    "submitted_(exit_error) submitted_(exit_format)"
).split()
"""Values of `exit_status` in nebius/SWE-agent-trajectories, a blank as `_`."""


@pytest.mark.parametrize("status", [one.replace("_(", " (") for one in NEBIUS_EXITS])
def test_nebius_exits(status: str, tmp_path: Path) -> None:
    turn = {"role": "user", "text": "Mend it", "system_prompt": None, "mask": False, "cutoff_date": None}
    row = {"instance_id": "a__b-1", "model_name": "m", "target": False, "trajectory": [turn], "exit_status": status}
    read = _read_document("nebius-swe-agent", "a.jsonl", [{**row, "generated_patch": "", "eval_logs": ""}], tmp_path)
    _known(read)
    (end,) = read.payloads(payloads.EpisodeEnd)
    assert end.message == status and end.stop_reason != "interrupted"


@pytest.mark.parametrize("kind", ["TOOL", "tool", "AGENT", "CHAIN"])
def test_agent_traces_spans(kind: str, tmp_path: Path) -> None:
    span = {"span_id": "s", "type": kind, "start_ns": 0, "end_ns": 1, "duration_ms": 0.5}
    tool = {"tool_name": "shell", "tool_input": "{}", "tool_output": ""} if kind.lower() == "tool" else {}
    row: dict[str, Any] = {"trace_id": "t", "spans": [{**span, **tool}], "llm_steps": [], "metadata": {}}
    read = _read_document("agent-trace", "t.jsonl", [row], tmp_path)
    _known(read)
    assert len(read.payloads(payloads.ToolCall)) == bool(tool)
