"""What an annotator sees as plain text, for other labelling tools."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["plain_texts"]

_View = Mapping[str, Any]


def plain_texts(view: _View) -> dict[str, str]:
    """The texts of a view: `statement`, `before` and `step`, or of a pair `statement`, `left` and `right`."""
    if "step" in view:
        before = _steps(view["before"]) or "This is the first step."
        return {"statement": view["statement"], "before": before, "step": _step(view["step"])}
    left, right = view["sides"]
    return {"statement": view["statement"], "left": _side(left), "right": _side(right)}


def _side(side: _View) -> str:
    patch = side["patch"]["text"] if side["patch"] else "It changed nothing."
    return f"{_steps(side['steps'])}\n\n=== Final change ===\n{patch}"


def _steps(steps: Sequence[_View]) -> str:
    return "\n\n".join(map(_step, steps))


def _step(step: _View) -> str:
    state = "ok" if step["ok"] else f"failed ({step['error'] or 'no reason given'})"
    exit_code = "" if step["exit_code"] is None else f", exit code {step['exit_code']}"
    lines = [f"=== Step {step['number']}: {step['tool'] or 'not understood'} ({state}{exit_code}) ==="]
    if step["thought"]:
        lines.append(f"Thought: {step['thought']}")
    for part in step["parts"]:
        lines.append(
            f"{part['label']}: {part['text']}" if part["form"] == "value" else f"{part['label']}:\n{part['text']}"
        )
    return "\n".join([*lines, f"Observation:\n{step['observation']['text']}"])
