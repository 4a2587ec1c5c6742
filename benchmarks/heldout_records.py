"""Held-out records of other agents, as those agents write them when something fails, and some in which nothing does."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..rollouts.attribution import Kind
from .fault_stage import Fault

__all__ = ["RECORDS"]

_DIFF = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"


def _lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def _claude(kind: str, second: int, **more: Any) -> dict[str, Any]:
    common = {
        "sessionId": "5f1c",
        "cwd": "/work/app",
        "version": "2.0.14",
        "isSidechain": False,
        "userType": "external",
    }
    at = f"2026-02-01T08:00:{second:02d}.000Z"
    return {"type": kind, "uuid": f"u{second}", "parentUuid": f"u{second - 1}", "timestamp": at, **common, **more}


def _answer(second: int, *blocks: Any, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 12, "output_tokens": 40, "cache_read_input_tokens": 900}
    message = {"id": f"m{second}", "role": "assistant", "model": "claude-x", "content": list(blocks), "usage": usage}
    return _claude("assistant", second, message=message, **more)


def _told(second: int, content: Any) -> dict[str, Any]:
    return _claude("user", second, message={"role": "user", "content": content})


def _session(*last: Any) -> str:
    """A transcript that begins with a prompt and a command, then `last`."""
    use = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}
    back = {"type": "tool_result", "tool_use_id": "t1", "content": "a.py", "is_error": False}
    return _lines(_told(1, "Mend the bug."), _answer(2, use), _told(3, [back]), *last)


def _api_error(text: str) -> str:
    usage = {"input_tokens": 0, "output_tokens": 0}
    content = [{"type": "text", "text": text}]
    message = {"id": "m9", "role": "assistant", "model": "<synthetic>", "content": content, "usage": usage}
    return _session(_claude("assistant", 9, message=message, isApiErrorMessage=True))


def _codex(*events: Mapping[str, Any]) -> str:
    meta = {"id": "0199", "timestamp": "2026-02-01T08:00:00Z", "cwd": "/work/app", "cli_version": "0.50.0"}
    asked = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Mend the bug."}]}
    called = {"type": "function_call", "name": "shell", "arguments": '{"command": ["ls"]}', "call_id": "c1"}
    back = {
        "type": "function_call_output",
        "call_id": "c1",
        "output": '{"output": "a.py", "metadata": {"exit_code": 0}}',
    }
    said = [("session_meta", meta), *(("response_item", one) for one in (asked, called, back))]
    said += [("event_msg", event) for event in events]
    return _lines(
        *({"timestamp": f"2026-02-01T08:00:{n:02d}Z", "type": k, "payload": p} for n, (k, p) in enumerate(said))
    )


def _codex_error(message: str) -> str:
    return _codex({"type": "error", "message": message})


def _openhands(error: str | None, report: Mapping[str, Any] | None = None, patch: str = "") -> str:
    def event(number: int, source: str, **more: Any) -> dict[str, Any]:
        at = f"2026-02-01T08:00:{number:02d}.000"
        return {"id": number, "timestamp": at, "source": source, "message": "", **more}

    history = [
        event(1, "user", action="message", args={"content": "Mend the bug"}),
        event(2, "agent", action="run", args={"command": "ls", "thought": "I look."}),
        event(3, "agent", observation="run", content="a.py", cause=2, extras={"metadata": {"exit_code": 0}}),
    ]
    if error is None:
        history.append(event(4, "agent", action="finish", args={"final_thought": "done"}))
    result: dict[str, Any] = {"git_patch": patch} | ({} if report is None else {"report": dict(report)})
    row = {"instance_id": "acme__app-7", "instruction": "Mend the bug", "metadata": {"max_iterations": 30}}
    return _lines({**row, "history": history, "test_result": result, "error": error, "metrics": {}})


def _mini(status: str, said: str = "") -> str:
    messages = [
        {"role": "system", "content": "You are a helper."},
        {"role": "user", "content": "Mend the bug"},
        {"role": "assistant", "content": "THOUGHT: look\n\n```bash\nls\n```"},
        {"role": "user", "content": "<returncode>0</returncode>\n<output>\na.py</output>"},
        {"role": "user", "content": said},
    ]
    info = {"exit_status": status, "submission": "", "model_stats": {"instance_cost": 0.2, "api_calls": 2}}
    return json.dumps({"trajectory_format": "mini-swe-agent-1.1", "messages": messages, "info": info})


def _swe(status: str, observation: str = "a.py") -> str:
    step = {"action": "ls", "observation": observation, "response": "look", "thought": "look", "execution_time": 1.0}
    info = {"exit_status": status, "submission": "", "model_stats": {"api_calls": 3}}
    return json.dumps({"trajectory": [step] * 3, "history": [], "info": info, "environment": "swe_main"})


def _run_report(**lists: Any) -> str:
    known = {"total_instances": 1, "submitted_ids": ["acme__app-7"], "completed_ids": [], "schema_version": 2}
    none: dict[str, Any] = {"resolved_ids": [], "unresolved_ids": [], "empty_patch_ids": [], "error_ids": []}
    return json.dumps({**known, **none, **lists})


def _instance(**said: Any) -> str:
    report = {"patch_is_None": False, "patch_exists": True, "patch_successfully_applied": True, "resolved": False}
    return json.dumps({"acme__app-7": {**report, **said}})


def _nebius(status: str) -> str:
    turns = [{"role": "system", "text": None, "system_prompt": "Help."}, {"role": "user", "text": "Mend"}]
    turns += [{"role": "ai", "text": "look\n```\nls\n```"}, {"role": "user", "text": "a.py"}]
    row = {"instance_id": "acme__app-7", "model_name": "m", "target": False, "trajectory": turns}
    return _lines({**row, "exit_status": status, "generated_patch": _DIFF, "eval_logs": ""})


_API = 'API Error: 401 {"type":"error","error":{"type":"authentication_error","message":"OAuth token has expired."}}'
_OVERFULL = "Your input exceeds the context window of this model. Please adjust your input and try again."
_LITELLM = 'litellm.RateLimitError: AnthropicException - {"type":"error","error":{"type":"rate_limit_error"}}'
_KILLED = "AgentRuntimeDisconnectedError: Runtime container exited with code 137 (OOMKilled)"
_STUCK = "AgentStuckInLoopError: Agent got stuck in a loop"
_NOT_STARTED = "CalledProcessError: Command '['docker', 'run', '-d']' returned non-zero exit status 125."
_MAXED = {"type": "result", "subtype": "error_max_turns", "is_error": True, "num_turns": 30, "session_id": "5f1c"}


def _record(name: str, kinds: Sequence[Kind], file: str, record: str, reason: str) -> Fault:
    return Fault(name, tuple(kinds), lambda stage: stage.ingested(file, record), reason)


K = Kind
RECORDS: Sequence[Fault] = (
    _record("Claude Code: logged out", (K.UNAUTHORIZED,), "s.jsonl", _api_error(f"{_API} · Please run /login"), "key"),
    _record(
        "Claude Code: usage limit",
        (K.RATE_LIMITED,),
        "s.jsonl",
        _api_error("Claude AI usage limit reached|1769940000"),
        "quota",
    ),
    _record(
        "Claude Code: no room left", (K.CONTEXT_OVERFLOW,), "s.jsonl", _api_error("Prompt is too long"), "grew too long"
    ),
    _record("Claude Code: turns used up", (K.LIMIT,), "s.jsonl", _session(_MAXED), "step budget used up"),
    _record(
        "Codex: 429 to the end",
        (K.RATE_LIMITED,),
        "rollout-1.jsonl",
        _codex_error("exceeded retry limit, last status: 429 Too Many Requests, request id: 88c"),
        "the provider's limit",
    ),
    _record(
        "Codex: the stream breaks",
        (K.CONNECTION,),
        "rollout-1.jsonl",
        _codex_error(
            "stream disconnected before completion: Transport error: network error: error decoding response body"
        ),
        "the connection",
    ),
    _record("Codex: no room left", (K.CONTEXT_OVERFLOW,), "rollout-1.jsonl", _codex_error(_OVERFULL), "grew too long"),
    _record("OpenHands: rate limit", (K.RATE_LIMITED,), "output.jsonl", _openhands(_LITELLM), "the provider's limit"),
    _record(
        "OpenHands: runtime killed",
        (K.OUT_OF_MEMORY, K.SANDBOX_LOST),
        "output.jsonl",
        _openhands(_KILLED),
        "its container died",
    ),
    _record(
        "OpenHands: iterations used up",
        (K.LIMIT,),
        "output.jsonl",
        _openhands("RuntimeError: Agent reached maximum iteration in headless mode. Current iteration: 30, max: 30"),
        "step budget used up",
    ),
    _record("OpenHands: in a loop", (K.LOOP,), "output.jsonl", _openhands(_STUCK), "it repeated itself"),
    _record(
        "OpenHands: evaluation error",
        (K.TESTS_NOT_RUN,),
        "output.jsonl",
        _openhands(None, {"resolved": False, "error_eval": True, "failed_apply_patch": False}, _DIFF),
        "the evaluation itself failed",
    ),
    _record(
        "OpenHands: a patch that does not apply",
        (K.PATCH_DOES_NOT_APPLY,),
        "output.jsonl",
        _openhands(None, {"resolved": False, "failed_apply_patch": True, "error_eval": False}, _DIFF),
        "its patch",
    ),
    _record(
        "OpenHands: nothing handed in",
        (K.NO_PATCH,),
        "output.jsonl",
        _openhands(None, {"resolved": False, "empty_generation": True}),
        "no change",
    ),
    _record(
        "mini: window exceeded",
        (K.CONTEXT_OVERFLOW,),
        "m.traj.json",
        _mini("ContextWindowExceededError"),
        "grew too long",
    ),
    _record(
        "mini: container not started",
        (K.ENVIRONMENT_BROKEN, K.SANDBOX_LOST, K.ENGINE_UNAVAILABLE),
        "m.traj.json",
        _mini("CalledProcessError", _NOT_STARTED),
        "docker",
    ),
    _record("mini: limits", (K.LIMIT,), "m.traj.json", _mini("LimitsExceeded"), "its budget used up"),
    _record(
        "SWE-agent: commands time out",
        (K.TOOL_TIMEOUT,),
        "a.traj",
        _swe("exit_command_timeout", "The command was cancelled because it took more than 30 seconds."),
        "harness ended it after several time-outs in a row of a harmless command",
    ),
    _record(
        "nebius: handed in at the end of its context",
        (K.WRONG_PATCH, K.CONTEXT_OVERFLOW),
        "n.jsonl",
        _nebius("submitted (exit_context)"),
        "its patch is wrong, its context was full",
    ),
    _record(
        "SWE-bench: the harness failed",
        (K.TESTS_NOT_RUN,),
        "run.json",
        _run_report(error_ids=["acme__app-7"], infra_failure_ids=["acme__app-7"]),
        "the tests could not be run",
    ),
    _record(
        "SWE-bench: a patch that does not apply",
        (K.PATCH_DOES_NOT_APPLY,),
        "report.json",
        _instance(patch_successfully_applied=False),
        "its patch",
    ),
    _record(
        "Claude Code: stopped by its user",
        (),
        "s.jsonl",
        _session(_told(9, [{"type": "text", "text": "[Request interrupted by user]"}])),
        "the user's decision",
    ),
    _record(
        "Claude Code: ends well after busy minutes",
        (),
        "s.jsonl",
        _session(
            _claude("system", 5, subtype="api_error", error={"status": 529, "message": "Overloaded"}, retryInMs=900.0),
            _answer(8, {"type": "text", "text": "Done: the tests pass."}),
        ),
        "retries helped, and it ended by itself",
    ),
    _record("SWE-bench: resolved", (), "report.json", _instance(resolved=True), "resolved"),
    _record("OpenHands: resolved", (), "output.jsonl", _openhands(None, {"resolved": True}, _DIFF), "resolved"),
)
