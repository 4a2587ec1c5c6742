"""Records of session formats, made for tests: small, whole, and with one of everything that a format can hold."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SESSION = "11111111-2222-4333-8444-555555555555"


def lines(records: Iterable[Any]) -> bytes:
    """JSON lines."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def write(path: Path, records: Iterable[Any]) -> Path:
    """A file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lines(records))
    return path


def at(second: float) -> str:
    """A time in the session."""
    return f"2026-03-01T10:{int(second) // 60:02d}:{second % 60:06.3f}Z"


def claude(kind: str, second: float, uuid: str, parent: str | None, **more: Any) -> dict[str, Any]:
    """A record of a Claude Code transcript."""
    return {
        "type": kind,
        "uuid": uuid,
        "parentUuid": parent,
        "isSidechain": False,
        "timestamp": at(second),
        "sessionId": SESSION,
        "version": "2.1.0",
        "cwd": "/repo",
        "gitBranch": "main",
        **more,
    }


def said(second: float, uuid: str, parent: str, message: str, *blocks: Any, **more: Any) -> dict[str, Any]:
    """A piece of a model's answer."""
    usage = {"input_tokens": 3, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 100, "output_tokens": 40}
    body = {"id": message, "role": "assistant", "model": "claude-test-1", "content": list(blocks)}
    body |= {"stop_reason": "tool_use", "usage": {**usage, **more.pop("usage", {})}}
    return claude("assistant", second, uuid, parent, message=body, requestId="req_1", **more)


def call(number: int, tool: str, **given: Any) -> dict[str, Any]:
    """A call of a tool."""
    return {"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": given}


def returned(
    second: float, uuid: str, parent: str, number: int, content: Any, told: Any, **more: Any
) -> dict[str, Any]:
    """What a call led to."""
    block = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": content, "is_error": False}
    message = {"role": "user", "content": [{**block, **more.pop("block", {})}]}
    return claude("user", second, uuid, parent, message=message, toolUseResult=told, **more)


def transcript() -> list[dict[str, Any]]:
    """A session in which everything happens once: 22 records."""
    text = {"type": "text", "text": "I look."}
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    side = {"isSidechain": True}
    return [
        {"type": "summary", "summary": "Mend it", "leafUuid": "x"},
        {"type": "mode", "mode": "normal", "sessionId": SESSION},
        {"type": "permission-mode", "permissionMode": "default", "sessionId": SESSION},
        claude("user", 0, "u1", None, message={"role": "user", "content": "mend the bug"}),
        said(4, "a1", "u1", "msg_1", thought, usage={"output_tokens": 1}),
        said(5, "a2", "a1", "msg_1", text, call(1, "Bash", command="ls")),
        returned(5.5, "u2", "a2", 1, "a.py", {"stdout": "a.py", "stderr": "", "interrupted": False}),
        said(6, "a3", "u2", "msg_1", call(2, "Read", file_path="/repo/a.py")),
        returned(6.2, "u3", "a3", 2, [{"type": "text", "text": "x = 1"}], {"type": "text", "durationMs": 12}),
        claude("system", 7, "s1", "u3", subtype="api_error", error={"status": 529, "message": "busy"}, retryInMs=500.0),
        said(9, "a4", "u3", "msg_2", call(3, "Task", prompt="search"), {"type": "server_tool_use", "id": "srv"}),
        claude("user", 9.5, "c1", None, message={"role": "user", "content": "search"}, **side),
        said(10, "c2", "c1", "msg_3", call(4, "Grep", pattern="x"), **side),
        returned(10.5, "c3", "c2", 4, "a.py:1", None, **side),
        said(11, "c4", "c3", "msg_4", {"type": "text", "text": "found"}, **side),
        returned(12, "u4", "a4", 3, "found", {"totalDurationMs": 2500}),
        claude("system", 13, "s2", "u4", subtype="compact_boundary", compactMetadata={"trigger": "auto"}),
        claude("user", 13.1, "u5", "s2", message={"role": "user", "content": "so far…"}, isCompactSummary=True),
        said(15, "a5", "u5", "msg_5", call(5, "Bash", command="pytest")),
        returned(16, "u6", "a5", 5, "Error: Exit code 2\nno tests", "Error: Exit code 2", block={"is_error": True}),
        said(18, "a6", "u6", "msg_6", {"type": "text", "text": "Done."}),
        claude("system", 18.5, "s3", "a6", subtype="turn_duration", durationMs=18500),
    ]


def item(second: float, **payload: Any) -> dict[str, Any]:
    """A `response_item` of a Codex rollout."""
    return {"timestamp": at(second), "type": "response_item", "payload": payload}


def happened(second: float, kind: str, **payload: Any) -> dict[str, Any]:
    """An `event_msg` of a Codex rollout."""
    return {"timestamp": at(second), "type": "event_msg", "payload": {"type": kind, **payload}}


def counted(second: float, total: int, **last: int) -> dict[str, Any]:
    """Token counts of a Codex rollout."""
    usage = {"input_tokens": 50, "cached_input_tokens": 30, "output_tokens": 9, "reasoning_output_tokens": 4, **last}
    return happened(
        second, "token_count", info={"last_token_usage": usage, "total_token_usage": {"total_tokens": total}}
    )


def rollout() -> list[dict[str, Any]]:
    """A Codex session in which everything happens once: 22 records."""
    git = {"commit_hash": "abc", "branch": "main", "repository_url": "https://example.org/owner/name.git"}
    meta = {"id": "s-1", "cwd": "/repo", "cli_version": "0.114.0", "git": git}
    turn = {"turn_id": "t-1", "cwd": "/repo", "model": "gpt-test", "effort": "high"}
    output = "Wall time: 0.2500 seconds\nProcess exited with code 1\nOutput:\nno"
    return [
        {"timestamp": at(0), "type": "session_meta", "payload": meta},
        item(0.1, type="message", role="developer", content=[{"type": "input_text", "text": "rules"}]),
        happened(0.2, "task_started", turn_id="t-1"),
        {"timestamp": at(0.3), "type": "turn_context", "payload": turn},
        item(0.4, type="message", role="user", content=[{"type": "input_text", "text": "mend"}]),
        happened(0.5, "user_message", message="mend"),
        item(2, type="reasoning", summary=[{"type": "summary_text", "text": "think"}], content=None),
        item(3, type="message", role="assistant", content=[{"type": "output_text", "text": "I look."}]),
        item(3.5, type="function_call", name="exec_command", arguments='{"cmd":"ls"}', call_id="c1"),
        item(3.6, type="custom_tool_call", name="apply_patch", input="*** Begin Patch", call_id="c2"),
        counted(3.7, 59),
        item(4, type="function_call_output", call_id="c1", output=output),
        happened(4.1, "patch_apply_end", call_id="c2", stdout="ok", stderr="", success=True),
        item(4.2, type="custom_tool_call_output", call_id="c2", output="Success"),
        counted(4.3, 59),
        happened(4.4, "stream_error", message="lost"),
        item(6, type="local_shell_call", call_id="c3", action={"type": "exec", "command": ["pwd"]}),
        counted(6.1, 120),
        item(6.5, type="function_call_output", call_id="c3", output=[{"type": "input_text", "text": "/repo"}]),
        {"timestamp": at(7), "type": "compacted", "payload": {"message": "so far"}},
        item(8, type="message", role="assistant", content=[{"type": "output_text", "text": "Done."}]),
        counted(8.1, 200),
    ]
