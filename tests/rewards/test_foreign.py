"""Steps of other agents are read as ours: what they touch, whether they worked, what they changed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.step import Step
from trajectory_hub.rewards.acts import Act
from trajectory_hub.rewards.foreign import OURS, canonical
from trajectory_hub.rewards.interpret import interpret
from trajectory_hub.rewards.shell import Kind
from trajectory_hub.tools.base import Telemetry

DATA = Path(__file__).parents[2].parent / "shared" / "data"
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_PATCH = """*** Begin Patch
*** Update File: src/a.py
@@ def area
-    return a
+    return a / 2
*** Add File: src/b.py
+x = 1
*** Delete File: src/c.py
*** End Patch"""


def step(tool: str | None, arguments: Mapping[str, Any], saw: str = "", **more: Any) -> Step:
    """A step of some agent."""
    facts: dict[str, Any] = {
        "index": 0,
        "action": str(arguments),
        "ok": True,
        "t_start": _NOW,
        "t_end": _NOW,
        "duration_ms": 1.0,
        **more,
    }
    return Step(tool=tool, arguments=arguments, observation=saw, telemetry=Telemetry(wall_ms=1.0), **facts)


def act(tool: str | None, arguments: Mapping[str, Any], saw: str = "", **more: Any) -> Act:
    """What it is understood as, in a repository at /testbed."""
    return interpret(canonical(step(tool, arguments, saw, **more)), "/testbed")


@pytest.mark.parametrize(
    ("tool", "arguments", "kind", "paths"),
    [
        ("Bash", {"command": "pytest tests/test_a.py -q", "description": "Run"}, Kind.TEST, ("tests/test_a.py",)),
        ("Read", {"file_path": "/testbed/a.py", "offset": 5, "limit": 10}, Kind.READ, ("a.py",)),
        ("Grep", {"pattern": "area", "path": "/testbed/src"}, Kind.SEARCH, ("src",)),
        ("Glob", {"pattern": "**/*.py"}, Kind.SEARCH, ()),
        ("LS", {"path": "/testbed/src"}, Kind.LIST, ("src",)),
        ("TodoWrite", {"todos": []}, Kind.THINK, ()),
        ("Write", {"file_path": "/testbed/b.py", "content": "x"}, Kind.EDIT, ("b.py",)),
        ("Edit", {"file_path": "/testbed/b.py", "old_string": "x", "new_string": "y"}, Kind.EDIT, ("b.py",)),
        ("MultiEdit", {"file_path": "b.py", "edits": [{"old_string": "x", "new_string": "y"}]}, Kind.EDIT, ("b.py",)),
        ("WebSearch", {"query": "numpy"}, Kind.SEARCH, ()),
        ("BashOutput", {"bash_id": "1"}, Kind.IDLE, ()),
        ("shell", {"command": ["bash", "-lc", "ls src/lib"], "workdir": "/testbed"}, Kind.LIST, ("src/lib",)),
        ("exec_command", {"cmd": "sed -n '1,5p' a.py", "workdir": "/testbed/src"}, Kind.READ, ("src/a.py",)),
        ("write_stdin", {"session_id": 1, "chars": ""}, Kind.IDLE, ()),
        ("update_plan", {"plan": []}, Kind.THINK, ()),
        ("apply_patch", {"input": _PATCH}, Kind.EDIT, ("src/a.py", "src/b.py", "src/c.py")),
        ("shell", {"command": ["apply_patch", _PATCH]}, Kind.EDIT, ("src/a.py", "src/b.py", "src/c.py")),
        ("exec_command", {"cmd": f"apply_patch <<'E'\n{_PATCH}\nE"}, Kind.EDIT, ("src/a.py", "src/b.py", "src/c.py")),
        ("bash", {"command": "open src/a.py 10"}, Kind.READ, ("src/a.py",)),
        ("search_dir", {"command": 'search_dir "area" src'}, Kind.SEARCH, ("src",)),
        ("find_file", {"file_name": "a.py", "dir": "src"}, Kind.SEARCH, ("src",)),
        ("submit", {"command": "submit"}, Kind.SUBMIT, ()),
        ("bash", {"command": "submit"}, Kind.SUBMIT, ()),
        ("execute_bash", {"command": "make", "is_input": "false"}, Kind.RUN, ()),
        ("execute_bash", {"command": "C-c", "is_input": "true"}, Kind.IDLE, ()),
        ("file_editor", {"command": "view", "path": "/testbed/a.py", "view_range": [1, 5]}, Kind.READ, ("a.py",)),
        ("str_replace_editor", {"command": "str_replace_editor view /testbed/a.py"}, Kind.READ, ("a.py",)),
        ("str_replace_editor", {"command": "create", "path": "/testbed/n.py", "file_text": "x"}, Kind.EDIT, ("n.py",)),
        ("finish", {"message": "done"}, Kind.SUBMIT, ()),
        ("final_answer", {"answer": "done"}, Kind.SUBMIT, ()),
        ("python_interpreter", {"code": "print(1)"}, Kind.RUN, ()),
        ("think", {"thought": "hm"}, Kind.THINK, ()),
        ("execute_ipython_cell", {"code": "print(1)"}, Kind.RUN, ()),
        ("bash", {"command": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff"}, Kind.SUBMIT, ()),
        ("run_shell_command", {"command": "git status", "dir_path": "src"}, Kind.VCS, ()),
        ("read_file", {"absolute_path": "/testbed/a.py", "offset": 0, "limit": 5}, Kind.READ, ("a.py",)),
        ("write_file", {"file_path": "/testbed/n.py", "content": "x"}, Kind.EDIT, ("n.py",)),
        ("replace", {"file_path": "/testbed/a.py", "old_string": "a", "new_string": "b"}, Kind.EDIT, ("a.py",)),
        ("glob", {"pattern": "*.py"}, Kind.SEARCH, ()),
        ("search_file_content", {"pattern": "area", "include": "*.py"}, Kind.SEARCH, ()),
        ("list_directory", {"path": "/testbed/src"}, Kind.LIST, ("src",)),
    ],
)  # fmt: skip
def test_tools_of_other_agents(tool: str, arguments: dict[str, Any], kind: Kind, paths: tuple[str, ...]) -> None:
    found = act(tool, arguments)
    assert found.step.tool in OURS and found.kind is kind and found.paths == paths


def test_our_own_steps_and_unknown_tools_are_left_alone() -> None:
    for tool, arguments in (("file_read", {"path": "a.py"}), ("shell", {"command": "ls"}), ("Task", {"prompt": "x"})):
        own = step(tool, arguments)
        assert canonical(own) is own
    malformed = step(None, {}, error="malformed_action")
    assert canonical(malformed) is malformed


def test_lines_shown_are_known() -> None:
    claude = act("Read", {"file_path": "/testbed/a.py", "offset": 5, "limit": 2}, "     5→def f():\n     6→    pass\n")
    assert [(span.start, span.end, span.asked) for span in claude.spans] == [(5, 6, True)]
    window = "[File: /testbed/a.py (90 lines total)]\n(4 more lines above)\n5:def f():\n6:    pass\n"
    assert [(s.path, s.start, s.end) for s in act("open", {"command": "open a.py 5"}, window).spans] == [("a.py", 5, 6)]


def test_contents_before_and_after_are_known_where_the_record_keeps_them() -> None:
    told = {"originalFile": "a = 1\nb = 1\n", "type": "update"}
    edit = act("Edit", {"file_path": "/testbed/a.py", "old_string": "b = 1", "new_string": "b = 2"}, data=told).edits[0]
    back = act(
        "Write", {"file_path": "/testbed/a.py", "content": "a = 1\nb = 1\n"}, data={"originalFile": "a = 1\nb = 2\n"}
    ).edits[0]
    assert edit.line == 2 and edit.after == back.before and edit.before == back.after is not None
    new = act("Write", {"file_path": "/testbed/n.py", "content": "x"}, data={"type": "create"}).edits[0]
    assert new.created and new.changed
    observed = {"prev_exist": False, "old_content": None}
    create = {"command": "create", "path": "/testbed/n.py", "file_text": "x"}
    assert act("str_replace_editor", create, data=observed).edits[0].created


def test_patches_of_several_files_tell_each() -> None:
    found = act("apply_patch", {"input": _PATCH}).edits
    assert [(edit.path, edit.created, edit.after == "absent") for edit in found] == [
        ("src/a.py", False, False),
        ("src/b.py", True, False),
        ("src/c.py", False, True),
    ]
    assert not any(
        edit.changed for edit in act("apply_patch", {"input": _PATCH}, "Error: no such line", ok=False).edits
    )


@pytest.mark.parametrize(
    ("tool", "arguments", "saw"),
    [
        ("str_replace_editor", {"command": "str_replace", "path": "a.py", "old_str": "x", "new_str": "y"},
         "ERROR:\nNo replacement was performed, old_str `x` did not appear verbatim in a.py."),
        ("Edit", {"file_path": "a.py", "old_string": "x", "new_string": "y"},
         "<tool_use_error>String to replace not found in file.</tool_use_error>"),
        ("edit", {"command": "edit 1:1\nx\nend_of_edit"}, "Your proposed edit has introduced new syntax error(s)."),
    ],
)  # fmt: skip
def test_refusals_in_words_are_refusals(tool: str, arguments: dict[str, Any], saw: str) -> None:
    found = act(tool, arguments, saw)
    assert found.failed and found.kind is Kind.EDIT and not found.repository_edits


def test_an_edit_of_a_window_knows_file_and_line() -> None:
    state = {"state": {"open_file": "/testbed/src/a.py", "working_dir": "/testbed"}}
    found = act("edit", {"command": "edit 12:14\nreturn 1\nend_of_edit"}, "File updated.", data=state)
    assert [(edit.path, edit.line, edit.changed) for edit in found.edits] == [("src/a.py", 12, True)]


def test_the_same_request_has_the_same_signature_whatever_the_tool() -> None:
    claude = act("Bash", {"command": "pytest  -q"})
    assert claude.signature == act("shell", {"command": "pytest -q"}).signature
    assert claude.signature == act("execute_bash", {"command": "pytest -q", "is_input": "false"}).signature


@pytest.mark.skipif(not (DATA / "agentcgroup").is_dir(), reason="the shared records of others are not here")
def test_real_records_are_understood(tmp_path: Path) -> None:
    from trajectory_hub.rollouts.adapters.engine import IngestConfig, ingest
    from trajectory_hub.rollouts.trajectory import read_trajectories

    sessions = "tracelab/example_sessions"
    names = ("agentcgroup", "openhands", "openhands-sdk", "sweagent", f"{sessions}/claude", f"{sessions}/codex")
    ingest([DATA / name for name in names], tmp_path / "run", IngestConfig(max_workers=1))
    told = [one for t in read_trajectories(tmp_path / "run") for one in t.steps if not one.malformed]
    told = [one for one in told if one.arguments or one.tool == "submit"]
    unknown = [str(one.tool) for one in told if canonical(one).tool not in OURS]
    known = f"{len(told) - len(unknown)} of {len(told)}"
    print(f"{known} real steps are read as ours; left alone: {sorted(set(unknown))}")
    assert len(told) > 400 and len(unknown) / len(told) < 0.01
