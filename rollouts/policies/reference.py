"""A policy that knows the reference patch and gets there with the ordinary tools.

It looks for each file, reads the lines that change, edits hunk by hunk, runs tests, looks at its diff and submits:
a demonstration of a direct solution, a check that a task can be solved at all, and an upper bound. What the edit
tools cannot express (renames, binary files, missing final newlines, text that occurs twice) goes through
`git apply` in the shell.
"""

import re
import shlex
from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ...envs.step import Step
from ...envs.task import Task
from ...errors import ConfigError, MissingExtra
from .base import Action, Context, PolicyBase, Session, TaskView

if TYPE_CHECKING:
    from unidiff.patch import Hunk, PatchedFile, PatchSet

__all__ = ["ReferencePolicy"]

Play = Generator[Action, Step | None, None]
"""Yields actions and is sent the step that each led to."""

_MARGIN = 8
_TEST_FILES = 3
_WORD = 6


class ReferencePolicy(PolicyBase):
    """Works towards the reference patch."""

    name = "reference"
    privileged = True

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin an episode. Raises ConfigError when the task has no reference patch."""
        if context.solution is None or not context.solution.patch.strip():
            raise ConfigError(f"task {task.instance_id} has no reference patch, so policy `reference` cannot run")
        return _Playing(_play(context.solution))


class _Playing:
    def __init__(self, play: Play) -> None:
        self._play = play
        self._begun = False

    def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        if not self._begun:
            self._begun = True
            return next(self._play)
        return self._play.send(info.get("step"))

    def cancel(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        self._play.close()


def _play(task: Task) -> Play:
    for text in _sections(task.patch):
        files = list(_parse(text))
        for file in files:
            yield from _look(file)
            yield from _change(file, text if len(files) == 1 else str(file))
        if not files:
            yield _apply(text)  # a change of mode, or of bytes
    yield _action("run_tests", "Check that what worked still works.", tests=_tests(task))
    yield _action("git", "Look at the change as a whole.", subcommand="diff")
    while True:
        yield _action("submit", "The change is complete.")


def _sections(patch: str) -> list[str]:
    """The patch of each file; the parser drops what it does not understand, such as binary content."""
    parts = re.split(r"^(?=diff --git )", patch, flags=re.MULTILINE)
    return [part for part in parts if part.strip()]


def _parse(patch: str) -> "PatchSet":
    try:
        from unidiff.patch import PatchSet
    except ImportError as error:
        raise MissingExtra("policy `reference` needs unidiff: pip install 'agent-trajectory-hub[eval]'") from error
    return PatchSet(patch)


def _action(name: str, thought: str, **arguments: Any) -> Action:
    return Action(call={"name": name, "arguments": arguments}, thought=thought)


def _look(file: "PatchedFile") -> Play:
    """Find the file and read what is going to change."""
    if file.is_added_file or file.is_binary_file:
        return
    path = _old_path(file)
    yield _action("search", "Find the file that has to change.", pattern=path.rsplit("/", 1)[-1], kind="name")
    for hunk in file:
        word = _telling_line(hunk)
        if word:
            yield _action("search", "Find the code in question.", pattern=word, path=path)
        first = max(1, hunk.source_start - _MARGIN)
        last = hunk.source_start + hunk.source_length + _MARGIN
        yield _action("file_read", "Read it in its context.", path=path, start=first, end=last)


def _change(file: "PatchedFile", text: str) -> Play:
    if file.is_binary_file or file.is_rename or not len(file) or _has_no_final_newline(file):
        yield _apply(text)
    elif file.is_added_file:
        text = "".join(line.value for hunk in file for line in hunk)
        yield _action("file_write", "Add the file.", path=file.path, content=text)
    elif file.is_removed_file:
        yield _action("shell", "Remove the file.", command=f"rm -f -- {shlex.quote(_old_path(file))}")
    else:
        for hunk in file:
            step = yield _edit(_old_path(file), hunk)
            if step is None or not step.ok:
                yield _apply(f"--- {file.source_file}\n+++ {file.target_file}\n{hunk}")


def _edit(path: str, hunk: "Hunk") -> Action:
    old = "".join(line.value for line in hunk if not line.is_added)
    new = "".join(line.value for line in hunk if not line.is_removed)
    return _action("file_edit", "Make the change.", path=path, old=old or "\n", new=new)


def _apply(patch: str) -> Action:
    end = "" if patch.endswith("\n") else "\n"
    command = f"git apply --recount --whitespace=nowarn - <<'END_OF_PATCH'\n{patch}{end}END_OF_PATCH"
    return _action("shell", "Apply a change that the edit tool cannot express.", command=command)


def _old_path(file: "PatchedFile") -> str:
    return file.source_file.removeprefix("a/")


def _has_no_final_newline(file: "PatchedFile") -> bool:
    return any(line.line_type == "\\" for hunk in file for line in hunk)


def _telling_line(hunk: "Hunk") -> str | None:
    """A line of the old code that is worth searching for."""
    changed = [line.value for line in hunk if line.is_removed]
    kept = [line.value for line in hunk if line.is_context]
    for text in (*changed, *kept):
        if len(text.strip()) >= _WORD:
            return text.strip()[:200]
    return None


def _tests(task: Task) -> list[str]:
    """A few test files that exist before the change; none named means all tests."""
    new = {file.path for file in _parse(task.test_patch) if file.is_added_file} if task.test_patch else set[str]()
    named = (test.partition("::")[0] for test in task.PASS_TO_PASS if "::" in test)
    return list(_unique(path for path in named if path not in new))[:_TEST_FILES]


def _unique(items: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(items)
