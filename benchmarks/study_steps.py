"""What the agents of the human study called, as steps of ours: each call under the tool of ours that does the same.

Only what the study's text shows is told: an exit status, for example, is none of its facts, so a command counts as
failed when the end of its output says so.
"""

import ast
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from ..envs.step import Step
from ..tools.base import Telemetry

__all__ = ["READERS", "make_step"]

Reading = dict[str, Any]
"""Fields of a `Step`: `tool`, `arguments`, and what else differs from a call that went well."""

_WHEN = datetime(2024, 1, 1, tzinfo=UTC)
_NO_COST = Telemetry(wall_ms=0.0)
_FAILURE = re.compile(
    r"^(?:\w+\.)*\w*(?:Error|Exception|Warning: Failed)\b.*$|^FAILED\b|^=+ .*\b\d+ (?:failed|errors?)\b|"
    r"command not found|No such file or directory|Bad file descriptor|^BUILD FAILED|Segmentation fault",
    re.MULTILINE,
)
_NUMBERED = re.compile(r"^ *(\d+)\t", re.MULTILINE)
_LINE = re.compile(r"^Line (\d+):", re.MULTILINE)
_CALL = re.compile(r"(search_\w+)\(([^)]*)\)")
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_FAILING = re.compile(r"There are (\d+) failing test cases")
_MALFORMED: Reading = {"tool": None, "ok": False, "error": "malformed_action"}


def make_step(agent: str, index: int, thought: str, action: str, result: str) -> Step:
    """One iteration of the study as a step."""
    fields: Reading = {"ok": True, "observation": result, **READERS[agent](action, result, thought)}
    return Step(
        index=index,
        action=action,
        thought=thought if thought not in ("", "None") else None,
        telemetry=_NO_COST,
        t_start=_WHEN,
        t_end=_WHEN,
        duration_ms=0.0,
        **fields,
    )


def _literal(text: str) -> dict[str, Any]:
    """A dictionary written as Python writes it; empty when it is none."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {}
    return _mapping(found)


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _items(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _editor_agent(action: str, result: str, thought: str) -> Reading:
    """An agent with a shell and a string-replacing editor, its calls in the format of OpenAI's functions."""
    call = _literal(action)
    try:
        arguments: dict[str, Any] = json.loads(call.get("arguments", ""))
    except (TypeError, ValueError):
        return _MALFORMED
    if call.get("name") == "execute_bash":
        return _command(str(arguments.get("command", "")), result)
    maker = _EDITOR.get(str(arguments.get("command")))
    return maker(arguments, result) if maker else _MALFORMED


def _command(command: str, result: str) -> Reading:
    """A shell command; the study shows it once more at the head of its output."""
    shown = result.removeprefix(command).lstrip("\r\n")
    failed = _FAILURE.search(shown[-1_500:]) is not None
    return {
        "tool": "shell",
        "arguments": {"command": command},
        "observation": shown,
        "exit_code": int(failed),
        "data": {"command": command},
    }


def _view(arguments: Mapping[str, Any], result: str) -> Reading:
    path = str(arguments.get("path", ""))
    shown = [int(number) for number in _NUMBERED.findall(result)]
    asked = _items(arguments.get("view_range"))
    given: dict[str, Any] = {"path": path} | ({"start": asked[0], "end": asked[-1]} if asked else {})
    if not shown:
        return {"tool": "search", "arguments": {"path": path, "kind": "files"}, **_refusal(result)}
    data = {"path": path, "start": shown[0], "end": shown[-1]}
    return {"tool": "file_read", "arguments": given, "data": data}


def _create(arguments: Mapping[str, Any], result: str) -> Reading:
    given = {"path": arguments.get("path"), "content": arguments.get("file_text")}
    return {"tool": "file_write", "arguments": given, "data": {"created": True}, **_refusal(result)}


def _replace(arguments: Mapping[str, Any], result: str) -> Reading:
    given = {"path": arguments.get("path"), "old": arguments.get("old_str"), "new": arguments.get("new_str")}
    shown = [int(number) for number in _NUMBERED.findall(result)]
    data = {"line": shown[len(shown) // 2]} if shown else {}
    return {"tool": "file_edit", "arguments": given, "data": data, **_refusal(result)}


def _refusal(result: str) -> Reading:
    if not result.startswith("ERROR"):
        return {}
    known = (("Multiple occurrences", "not_unique"), ("did not appear", "not_found"))
    return {"ok": False, "error": next((error for mark, error in known if mark in result), "refused")}


_EDITOR: dict[str, Callable[[Mapping[str, Any], str], Reading]] = {
    "view": _view,
    "create": _create,
    "str_replace": _replace,
}


def _repair_agent(action: str, result: str, thought: str) -> Reading:
    """An agent with commands of its own, its calls as name and arguments."""
    call = _literal(action)
    name, arguments = str(call.get("name")), _mapping(call.get("args"))
    shown = re.sub(r"^\s*The result of executing that last command is:\s*", "", result)
    shown = re.sub(rf"^(?:Command {re.escape(name)} returned(?: a lengthy response[^:]*)?:|Failure:)\s*", "", shown)
    if not call or "unknown command" in shown:
        return {**_MALFORMED, "observation": shown}
    maker = _REPAIR.get(name, _think)
    reading = maker(arguments, shown)
    reading["observation"] = shown
    if shown.startswith("Error:"):
        reading |= {"ok": False, "error": "refused"}
    return reading


def _range(arguments: Mapping[str, Any], shown: str) -> Reading:
    path = str(arguments.get("filepath", ""))
    numbers = [int(number) for number in _LINE.findall(shown)]
    data = {"path": path, "start": numbers[0], "end": numbers[-1]} if numbers else {"path": path}
    given = {"path": path, "start": arguments.get("startline"), "end": arguments.get("endline")}
    return {"tool": "file_read", "arguments": given, "data": data}


def _lookup(arguments: Mapping[str, Any], shown: str) -> Reading:
    """The code of a named method or test, or every place that has some words."""
    named = arguments.get("method_name") or arguments.get("code_snippet") or arguments.get("key_words")
    named = named or arguments.get("keywords") or arguments.get("test_case_name") or ""
    pattern = " ".join(map(str, _items(named))) or str(named)
    path = arguments.get("filepath") or arguments.get("file_path") or arguments.get("test_file_path")
    truncated = "returned too much output" in shown
    given = {"pattern": pattern or None, "path": path}
    failed = {"ok": False, "error": "too_large"} if truncated else {}
    return {"tool": "search", "arguments": given, "data": {"truncated": truncated}, **failed}


def _fix(arguments: Mapping[str, Any], shown: str) -> Reading:
    """A change of named lines; it is tested at once, and taken back by the next one."""
    changes = arguments.get("changes_dicts")
    first = _mapping(next(iter(_items(changes)), None))
    given = {"path": str(first.get("file_name", "")), "new": json.dumps(changes, sort_keys=True, default=str)}
    done = shown.startswith("Lines written")
    failing = _FAILING.search(shown)
    passed = done and failing is not None and failing[1] == "0"
    refused: Reading = {} if done else {"ok": False, "error": "refused"}
    return {"tool": "file_edit", "arguments": given, "exit_code": int(not passed) if done else None, **refused}


def _tested(arguments: Mapping[str, Any], shown: str) -> Reading:
    return {"tool": "run_tests", "arguments": {}, "exit_code": int("0 failing" not in shown)}


def _think(arguments: Mapping[str, Any], shown: str) -> Reading:
    """A hypothesis, a change of mind: words that touch nothing."""
    return {"tool": "think", "arguments": dict(arguments)}


_REPAIR: dict[str, Callable[[Mapping[str, Any], str], Reading]] = {
    "read_range": _range,
    "extract_method_code": _lookup,
    "extract_test_code": _lookup,
    "search_code_base": _lookup,
    "extract_similar_functions_calls": _lookup,
    "get_classes_and_methods": _lookup,
    "write_fix": _fix,
    "run_tests": _tested,
}


def _searching_agent(action: str, result: str, thought: str) -> Reading:
    """An agent that searches for names, thinks in named phases, and writes its patch into its thought."""
    calls = _CALL.findall(action)
    if calls:
        operands = [one or other for _, inside in calls for one, other in _QUOTED.findall(inside)]
        return {"tool": "search", "arguments": {"pattern": " ".join(operands)}}
    if action == "write_patch":
        path = re.search(r"<file>([^<]+)</file>", thought)
        return {"tool": "file_edit", "arguments": {"path": path[1] if path else "", "new": thought}}
    return {"tool": "think", "arguments": {"phase": action}} if action else _MALFORMED


READERS: dict[str, Callable[[str, str, str], Reading]] = {
    "autocoderover": _searching_agent,
    "openhands": _editor_agent,
    "repairagent": _repair_agent,
}
"""How each agent's calls are read: action, result and thought to the fields of a step."""
