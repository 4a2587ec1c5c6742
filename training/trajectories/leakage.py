"""Is a training task too near to an evaluation task: the same one, of the same repository, or with the same answer?"""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ...envs.task import Task
from ..config import LeakageConfig
from .refusal import Refusal
from .similarity import changed_lines, shingles
from .sketch import PATCH_WORDS, PatchSketch

__all__ = ["Leak", "Leakage", "repository"]

_MIRROR = re.compile(r"\.[0-9a-f]{7,40}$")
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
        self._known: list[tuple[str, list[int]]] = []
        self._where: defaultdict[int, list[int]] = defaultdict(list)
        for name, text in texts:
            found = shingles(text, words)
            if found:
                for shingle in found:
                    self._where[shingle].append(len(self._known))
                self._known.append((name, sorted(found)))

    def nearest(self, text: str) -> tuple[str, float] | None:
        """The name of the most similar text and its Jaccard similarity; None when none shares anything."""
        return self._nearest(shingles(text, self._words), None)

    def nearest_to_sketch(self, sketch: PatchSketch) -> tuple[str, float] | None:
        """The same for what a sketch was made of; estimated where the sketch is not whole."""
        hashes = sketch.hashes()
        return self._nearest(hashes, hashes[-1] if hashes and not sketch.whole else None)

    def _nearest(self, hashes: Collection[int], last: int | None) -> tuple[str, float] | None:
        """By the hashes up to `last`, which of all sets are then the same sample; None: all of them."""
        shared = Counter(index for shingle in hashes for index in self._where.get(shingle, ()))
        best: tuple[str, float] | None = None
        for index, count in shared.items():
            name, known = self._known[index]
            size = len(known) if last is None else bisect_right(known, last)
            alike = count / (size + len(hashes) - count)
            if best is None or (alike, best[0]) > (best[1], name):
                best = name, alike
        return best


class Leakage:
    """Compares training tasks with the tasks of an evaluation."""

    def __init__(self, eval_tasks: Sequence[Task], config: LeakageConfig) -> None:
        self.config = config
        self.without_patch = 0
        """How many were examined of which no patch is known."""
        self._ids = {task.instance_id.lower(): task.instance_id for task in eval_tasks}
        self._repositories = {repository(task.repo): task.instance_id for task in reversed(eval_tasks)}
        patches = ((task.instance_id, changed_lines(task.patch)) for task in eval_tasks)
        self._patches = _Texts(patches, PATCH_WORDS)
        statements = ((task.instance_id, task.problem_statement) for task in eval_tasks)
        self._statements = _Texts(statements, _STATEMENT_WORDS)

    def as_dict(self) -> dict[str, Any]:
        """Which evaluation it was: how many tasks, and the SHA-256 of their sorted ids, one a line; and how many of
        the examined had no patch to compare.
        """
        names = "".join(f"{name}\n" for name in sorted(self._ids.values()))
        digest = sha256(names.encode()).hexdigest()
        return {"tasks": len(self._ids), "sha256": digest, "without_patch": self.without_patch}

    def find(self, task_id: str, repo: str, statement: str, patches: Iterable[str | PatchSketch]) -> Leak | None:
        """The gravest leak of a training task; None when there is none.

        `patches`, or their sketches: its reference patch where that is known, and those that the agents being learnt
        from ended with.
        """
        config, known = self.config, list(patches)
        self.without_patch += not known
        if config.instance and task_id.lower() in self._ids:
            return Leak(Refusal.LEAK_INSTANCE, task_id, self._ids[task_id.lower()], 1.0)
        if config.repository and repo and repository(repo) in self._repositories:
            return Leak(Refusal.LEAK_REPOSITORY, task_id, self._repositories[repository(repo)], 1.0)
        for patch in known:
            sketched = isinstance(patch, PatchSketch)
            near = self._patches.nearest_to_sketch(patch) if sketched else self._patches.nearest(changed_lines(patch))
            if near and config.patch is not None and near[1] >= config.patch:
                return Leak(Refusal.LEAK_PATCH, task_id, *near)
        near = self._statements.nearest(statement)
        if near and config.statement is not None and near[1] >= config.statement:
            return Leak(Refusal.LEAK_STATEMENT, task_id, *near)
        return None
