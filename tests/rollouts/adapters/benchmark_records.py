"""Records of benchmark agents, made for tests: small, whole, and with one of everything that a format can hold."""

import json
from pathlib import Path
from typing import Any

DIFF = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-a\n+b\n"
TASK = "acme__tool-7"


def write_json(path: Path, value: Any, **how: Any) -> Path:
    """A file that is one document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, **how), "utf-8")
    return path


def write_lines(path: Path, values: list[Any]) -> Path:
    """A file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")
    return path


def tool(name: str, call_id: str, **arguments: Any) -> dict[str, Any]:
    """A call as OpenAI's API has it."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def _query(*texts: str) -> list[dict[str, Any]]:
    roles = ["system", "user", *["assistant", "tool"] * 8]
    return [{"role": role, "content": text, "agent": "main"} for role, text in zip(roles, texts, strict=False)]


def _step(action: str, observation: str, response: str, **more: Any) -> dict[str, Any]:
    known = {"execution_time": 0.5, "state": {"open_file": "n/a", "working_dir": "/repo"}, "extra_info": {}}
    return {"action": action, "observation": observation, "response": response, "thought": response, **known, **more}


def swe_agent() -> dict[str, Any]:
    """A trajectory since 1.1: a call, an answer that was no action, one that was not run, and an autosubmission."""
    opening = ("Be good.", "Mend the bug")
    calls = [tool("bash", "c1", command="ls")]
    history = [
        {"role": "system", "content": opening[0], "agent": "main", "message_type": "system_prompt"},
        {"role": "user", "content": opening[1], "agent": "main", "message_type": "observation"},
        {"role": "assistant", "content": "I look.", "action": "ls", "agent": "main", "tool_calls": calls},
        {"role": "tool", "content": "a.py\n(Open file: n/a)", "agent": "main", "tool_call_ids": ["c1"]},
    ]
    asked = _query(*opening, "I look.", "a.py\n(Open file: n/a)")
    steps = [
        _step("ls", "a.py", "I look.", query=_query(*opening)),
        _step("", "", "no action here", query=asked, execution_time=0.0, state={}),
        _step("vim a.py", "", "I edit.", query=asked, execution_time=0.0, state={}),
        _step("", "Exited (autosubmitted)", "Exit due to cost limit", query=[{}], execution_time=0.0),
    ]
    info = {
        "submission": DIFF,
        "exit_status": "submitted (exit_cost)",
        "model_stats": {"instance_cost": 1.5, "tokens_sent": 100, "tokens_received": 20, "api_calls": 3},
        "swe_agent_version": "1.1.0",
    }
    config = {
        "env": {"repo": {"repo_name": "testbed", "base_commit": "abc"}, "deployment": {"image": "an/image"}},
        "agent": {"model": {"name": "gpt-test", "per_instance_cost_limit": 3.0}},
        "problem_statement": {"id": TASK, "text": "It is broken."},
    }
    document = {"trajectory": steps, "history": history, "info": info, "environment": "main"}
    return {**document, "replay_config": json.dumps(config)}


def swe_agent_old() -> dict[str, Any]:
    """A trajectory before 1.1: no queries, no times, the state as JSON."""
    state = '{"open_file": "n/a", "working_dir": "/repo"}\n'
    text = "I look.\n```\nls -F\n```"
    history = [
        {"role": "system", "content": "Be good.", "agent": "primary"},
        {"role": "user", "content": "A demonstration", "agent": "primary", "is_demo": True},
        {"role": "user", "content": "Mend the bug", "agent": "primary"},
        {"role": "assistant", "content": text, "thought": "I look.", "action": "ls -F\n", "agent": "primary"},
        {"role": "user", "content": "a.py\n(Open file: n/a)", "agent": "primary"},
        {"role": "assistant", "content": "```\nsubmit\n```", "thought": "", "action": "submit\n", "agent": "primary"},
    ]
    steps = [
        {"action": "ls -F\n", "observation": "a.py", "response": text, "state": state, "thought": "I look.\n"},
        {"action": "submit\n", "observation": DIFF, "response": "```\nsubmit\n```", "state": state, "thought": ""},
    ]
    stats = {"total_cost": 0.1, "instance_cost": 0.1, "tokens_sent": 10, "tokens_received": 2, "api_calls": 2}
    info = {"exit_status": "submitted", "submission": DIFF, "model_stats": stats}
    return {"environment": "swe_main", "trajectory": steps, "history": history, "info": info}


def _mini_answer(second: float, *calls: dict[str, Any], cost: float = 0.25) -> dict[str, Any]:
    actions = [{"command": json.loads(c["function"]["arguments"])["command"], "tool_call_id": c["id"]} for c in calls]
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}}
    response = {"id": f"r{second}", "model": "m-1", "choices": [{"finish_reason": "tool_calls"}], "usage": usage}
    extra = {"actions": actions, "cost": cost, "timestamp": 1_700_000_000 + second, "response": response}
    return {"role": "assistant", "content": "I look.", "tool_calls": list(calls), "extra": extra}


def _mini_seen(second: float, call_id: str, text: str, code: int, **more: Any) -> dict[str, Any]:
    extra = {"raw_output": text, "returncode": code, "timestamp": 1_700_000_000 + second, "exception_info": "", **more}
    return {"role": "tool", "content": f"<output>{text}</output>", "tool_call_id": call_id, "extra": extra}


def mini_swe_agent() -> dict[str, Any]:
    """A trajectory of version 1.1: two calls in an answer, a format error, a time-out, and a submission."""
    refused = {
        "interrupt_type": "FormatError",
        "cost": 0.1,
        "response": {"id": "rx", "choices": [{"message": {"role": "assistant", "content": "done?"}}]},
    }
    slow = {"exception_info": "the command timed out", "exception_type": "TimeoutExpired"}
    messages = [
        {"role": "system", "content": "Be good."},
        {"role": "user", "content": "Mend the bug"},
        _mini_answer(10, tool("bash", "c1", command="ls"), tool("bash", "c2", command="false")),
        _mini_seen(14, "c1", "a.py", 0),
        _mini_seen(14, "c2", "", 1),
        {"role": "user", "content": "Tool call error", "extra": refused},
        _mini_answer(20, tool("bash", "c3", command="sleep 99")),
        _mini_seen(50, "c3", "", -1, **slow),
        _mini_answer(52, tool("bash", "c4", command="submit")),
        {"role": "exit", "content": DIFF, "extra": {"exit_status": "Submitted", "submission": DIFF}},
    ]
    config = {"agent": {"step_limit": 9, "cost_limit": 3.0}, "model": {"model_name": "org/m-1"}}
    info = {
        "model_stats": {"instance_cost": 0.85, "api_calls": 4},
        "config": {**config, "environment": {"image": "an/image", "cwd": "/testbed"}},
        "mini_version": "2.4.6",
        "exit_status": "Submitted",
        "submission": DIFF,
    }
    return {"info": info, "messages": messages, "trajectory_format": "mini-swe-agent-1.1", "instance_id": TASK}


def mini_bare() -> list[dict[str, Any]]:
    """A bare list of messages, its actions in the text."""
    return [
        {"role": "system", "content": "Be good."},
        {"role": "user", "content": "Mend the bug"},
        {"role": "assistant", "content": "THOUGHT: look\n\n```bash\nls\n```"},
        {"role": "user", "content": "<returncode>2</returncode>\n<output>\nno</output>"},
        {"role": "assistant", "content": "done, I think"},
        {"role": "user", "content": "Please always provide EXACTLY ONE action in triple backticks, found 0."},
    ]


def _v0(number: int, second: float, source: str = "agent", **more: Any) -> dict[str, Any]:
    return {"id": number, "timestamp": f"2025-04-30T16:32:{second:06.3f}", "source": source, "message": "", **more}


def _v0_call(response: str, call_id: str, name: str, **arguments: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "I look.", "tool_calls": [tool(name, call_id, **arguments)]}
    usage = {"prompt_tokens": 50, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 20}}
    answer = {"id": response, "model": "m-1", "usage": usage}
    choices = [{"finish_reason": "tool_calls", "message": message}]
    return {"function_name": name, "tool_call_id": call_id, "model_response": {**answer, "choices": choices}}


def openhands_history() -> list[dict[str, Any]]:
    """Events of V0: a prompt, a command, an edit that failed, an error without a cause, and the end."""
    first, second = _v0_call("r1", "c1", "execute_bash", command="ls"), _v0_call("r2", "c2", "finish", message="ok")
    edit = _v0_call("r3", "c3", "str_replace_editor", command="str_replace", path="/w/a.py", old_str="x", new_str="y")
    seen = {"command": "ls", "metadata": {"exit_code": 1, "suffix": "\n[exit code 1.]"}}
    tools = [{"type": "function", "function": {"name": "execute_bash", "parameters": {"type": "object"}}}]
    spent = {"accumulated_cost": 0.5}
    return [
        _v0(0, 1, action="system", args={"content": "Be good.", "tools": tools, "openhands_version": "0.35.0"}),
        _v0(1, 2, "user", action="message", args={"content": "Mend the bug"}),
        _v0(2, 2.1, "user", action="recall", args={"recall_type": "workspace_context"}),
        _v0(3, 2.2, "environment", observation="recall", content="context", extras={}, cause=2),
        _v0(
            4,
            6,
            action="run",
            args={"command": "ls", "thought": "I look."},
            tool_call_metadata=first,
            llm_metrics=spent,
        ),
        _v0(5, 7.5, observation="run", content="a.py", cause=4, extras=seen, tool_call_metadata=first, success=True),
        _v0(6, 9, observation="error", content="Parameter 'command' is expected", extras={"error_id": ""}),
        _v0(7, 10, action="edit", args={"path": "/w/a.py", "thought": ""}, tool_call_metadata=edit),
        _v0(8, 10.5, observation="edit", content="ERROR:\nNo match", cause=7, extras={}, tool_call_metadata=edit),
        _v0(9, 12, action="finish", args={"final_thought": "ok", "task_completed": "true"}, tool_call_metadata=second),
    ]


def openhands_row(history: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """A line of `output.jsonl`."""
    used = {"prompt_tokens": 150, "completion_tokens": 15, "cache_read_tokens": 60, "cache_write_tokens": 0}
    latencies = [{"model": "m-1", "latency": 3.0, "response_id": "r1"}]
    metrics = {"accumulated_cost": 0.75, "accumulated_token_usage": used, "response_latencies": latencies}
    return {
        "instance_id": TASK,
        "test_result": {"git_patch": DIFF, "report": {"resolved": True}},
        "instruction": "Mend the bug",
        "metadata": {"llm_config": {"model": "org/m-1"}, "max_iterations": 50},
        "history": openhands_history() if history is None else history,
        "metrics": metrics,
        "error": None,
        "instance": {"repo": "acme/tool", "base_commit": "abc", "problem_statement": "It is broken."},
        **more,
    }


def openhands_pairs() -> list[list[dict[str, Any]]]:
    """The same history as pairs of an action and its observation."""
    events = openhands_history()
    return [events[0:1], events[1:2], events[2:4], events[4:6], events[6:7], events[7:9], events[9:10]]


def _sdk(kind: str, number: int, second: float, source: str = "agent", **more: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "timestamp": f"2026-06-16T05:39:{second:06.3f}", "source": source, "kind": kind, **more}


def _sdk_action(number: int, second: float, response: str, name: str, **arguments: Any) -> dict[str, Any]:
    call_id = f"c{number}"
    called = {"id": call_id, "name": name, "arguments": json.dumps({**arguments, "security_risk": "LOW"})}
    return _sdk(
        "ActionEvent",
        number,
        second,
        thought=[{"type": "text", "text": "I look."}],
        reasoning_content="hm",
        action={"kind": "TerminalAction", **arguments},
        tool_name=name,
        tool_call_id=call_id,
        tool_call=called,
        llm_response_id=response,
        security_risk="LOW",
        summary="looks",
    )


def _sdk_stats(number: int, second: float, prompt: int, completion: int, cost: float) -> dict[str, Any]:
    used = {"prompt_tokens": prompt, "completion_tokens": completion, "cache_read_tokens": prompt // 2}
    metrics = {"model_name": "org/m-2", "accumulated_cost": cost, "accumulated_token_usage": used}
    value = {"usage_to_metrics": {"default": metrics}}
    return _sdk("ConversationStateUpdateEvent", number, second, "environment", key="stats", value=value)


def sdk_events() -> list[dict[str, Any]]:
    """A conversation of the SDK: two calls in one answer, one rejected, a condensation, and the end."""
    text = {"type": "text", "text": "a.py"}
    said = {"role": "user", "content": [{"type": "text", "text": "Mend the bug"}]}
    prompt = {"type": "text", "text": "Be good."}
    return [
        _sdk("SystemPromptEvent", 0, 1, system_prompt=prompt, tools=[{"title": "terminal"}]),
        _sdk("MessageEvent", 1, 2, "user", llm_message=said, activated_skills=["git"]),
        _sdk_stats(2, 5.9, 100, 10, 0.2),
        _sdk_action(3, 6, "r1", "terminal", command="ls"),
        _sdk_action(4, 6.1, "r1", "terminal", command="rm -rf /"),
        _sdk(
            "ObservationEvent",
            5,
            8,
            "environment",
            observation={"content": [text], "is_error": False, "exit_code": 0, "kind": "TerminalObservation"},
            action_id="e3",
            tool_name="terminal",
            tool_call_id="c3",
        ),
        _sdk("UserRejectObservation", 6, 9, "user", rejection_reason="no", tool_name="terminal", tool_call_id="c4"),
        _sdk("Condensation", 7, 10, "environment", forgotten_event_ids=["e3"], summary="so far", llm_response_id="r9"),
        _sdk_stats(8, 11, 160, 14, 0.3),
        _sdk_action(9, 12, "r2", "finish", message="ok"),
        _sdk("ConversationStateUpdateEvent", 10, 13, "environment", key="execution_status", value="finished"),
    ]


def nebius_swe_agent() -> list[dict[str, Any]]:
    """Rows of nebius/SWE-agent-trajectories."""

    def turn(role: str, text: str | None, **more: Any) -> dict[str, Any]:
        return {"role": role, "text": text, "system_prompt": None, "mask": False, "cutoff_date": None, **more}

    turns = [
        turn("system", None, system_prompt="Be good.", cutoff_date="01.01.2023"),
        turn("user", "Mend the bug"),
        turn("ai", "I look.\n```\nfind_file a.py\n```"),
        turn("user", "Found 1 match\n(Open file: n/a)"),
        turn("ai", "no block", mask=True),
        turn("user", "Your output was not formatted correctly"),
        turn("ai", "Done.\n```\nsubmit\n```"),
    ]
    known = {"instance_id": TASK, "model_name": "llama-test", "target": True, "trajectory": turns}
    return [{**known, "exit_status": "submitted (exit_context)", "generated_patch": DIFF, "eval_logs": "1 passed"}]


def nebius_openhands() -> list[dict[str, Any]]:
    """Rows of nebius/SWE-rebench-openhands-trajectories."""

    def said(role: str, content: str, **more: Any) -> dict[str, Any]:
        return {"role": role, "content": content, "tool_calls": None, "name": None, "tool_call_id": None, **more}

    messages = [
        said("system", "Be good."),
        said("user", "Mend the bug"),
        said("assistant", "I look.", tool_calls=[tool("execute_bash", "c1", command="ls")]),
        said("tool", "a.py", name="execute_bash", tool_call_id="c1"),
        said("assistant", "", tool_calls=[tool("finish", "c2", message="ok")]),
    ]
    tools = [{"type": "function", "function": {"name": "execute_bash", "description": "runs"}}]
    known = {"trajectory_id": "chatcmpl-1", "instance_id": TASK, "repo": "acme/tool", "trajectory": messages}
    graded = {"exit_status": "submit", "resolved": 1, "gen_tests_correct": 3.0, "pred_passes_gen_tests": None}
    return [{**known, "tools": tools, "model_patch": DIFF, **graded}]


def atif() -> dict[str, Any]:
    """A trajectory of ATIF 1.8 as another writer makes it, a subagent's within."""
    call = {"tool_call_id": "c1", "function_name": "bash", "arguments": {"command": "ls"}}
    metrics = {"prompt_tokens": 50, "completion_tokens": 5, "cached_tokens": 20, "cost_usd": 0.25}
    ids = {"prompt_token_ids": [1, 2], "completion_token_ids": [3], "logprobs": [-0.5]}
    ref = [{"trajectory_id": "inner"}]
    steps = [
        {"step_id": 1, "source": "system", "message": "Be good."},
        {"step_id": 2, "source": "user", "message": "Mend the bug", "timestamp": "2026-01-01T00:00:00Z"},
        {
            "step_id": 3,
            "source": "agent",
            "timestamp": "2026-01-01T00:00:05Z",
            "message": "I look.",
            "reasoning_content": "hm",
            "model_name": "m-1",
            "tool_calls": [call],
            "observation": {"results": [{"source_call_id": "c1", "content": "a.py", "subagent_trajectory_ref": ref}]},
            "metrics": {**metrics, **ids},
        },
        {"step_id": 4, "source": "agent", "message": "copied", "is_copied_context": True},
        {"step_id": 5, "source": "agent", "message": "Done.", "timestamp": "2026-01-01T00:00:09Z"},
    ]
    agent = {"name": "terminus", "version": "2.0", "model_name": "org/m-1", "tool_definitions": [{"type": "function"}]}
    inner = {
        "schema_version": "ATIF-v1.8",
        "trajectory_id": "inner",
        "agent": {"name": "helper", "version": "1"},
        "steps": [{"step_id": 1, "source": "agent", "message": "I am inside."}],
    }
    totals = {"total_prompt_tokens": 50, "total_completion_tokens": 5, "total_steps": 5}
    whole = {"schema_version": "ATIF-v1.8", "session_id": "s-1", "agent": agent, "steps": steps}
    return {**whole, "notes": "a note", "final_metrics": totals, "subagent_trajectories": [inner]}


def predictions() -> list[dict[str, Any]]:
    """Predictions of four instances, one of them empty."""
    return [
        {"instance_id": f"acme__tool-{n}", "model_name_or_path": "org/m-1", "model_patch": DIFF if n != 3 else ""}
        for n in range(1, 5)
    ]


def run_report() -> dict[str, Any]:
    """The harness' report about them, and about an instance that nobody predicted."""
    ids = [f"acme__tool-{n}" for n in range(1, 5)]
    states = {"resolved_ids": ids[:1], "unresolved_ids": ids[1:2], "empty_patch_ids": ids[2:3], "error_ids": ids[3:]}
    known = {"total_instances": 5, "submitted_ids": ids, "incomplete_ids": ["acme__tool-9"], "schema_version": 2}
    return {**known, **states, "infra_failure_ids": ids[3:], "failure_reasons": {ids[3]: "out_of_memory"}}


def instance_report() -> dict[str, Any]:
    """The harness' report about one instance."""
    applied = {"patch_is_None": False, "patch_exists": True, "patch_successfully_applied": True}
    return {TASK: {**applied, "resolved": True, "tests_status": {}}}
