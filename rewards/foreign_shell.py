"""Foreign shells: commands as text or lists, with a folder, and the commands of SWE-agent's own interface."""

import posixpath
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from ..envs.step import Step
from .foreign_edits import is_patch, read_edit, read_editor, read_patch
from .foreign_exits import exit_code_of
from .foreign_tools import Reading, files_named, number, refused, shown_lines, text_of
from .text import listed

__all__ = ["SWE_AGENT", "read_command", "read_swe_agent"]

_SHELLS = listed("bash sh zsh dash pwsh powershell cmd")
_FOLDERS = ("workdir", "cwd", "directory", "dir_path", "working_directory")
_DONE = ("COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT", "MINI_SWE_AGENT_FINAL_OUTPUT")
_TAIL = 1_500
_SHOWN = re.compile(r"\((Open file|Current directory): (.+?)\)\s*$", re.MULTILINE)
_OPENED = re.compile(r"\[File: (.+?) \(\d+ lines total\)\]")
_RANGE = re.compile(r"edit[ \t]+(\d+):(\d+)[^\n]*\n(.*?)(?:\nend_of_edit\s*)?\Z", re.DOTALL)
SWE_AGENT = listed(
    "open goto scroll_up scroll_down create edit insert append undo_edit search_dir search_file find_file "
    "str_replace_editor submit filemap view_map"
)
"""Commands that only SWE-agent's interface has."""


def read_command(step: Step) -> Reading | None:
    """A shell command, whatever the tool calls its argument."""
    command = _command(step)
    if command is None:
        return None
    if is_patch(command) and "apply_patch" in command:
        return read_patch(step, command)
    word = command.split(None, 1)[0] if command.strip() else ""
    if word in SWE_AGENT:
        found = read_swe_agent(step, command)
        if found is not None:
            return found
    if any(mark in command for mark in _DONE):
        return Reading("submit", {})
    if step.arguments.get("is_input") in (True, "true"):
        return Reading("shell", {"command": "wait"}, {"command": "wait"})
    return _in_shell(step, command)


def _in_shell(step: Step, command: str) -> Reading:
    folder = next((text_of(step.arguments.get(name)) for name in _FOLDERS if step.arguments.get(name)), "")
    code = exit_code_of(step, command)
    command = f"cd {shlex.quote(folder)} && {command}" if folder else command
    return Reading("shell", {"command": command}, {"command": command}, exit_code=code)


def _command(step: Step) -> str | None:
    given = step.arguments
    value: object = next((given[name] for name in ("command", "cmd", "script", "input") if name in given), None)
    if isinstance(value, list | tuple):
        return _joined([str(word) for word in cast("list[object]", value)])
    if isinstance(value, str):
        return value
    return step.action if not given and step.action else None


def _joined(words: list[str]) -> str:
    """The script of `bash -lc SCRIPT`, else the words as a command."""
    if len(words) >= 3 and words[0].rsplit("/", 1)[-1] in _SHELLS and words[1].startswith(("-", "/")):
        return words[-1]
    return shlex.join(words)


def read_swe_agent(step: Step, command: str) -> Reading | None:
    """A command of SWE-agent's interface, as text."""
    word, _, rest = command.strip().partition(" ")
    word = word.split("\n", 1)[0]
    reader = _COMMANDS.get(word)
    return reader(step, _words(rest), command) if reader else None


def _words(rest: str) -> list[str]:
    first = rest.split("\n", 1)[0]
    try:
        return shlex.split(first)
    except ValueError:
        return first.split()


def _state(step: Step) -> Mapping[str, Any]:
    """What SWE-agent says of itself: beside the observation, or in its last lines."""
    state: object = step.data.get("state")
    if isinstance(state, Mapping):
        return cast("Mapping[str, Any]", state)
    shown = dict(_SHOWN.findall(step.observation[-_TAIL:].replace("\r", "")))
    return {"open_file": shown.get("Open file", ""), "working_dir": shown.get("Current directory", "")}


def _opened(step: Step) -> str:
    """The file that is open after the step."""
    found = _OPENED.search(step.observation)
    if found:
        return _placed(step, found[1])
    path = text_of(_state(step).get("open_file"))
    return "" if path == "n/a" else path


def _placed(step: Step, path: str) -> str:
    """A path of the command, relative to where the agent was."""
    folder = text_of(_state(step).get("working_dir"))
    return posixpath.normpath(posixpath.join(folder, path)) if folder and path else path


def _open(step: Step, words: list[str], command: str) -> Reading:
    path = _opened(step) or (_placed(step, words[0]) if words else "")
    ok = not refused(step)
    lines = shown_lines(step.observation) if ok else None
    facts: dict[str, Any] = {"path": path} | ({"start": lines[0], "end": lines[1]} if lines else {})
    asked = {"start": lines[0], "end": lines[1]} if lines and (len(words) > 1 or not words) else {}
    return Reading("file_read", {"path": path, **asked}, facts, ok)


def _scroll(step: Step, words: list[str], command: str) -> Reading:
    return _open(step, [], command)


def _create(step: Step, words: list[str], command: str) -> Reading:
    path = _opened(step) or (_placed(step, words[0]) if words else "")
    ok = not refused(step)
    return Reading("file_write", {"path": path, "content": ""}, {"path": path, "created": ok, "changed": ok}, ok)


def _edit(step: Step, words: list[str], command: str) -> Reading:
    """`edit 3:5` and the lines that replace them, or `edit SEARCH REPLACE`."""
    path, ok = _opened(step), not refused(step)
    found = _RANGE.match(command.strip())
    if found:
        facts = {"path": path, "changed": ok, "line": int(found[1])}
        arguments = {"path": path, "old": f"lines {found[1]} to {found[2]}", "new": found[3]}
        return Reading("file_edit", arguments, facts, ok)
    old, new = (words[0], words[1]) if len(words) > 1 else (command, "")
    return Reading("file_edit", {"path": path, "old": old, "new": new}, {"path": path, "changed": ok}, ok)


def _undo(step: Step, words: list[str], command: str) -> Reading:
    path, ok = _opened(step), not refused(step)
    return Reading("file_edit", {"path": path, "old": "", "new": ""}, {"path": path, "changed": ok, "undo": True}, ok)


def _search(step: Step, words: list[str], command: str) -> Reading:
    by_name = command.startswith("find_file")
    where = _placed(step, words[1]) if len(words) > 1 else _opened(step) if command.startswith("search_file") else ""
    arguments = {"pattern": words[0] if words else "", "kind": "name" if by_name else "content"}
    arguments |= {"path": where} if where else {}
    return Reading("search", arguments, {"files": files_named(step.observation)})


def _submit(step: Step, words: list[str], command: str) -> Reading:
    return Reading("submit", {})


def _editor(step: Step, words: list[str], command: str) -> Reading | None:
    """`str_replace_editor VERB PATH --option VALUE …`, whose values may run over lines."""
    try:
        words = shlex.split(command)[1:]
    except ValueError:
        words = command.split()[1:]
    options: dict[str, Any] = dict(zip(("command", "path"), words, strict=False))
    name, values = "", list[str]()
    for word in [*words[2:], "--"]:
        if word.startswith("--"):
            options |= {name: values[0] if len(values) == 1 else [number(value) for value in values]} if name else {}
            name, values = word[2:], []
        else:
            values.append(word)
    return read_editor(replace(step, arguments=options))


def _map(step: Step, words: list[str], command: str) -> Reading:
    return Reading("file_read", {"path": _placed(step, words[0]) if words else ""})


_COMMANDS: dict[str, Callable[[Step, list[str], str], Reading | None]] = {
    **dict.fromkeys(("open",), _open),
    **dict.fromkeys(("goto", "scroll_up", "scroll_down"), _scroll),
    **dict.fromkeys(("edit", "insert", "append"), _edit),
    **dict.fromkeys(("search_dir", "search_file", "find_file"), _search),
    **dict.fromkeys(("filemap", "view_map"), _map),
    "create": _create,
    "undo_edit": _undo,
    "submit": _submit,
    "str_replace_editor": _editor,
}


def read_edit_tool(step: Step) -> Reading | None:
    """A tool named `edit`: SWE-agent's command, or arguments that name file and texts (the open file, by default)."""
    command = step.arguments.get("command")
    if isinstance(command, str) and command.lstrip().startswith("edit"):
        return read_swe_agent(step, command)
    if isinstance(command, str) and path_given(step):
        return read_editor(step)
    if path_given(step):
        return read_edit(step)
    return read_edit(replace(step, arguments={**step.arguments, "path": _opened(step)}))


def path_given(step: Step) -> bool:
    """Whether the arguments name a file."""
    return isinstance(step.arguments.get("path") or step.arguments.get("file_path"), str)
