"""What the output of one of Codex's tools, and what the program tells of the call, say about how it went."""

import re
from contextlib import suppress
from typing import Any

from .reading import NotJson, as_dict, as_float, as_text, parse_json

__all__ = ["exit_code", "internal_ms", "program_output", "said_error", "said_failed"]

_EXIT = re.compile(r"(?:Exit code|Process exited with code)[: ]+(-?\d{1,9})")
_WALL = re.compile(r"^Wall time:\s*(\d+(?:\.\d+)?)\s*seconds\b", re.MULTILINE)
_HEAD = 4096


def said_error(output: Any) -> bool | None:
    """Whether a tool's output says that it failed; None when it says nothing."""
    if not isinstance(output, str):
        return None
    found = _EXIT.search(output)
    if found:
        return int(found[1]) != 0
    metadata = _metadata(output)
    code, success = metadata.get("exit_code"), metadata.get("success")
    if isinstance(code, int):
        return code != 0
    return not success if isinstance(success, bool) else None


def _metadata(output: str) -> dict[str, Any]:
    """Of an output that is JSON, as earlier versions wrote it."""
    if output[:1] == "{" and output[-1:] == "}":
        with suppress(NotJson):
            return as_dict(as_dict(parse_json(output)).get("metadata"))
    return {}


def program_output(facts: dict[str, Any]) -> Any:
    """What a tool printed, as the program tells it."""
    if "aggregated_output" in facts:
        return facts["aggregated_output"]
    return as_text(facts.get("stdout")) + as_text(facts.get("stderr"))


def said_failed(facts: dict[str, Any]) -> bool | None:
    """Whether the program says that a call failed; None when it says nothing."""
    code, success = facts.get("exit_code"), facts.get("success")
    if isinstance(code, int):
        return code != 0
    return not success if isinstance(success, bool) else None


def exit_code(facts: dict[str, Any], output: str) -> int | None:
    """The exit code, from the program or from the output."""
    code = facts.get("exit_code", _metadata(output).get("exit_code"))
    if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 1 << 31:
        return code
    found = _EXIT.search(output)
    return int(found[1]) if found else None


def internal_ms(facts: dict[str, Any], output: Any) -> float | None:
    """How long the tool itself says it took."""
    duration = as_dict(facts.get("duration"))
    seconds, nanos = as_float(duration.get("secs")), as_float(duration.get("nanos"))
    if seconds is not None:
        return seconds * 1000 + (nanos or 0.0) / 1e6
    if not isinstance(output, str):
        return None
    found = _WALL.search(output, 0, _HEAD)
    if found:
        return float(found[1]) * 1000
    told = as_float(_metadata(output).get("duration_seconds"))
    return told * 1000 if told is not None else None
