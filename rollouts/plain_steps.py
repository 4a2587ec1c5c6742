"""A step's events as plain data: what is made here is right by construction, and is recorded at every step."""

from collections.abc import Mapping
from typing import Any, cast

from ..envs.step import Step
from . import payloads
from .payloads import Plain

__all__ = ["plain_call", "plain_metric", "plain_result", "plain_reward"]

_CRITERION = frozenset(payloads.CriterionRecord.model_fields)


def plain_call(step: Step, call_id: str | None) -> Plain:
    """The action of a step, as `payloads.ToolCall`."""
    fields = {
        "step": step.index,
        "tool": step.tool,
        "arguments": step.arguments,
        "action": step.action,
        "thought": step.thought,
        "malformed": step.malformed,
        "call_id": call_id,
        "request_id": None,
    }
    return Plain(payloads.ToolCall, fields)


def plain_result(step: Step) -> Plain:
    """What a step led to, as `payloads.ToolResult`."""
    fields = {
        "step": step.index,
        "tool": step.tool,
        "ok": step.ok,
        "error": step.error,
        "exit_code": step.exit_code,
        "observation": step.observation,
        "data": step.data,
        "internal_ms": None,
    }
    return Plain(payloads.ToolResult, fields)


def plain_reward(step: Step, reward: float, info: Mapping[str, Any]) -> Plain:
    """What a step was worth, as `payloads.StepReward`."""
    scores = cast("Mapping[str, Mapping[str, Any]]", info.get("scores") or {})
    fields: dict[str, Any] = {
        "step": step.index,
        "reward": float(reward),
        "criteria": [_criterion(name, score) for name, score in scores.items()],
        "process": info.get("process"),
    }
    record = info.get("score_record")
    return Plain(payloads.StepReward, fields if record is None else fields | {"record": record})


def _criterion(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    score = told.get("score")
    fields: dict[str, Any] = {
        "criterion": name,
        "score": None if score is None else float(score),
        "layer": told.get("layer"),
        "rules": told.get("rules", ()),
        "set_aside_by": told.get("set_aside_by"),
    }
    for more in told:
        if more not in _CRITERION:
            fields[more] = told[more]
    return fields


def plain_metric(step: Step) -> Plain:
    """What a step cost, as `payloads.SandboxMetric`."""
    spent = step.telemetry
    fields = {
        "scope": "step",
        "step": step.index,
        "wall_ms": float(spent.wall_ms),
        "cpu_user_s": spent.cpu_user_s,
        "cpu_system_s": spent.cpu_system_s,
        "cpu_s": spent.cpu_s,
        "memory_peak_bytes": spent.memory_peak_bytes,
        "memory_bytes": spent.memory_bytes,
        "io_read_bytes": spent.io_read_bytes,
        "io_write_bytes": spent.io_write_bytes,
        "net_rx_bytes": spent.net_rx_bytes,
        "net_tx_bytes": spent.net_tx_bytes,
        "pids": spent.pids,
        "oom_kills": spent.oom_kills,
        "pressure_cpu_us": spent.pressure_cpu_us,
        "pressure_memory_us": spent.pressure_memory_us,
        "pressure_io_us": spent.pressure_io_us,
        "power_w": None,
        "energy_j": None,
        "sources": spent.sources,
    }
    return Plain(payloads.SandboxMetric, fields)
