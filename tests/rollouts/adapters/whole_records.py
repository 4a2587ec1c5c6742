"""Records with every field that their producers' own models list, besides what `benchmark_records` has."""

import copy
from typing import Any, cast

from . import benchmark_records as made

Record = dict[str, Any]

ATIF = """
schema_version session_id trajectory_id agent steps notes final_metrics continued_trajectory_ref extra
subagent_trajectories name version model_name tool_definitions step_id timestamp source reasoning_effort message
reasoning_content tool_calls observation metrics is_copied_context llm_call_count tool_call_id function_name arguments
results source_call_id content subagent_trajectory_ref trajectory_path prompt_tokens completion_tokens cached_tokens
cost_usd prompt_token_ids completion_token_ids logprobs total_prompt_tokens total_completion_tokens total_cached_tokens
total_cost_usd total_steps type text media_type path duration_sec
""".split()
"""Fields of the models of harbor's ATIF 1.8."""

AGENT_TRACE = """
trace_id timestamp_utc prompt model spans llm_steps total_duration_ms metadata span_id type tool_name tool_input
tool_output start_ns end_ns duration_ms telemetry exit_code parent_span_id user_time_s system_time_s max_rss_bytes
read_bytes write_bytes step_id step_number model_output reasoning_content tool_calls input_tokens output_tokens
""".split()
"""Fields of the data classes with which AgentTrace is collected."""

MINI = (
    "actions cost timestamp response raw_output returncode exception_info exception_type exception interrupt_type "
    "model_response n_actions exit_status submission traceback exception_str".split()
)
"""Keys of a message's `extra`, mini-swe-agent 2.4.6."""

SWE_BENCH = (
    "total_instances submitted_instances completed_instances resolved_instances unresolved_instances "
    "infra_failure_instances ambiguous_failure_instances empty_patch_instances error_instances completed_ids "
    "incomplete_ids empty_patch_ids submitted_ids resolved_ids unresolved_ids infra_failure_ids ambiguous_failure_ids "
    "failure_reasons error_ids schema_version unstopped_instances unstopped_containers unremoved_images".split()
)
"""Members of a run's report, swebench 5.0.2."""


def atif() -> Record:
    """A document with every field of ATIF 1.8."""
    whole = made.atif()
    image = {"type": "image", "source": {"media_type": "image/png", "path": "images/1.png"}}
    sound = {"type": "audio", "source": {"media_type": "audio/wav", "path": "a.wav", "duration_sec": 1.5}}
    parts = [{"type": "text", "text": "See here"}, image, sound]
    step = whole["steps"][2]
    step |= {"reasoning_effort": "high", "llm_call_count": 1, "extra": {"of_answer": "step"}}
    step["tool_calls"][0]["extra"] = {"of": "call"}
    step["metrics"]["extra"] = {"of": "metrics"}
    result = step["observation"]["results"][0]
    result["extra"] = {"of": "result"}
    result["subagent_trajectory_ref"] = [
        {"trajectory_id": "inner", "session_id": "i-1", "trajectory_path": "inner.json", "extra": {"of": "reference"}}
    ]
    whole["steps"][1]["message"] = parts
    whole["steps"][1]["extra"] = {"of": "user"}
    whole["steps"].append(
        {"step_id": 6, "source": "agent", "message": "told", "llm_call_count": 0, "extra": {"of": "x"}}
    )
    whole["agent"]["extra"] = {"of": "agent"}
    totals = {"total_cached_tokens": 20, "total_cost_usd": 0.25, "extra": {"of": "totals"}}
    whole["final_metrics"] |= totals
    return {**whole, "trajectory_id": "t-1", "continued_trajectory_ref": "next.json", "extra": {"of": "document"}}


def mini_swe_agent() -> Record:
    """A trajectory with every key that a message may carry in its `extra`."""
    whole = made.mini_swe_agent()
    messages = whole["messages"]
    messages[5]["extra"] |= {"n_actions": 0, "model_response": "done?", "timestamp": 1_700_000_015.0}
    messages[7]["extra"] |= {"exception": "TimeoutExpired(99)"}
    messages[-1]["extra"] |= {"traceback": "Traceback", "exception_str": "e", "timestamp": 1_700_000_060.0}
    told = {"role": "user", "content": "stop that", "extra": {"interrupt_type": "UserInterruption"}}
    by_hand = {"role": "assistant", "content": "User command", "extra": {"actions": [{"command": "pwd"}]}}
    whole["messages"] = [*messages[:8], told, by_hand, *messages[8:]]
    return whole


def swe_bench() -> Record:
    """A run's report with every member."""
    whole = made.run_report()
    ids = whole["submitted_ids"]
    counts = {name: 1 for name in SWE_BENCH if name.endswith("_instances") and name not in whole}
    more = {
        "completed_ids": ids,
        "ambiguous_failure_ids": ids[1:2],
        "unstopped_containers": ["c"],
        "unremoved_images": ["i"],
    }
    reasons = {**whole["failure_reasons"], ids[1]: "no_tests_collected"}
    return {**whole, **counts, **more, "failure_reasons": reasons}


def instance_report() -> Record:
    """A report about one instance with every member, swebench 5.0.2."""
    whole = made.instance_report()
    tests: Record = {
        "FAIL_TO_PASS": {"success": ["a"], "failure": ["b"]},
        "PASS_TO_PASS": {"success": [], "failure": []},
    }
    (known,) = whole.values()
    return {made.TASK: {**known, "tests_status": tests, "resolved": False, "infra_failure": False}}


def nebius_swe_agent() -> list[Record]:
    """A row, with one that is not resolved."""
    (row,) = made.nebius_swe_agent()
    return [row, {**copy.deepcopy(row), "instance_id": "acme__tool-8", "target": False}]


def nebius_openhands() -> list[Record]:
    """A row with the columns of the other sets of this form."""
    (row,) = made.nebius_openhands()
    return [{**row, "pred_passes_gen_tests": 1.0, "license": "MIT", "dataset": "a-set", "model": "m-1"}]


def swe_agent() -> Record:
    """A trajectory with the excerpts around its patch."""
    whole = made.swe_agent()
    whole["info"] |= {"edited_files30": "[File: a.py]", "edited_files50": "[File: a.py]", "edited_files70": ""}
    return whole


def fields_of(value: Any) -> set[str]:
    """Every name of a member anywhere in a record."""
    if isinstance(value, dict):
        members = cast("Record", value)
        return {*members, *(name for item in members.values() for name in fields_of(item))}
    return {name for item in cast("list[Any]", value) for name in fields_of(item)} if isinstance(value, list) else set()


def sdk_events() -> list[Record]:
    """Events of the SDK with what single ones hold besides."""
    events = made.sdk_events()
    events[3] |= {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}], "parent_id": "e1"}
    events[3] |= {"critic_result": {"score": 0.5}, "responses_reasoning_item": {"id": "rs"}}
    tokens = {"kind": "TokenEvent", "id": "e11", "timestamp": "2026-06-16T05:39:14.000", "source": "agent"}
    return [*events, {**tokens, "prompt_token_ids": [1, 2], "response_token_ids": [3]}]


def agent_trace() -> list[Record]:
    """Two rows: of spans by a clock of their own, and of one that fell."""
    counters = {"user_time_s": 0.25, "system_time_s": 0.05, "max_rss_bytes": 4096, "read_bytes": 7, "write_bytes": 0}
    times = {"start_ns": 1_000_000_000, "end_ns": 1_050_000_000, "duration_ms": 50.0}
    call = {"span_id": "s0", "type": "TOOL", "tool_name": "shell", "tool_input": '{"cmd": "ls"}', "tool_output": "a"}
    span = {**call, **times, "telemetry": counters, "exit_code": 0, "parent_span_id": "l0"}
    told = {
        "step_id": "l0",
        "step_number": 1,
        "model_output": "I look",
        "reasoning_content": "hm",
        "duration_ms": 200.0,
    }
    step = {
        **told,
        "tool_calls": [{"name": "shell", "arguments": {"cmd": "ls"}}],
        "input_tokens": 100,
        "output_tokens": 9,
    }
    about = {"trace_id": "t-1", "timestamp_utc": "2026-03-28T13:31:44Z", "prompt": "list", "model": "m-1"}
    whole = {**about, "spans": [span], "llm_steps": [step], "total_duration_ms": 300.0, "metadata": {"task_id": "7"}}
    return [whole, {**copy.deepcopy(whole), "trace_id": "t-2", "metadata": {"error": "it broke", "seed": 3}}]
