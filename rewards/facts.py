"""What a task says about itself, prepared once an episode: names in its statement, and (privileged) its patch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..envs.task import Task
from .paths import Role, normal, role
from .text import names, path_key, words

__all__ = ["TaskFacts", "changed_lines"]

_TARGET = re.compile(r"^(?:---|\+\+\+) (?:[ab]/)?(.+?)(?:\t.*)?$")
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """The facts of a task that rules use."""

    workdir: str
    network: bool
    tests_by_tool: bool
    """Whether `run_tests` can run this repository's tests; a shell has to, otherwise."""
    words: frozenset[str]
    """Every word and path of the statement."""
    issue_names: tuple[str, ...]
    """Code names the statement mentions."""
    reference: Mapping[str, tuple[tuple[int, int], ...]]
    """Privileged: files the reference patch changes, with the ranges of old lines it touches. Empty when
    privileged rules are switched off."""

    places: frozenset[str] = frozenset()
    """Privileged: those of `reference` that are code by their name and there before the change."""

    @classmethod
    def of(cls, task: Task, *, privileged: bool) -> "TaskFacts":
        """Prepare a task."""
        found = changed_lines(task.patch) if privileged else {}
        reference = {normal(path, task.workdir): spans for path, spans in found.items()}
        code = frozenset(path for path, spans in reference.items() if spans and role(path) is Role.SOURCE)
        return cls(
            workdir=task.workdir,
            network=task.network,
            tests_by_tool=task.test_command is not None,
            words=frozenset(words(task.problem_statement)),
            issue_names=names(task.problem_statement),
            reference=reference,
            places=code or frozenset(reference),
        )

    def states(self, path: str) -> bool:
        """Whether the statement names a file."""
        return path_key(path) in self.words or path_key(path.rsplit("/", 1)[-1]) in self.words

    def role(self, path: str) -> Role:
        """What a file is for; a file that the reference patch changes is source, whatever its name."""
        return Role.SOURCE if path in self.reference else role(path)


def changed_lines(patch: str) -> dict[str, tuple[tuple[int, int], ...]]:
    """Files of a unified diff with the ranges of lines of the old file that its hunks span."""
    found: dict[str, list[tuple[int, int]]] = {}
    current = ""
    in_header = True
    for line in patch.splitlines():
        if line.startswith("diff --git ") or (in_header and line.startswith("--- ")):
            in_header, current = True, "" if line.startswith("diff ") else current
        match = _TARGET.match(line) if in_header else None
        if match and match[1] != "/dev/null":
            current = match[1]
            found.setdefault(current, [])
        hunk = _HUNK.match(line)
        if hunk and current:
            in_header = False
            start, length = int(hunk[1]), int(hunk[2] or 1)
            if start or length:  # a new file has no old lines
                found[current].append((start, start + max(length, 1) - 1))
    return {path: tuple(spans) for path, spans in found.items()}
