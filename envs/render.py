"""Steps as text for people, with everything an agent wrote made harmless."""

import json

from ..console import safe
from ..errors import StopReason
from .step import Step
from .task import Task

__all__ = ["render_reset", "render_step"]

_LINES = 30


def render_reset(task: Task) -> str:
    """The head of an episode."""
    first = task.problem_statement.strip().split("\n", 1)[0]
    return f"=== {safe(task.instance_id)} ({safe(task.repo)}): {safe(first)}"


def render_step(step: Step, stop_reason: StopReason | None) -> str:
    """One step: what was asked, how it ended, what came back."""
    asked = json.dumps(dict(step.arguments), ensure_ascii=False, default=str)
    ended = step.error or (f"exit {step.exit_code}" if step.exit_code is not None else "ok")
    lines = [f"[{step.index}] {safe(step.tool)} {safe(asked[:500])}  -> {ended}, {step.duration_ms:.1f} ms"]
    if step.thought:
        lines.insert(0, f"    # {safe(step.thought[:500])}")
    observed = safe(step.observation, keep_newlines=True).split("\n")
    lines += [f"    {line}" for line in observed[:_LINES]]
    if len(observed) > _LINES:
        lines.append(f"    … {len(observed) - _LINES} more lines")
    if stop_reason is not None:
        lines.append(f"=== end: {stop_reason}")
    return "\n".join(lines)
