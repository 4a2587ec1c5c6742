"""Other agents' tools, read as ours, so that `interpret` knows what a step of Claude Code, Codex or SWE-agent does.

`canonical` changes how a step is *read*, never what is recorded of it. A tool that does nothing that one of ours does
(a subagent, a question to the user) is left as it is.
"""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

from ..envs.step import Step
from .foreign_edits import is_patch, read_editor, read_file, read_many_edits, read_patch, read_write, text_argument
from .foreign_edits import read_edit as read_replacement
from .foreign_shell import SWE_AGENT, read_command, read_edit_tool, read_swe_agent
from .foreign_tools import OURS, Reader, Reading, files_named, path_of, text_of
from .text import listed

__all__ = ["OURS", "canonical"]


def canonical(step: Step) -> Step:
    """The step as one of our tools, where it is one; else the step itself. Pure."""
    if step.malformed:
        return step
    reader = _READERS.get(step.tool) if step.tool is not None else read_command
    if reader is None:
        return step
    found = reader(step)
    if found is None or (found.tool == step.tool and found.arguments == step.arguments and not found.data):
        return step
    read = replace(step, tool=found.tool, arguments=found.arguments, data={**step.data, **found.data})
    if found.exit_code is not None:
        return replace(read, ok=True, error=None, exit_code=found.exit_code)
    ok = step.ok if found.ok is None else found.ok
    return replace(read, ok=ok, error=step.error if ok or step.error is not None else "refused")


def _own_shell(step: Step) -> Reading | None:
    """Our own shell is left alone; Codex' tool of the same name is given a list."""
    command = step.arguments.get("command")
    plain = isinstance(command, str) and not is_patch(command) and command.split(" ", 1)[0] not in SWE_AGENT
    return None if plain and not step.arguments.get("workdir") else read_command(step)


def _patch(step: Step) -> Reading | None:
    return read_patch(step, text_argument(step))


def _search(step: Step, *, kind: str = "content") -> Reading | None:
    given, told = step.arguments, step.data
    pattern = text_of(given.get("pattern") or given.get("query") or given.get("regex"))
    names: object = told.get("filenames") or told.get("files")
    found = [str(name) for name in cast("list[object]", names)] if isinstance(names, list) else []
    where = path_of({key: value for key, value in given.items() if key != "pattern"})
    arguments: dict[str, Any] = {"pattern": pattern, "kind": kind}
    arguments |= {"path": where} if where else {}
    arguments |= {name: given[name] for name in ("glob", "include", "type") if isinstance(given.get(name), str)}
    files = found or ([where] if where and "." in where.rsplit("/", 1)[-1] else files_named(step.observation))
    return Reading("search", arguments, {"files": files, "truncated": bool(told.get("truncated"))})


def _web_search(step: Step) -> Reading | None:
    return Reading("search", {"pattern": text_of(step.arguments.get("query")), "kind": "web"}, {"files": []})


def _fetch(step: Step) -> Reading | None:
    return _command(f"curl {shlex.quote(text_of(step.arguments.get('url')) or text_argument(step))}")


def _list(step: Step) -> Reading | None:
    return _command(f"ls {shlex.quote(path_of(step.arguments) or '.')}")


def _command(command: str) -> Reading:
    return Reading("shell", {"command": command}, {"command": command})


def _wait(step: Step) -> Reading | None:
    """Looking after a command that runs in the background."""
    typed = text_of(step.arguments.get("chars"))
    return _command(typed.strip()) if typed.strip().isprintable() and typed.strip() else _command("wait")


def _kill(step: Step) -> Reading | None:
    return _command("kill")


def _think(step: Step) -> Reading | None:
    return Reading("think", {"thought": text_of(step.arguments.get("thought")) or step.action})


def _finish(step: Step) -> Reading | None:
    return Reading("submit", {})


def _python(step: Step) -> Reading | None:
    """Code for an interpreter, as a shell would be given it."""
    code = text_argument(step)
    return _command(f"python - <<'CODE'\n{code}\nCODE")


def _swe_agent(step: Step) -> Reading | None:
    """A command of SWE-agent that is a tool of its own: as text, or with arguments that have names."""
    given, tool = step.arguments, str(step.tool)
    command = given.get("command")
    if not isinstance(command, str):
        words = (str(value) for value in given.values() if isinstance(value, str | int))
        command = step.action if step.action.startswith(tool) else shlex.join([tool, *words])
    return read_swe_agent(step, command)


def _named(names: str, reader: Reader) -> Mapping[str, Reader]:
    return dict.fromkeys(listed(names), reader)


_READERS: Mapping[str, Reader] = {
    "shell": _own_shell,
    **_named(
        "Bash bash exec_command local_shell execute_bash terminal run_shell_command run run_command cmd_run "
        "shell_command container.exec execute_command bash_command run_in_terminal run_terminal_cmd",
        read_command,
    ),
    **_named(" ".join(SWE_AGENT - {"edit", "str_replace_editor"}), _swe_agent),
    "edit": read_edit_tool,
    "str_replace_editor": lambda step: read_editor(step) or read_command(step),
    **_named("str_replace_based_edit_tool file_editor text_editor oh_editor planning_file_editor", read_editor),
    **_named("Read NotebookRead view_file view open_file read_text_file cat", read_file),
    **_named("read_file read_many_files", partial(read_file, zero=True)),
    "read": read_file,
    **_named("Write write_file create_file Create", read_write),
    "write": read_write,
    **_named("Edit replace str_replace edit_file NotebookEdit search_replace insert_edit", read_replacement),
    **_named("MultiEdit multi_edit multiedit", read_many_edits),
    **_named("apply_patch", _patch),
    **_named("Grep grep search_file_content grep_search search_files grep_files SearchText", _search),
    **_named("Glob glob file_search FindFiles find_by_name", partial(_search, kind="name")),
    **_named("LS list_directory list_dir ls list_files", _list),
    **_named("WebSearch google_web_search web_search", _web_search),
    **_named("WebFetch web_fetch fetch browse browser_navigate", _fetch),
    **_named("BashOutput write_stdin TaskOutput view_process wait", _wait),
    **_named("KillShell KillBash TaskStop kill_process", _kill),
    **_named("TodoWrite TodoRead update_plan task_tracker write_todos sequentialthinking ExitPlanMode", _think),
    **_named("TaskCreate TaskUpdate TaskList TaskGet EnterPlanMode save_memory condensation_request recall", _think),
    **_named("finish complete attempt_completion task_complete exit_forfeit exit submit_result final_answer", _finish),
    **_named("execute_ipython_cell run_ipython python python_interpreter code_interpreter execute_python", _python),
}
