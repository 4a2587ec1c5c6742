"""Is a training task too near to an evaluation task: the same one, of the same repository, or with the same answer?"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ..envs.task import Task
from .config import LeakageConfig
from .refusal import Refusal
from .similarity import changed_lines, shingles

__all__ = ["Leak", "Leakage", "repository"]

_MIRROR = re.compile(r"\.[0-9a-f]{7,40}$")
_PATCH_WORDS = 3
_STATEMENT_WORDS = 5


@dataclass(frozen=True, slots=True)
class Leak:
    """A training task and the evaluation task that it gives away."""

    reason: Refusal
    task_id: str
    eval_task: str
    similarity: float

    def __str__(self) -> str:
        return f"{self.task_id} ~ {self.eval_task} ({self.similarity:.2f})"


def repository(name: str) -> str:
    """A repository's name as it is compared: lower case, without host and `.git`; `org/owner__name.commit`, as mirrors
    are called, is `owner/name`.
    """
    plain = _MIRROR.sub("", name.strip().lower().removesuffix("/").removesuffix(".git"))
    last = plain.rpartition("/")[2]
    if "__" in last:
        return last.replace("__", "/", 1)
    return "/".join(plain.split("/")[-2:])


class _Texts:
    """Finds the most similar of many texts by their shingles."""

    def __init__(self, texts: Iterable[tuple[str, str]], words: int) -> None:
        self._words = words
        self._sizes: list[tuple[str, int]] = []
        self._where: defaultdict[int, list[int]] = defaultdict(list)
        for name, text in texts:
            found = shingles(text, words)
            if found:
                for shingle in found:
                    self._where[shingle].append(len(self._sizes))
                self._sizes.append((name, len(found)))

    def nearest(self, text: str) -> tuple[str, float] | None:
        """The name of the most similar text and its Jaccard similarity; None when none shares anything."""
        found = shingles(text, self._words)
        shared = Counter(index for shingle in found for index in self._where.get(shingle, ()))
        best: tuple[str, float] | None = None
        for index, count in shared.items():
            name, size = self._sizes[index]
            alike = count / (size + len(found) - count)
            if best is None or (alike, best[0]) > (best[1], name):
                best = name, alike
        return best


class Leakage:
    """Compares training tasks with the tasks of an evaluation."""

    def __init__(self, eval_tasks: Sequence[Task], config: LeakageConfig) -> None:
        self.config = config
        self._ids = {task.instance_id.lower(): task.instance_id for task in eval_tasks}
        self._repositories = {repository(task.repo): task.instance_id for task in reversed(eval_tasks)}
        patches = ((task.instance_id, changed_lines(task.patch)) for task in eval_tasks)
        self._patches = _Texts(patches, _PATCH_WORDS)
        statements = ((task.instance_id, task.problem_statement) for task in eval_tasks)
        self._statements = _Texts(statements, _STATEMENT_WORDS)

    def as_dict(self) -> dict[str, Any]:
        """Which evaluation it was: how many tasks, and the SHA-256 of their sorted ids, one a line."""
        names = "".join(f"{name}\n" for name in sorted(self._ids.values()))
        return {"tasks": len(self._ids), "sha256": sha256(names.encode()).hexdigest()}

    def find(self, task_id: str, repo: str, statement: str, patches: Iterable[str]) -> Leak | None:
        """The gravest leak of a training task; None when there is none.

        `patches`: its reference patch where that is known, and those that the agents being learnt from ended with.
        """
        config = self.config
        if config.instance and task_id.lower() in self._ids:
            return Leak(Refusal.LEAK_INSTANCE, task_id, self._ids[task_id.lower()], 1.0)
        if config.repository and repo and repository(repo) in self._repositories:
            return Leak(Refusal.LEAK_REPOSITORY, task_id, self._repositories[repository(repo)], 1.0)
        for patch in patches:
            near = self._patches.nearest(changed_lines(patch))
            if near and config.patch is not None and near[1] >= config.patch:
                return Leak(Refusal.LEAK_PATCH, task_id, *near)
        near = self._statements.nearest(statement)
        if near and config.statement is not None and near[1] >= config.statement:
            return Leak(Refusal.LEAK_STATEMENT, task_id, *near)
        return None
