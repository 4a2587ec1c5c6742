"""Packages of invented words, ten modules with a bug each, and the tasks that these bugs are."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from functools import cached_property
from hashlib import sha256
from random import Random
from typing import Any

from ..factory.gitobjects import commit_id
from ..sources.eval_script import build_eval_script
from ..sources.task_repo import expected_image
from ..task import Provenance, Task
from .families import FAMILIES, Family
from .names import Split, words_of

__all__ = ["MicroPackage", "MicroTask", "make_packages"]

LOG_PARSER = "parse_log_pytest"
TEST_COMMAND = "python3 -S /opt/microtest.py"
WORKDIR = "/testbed"
_WORDS = ("f", "a", "b", "t", "x")


@dataclass(frozen=True)
class _Function:
    family: Family
    names: dict[str, str]

    @property
    def name(self) -> str:
        return self.names["f"]

    def line(self, version: str) -> str:
        """`right`, `wrong` or `distractor`, without indentation."""
        return str(getattr(self.family, version)).format_map(self.names)

    def source(self, version: str) -> list[str]:
        return self.family.function(str(getattr(self.family, version)), self.names)

    def test(self, name: str, case: tuple[str, str]) -> list[str]:
        return [f"def {name}():", f"    assert {self.name}({case[0]}) == {case[1]}"]


@dataclass(frozen=True)
class MicroTask:
    """A module with one wrong and one right function, its visible tests, and the hidden test that decides."""

    package: str
    module: str
    buggy: _Function
    sound: _Function
    buggy_first: bool

    @property
    def instance_id(self) -> str:
        """As SWE-bench writes ids."""
        return f"micro__{self.package}-{self.module}"

    @property
    def path(self) -> str:
        """Of the module."""
        return f"{self.package}/{self.module}.py"

    @property
    def test_path(self) -> str:
        """Of its tests."""
        return f"tests/test_{self.module}.py"

    def source(self, version: str = "wrong") -> str:
        """The module with the `wrong`, the `right` or the `distractor` line."""
        parts = [self.buggy.source(version), self.sound.source("right")]
        first, second = parts if self.buggy_first else reversed(parts)
        return "\n".join([*first, "", "", *second, ""])

    def tests(self, *, hidden: bool = False) -> str:
        """The test file as an agent sees it, or with the test that decides."""
        names = sorted((self.buggy.name, self.sound.name))
        blocks = [
            [f"from {self.package}.{self.module} import {', '.join(names)}"],
            self.sound.test(f"test_{self.sound.name}", self.sound.family.telling),
            self.buggy.test(f"test_{self.buggy.name}", self.buggy.family.easy),
        ]
        if hidden:
            blocks.append(self.buggy.test(f"test_{self.buggy.name}_as_told", self.buggy.family.telling))
        return "\n\n\n".join("\n".join(block) for block in blocks) + "\n"

    @property
    def statement(self) -> str:
        """The issue."""
        (call, result), name = self.buggy.family.telling, self.buggy.name
        # Names come after a blank, as in the code: a tokenizer then writes them alike, and few examples teach to find
        # one again.
        return (
            f"The function {name} in `{self.path}` {self.buggy.family.symptom}: a call of {name}({call}) should give "
            f"{result}."
        )

    @property
    def usable(self) -> bool:
        """Whether the wrong line occurs once, so that an exact replacement can mend it."""
        return self.source().count(self.buggy.line("wrong")) == 1

    def ids(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """FAIL_TO_PASS and PASS_TO_PASS."""
        kept = (f"{self.test_path}::test_{name}" for name in (self.sound.name, self.buggy.name))
        return (f"{self.test_path}::test_{self.buggy.name}_as_told",), tuple(kept)

    def task(self, base_commit: str, *, seed: int, digest: str) -> Task:
        """The task as SWE-bench 5 has it; `distractor` is an extra column."""
        test_patch = diff(self.test_path, self.tests(), self.tests(hidden=True))
        failing, passing = self.ids()
        command = f"{TEST_COMMAND} {self.test_path}"
        script = build_eval_script(test_patch=test_patch, base_commit=base_commit, workdir=WORKDIR, command=command)
        return Task(
            instance_id=self.instance_id,
            repo=f"micro/{self.package}",
            base_commit=base_commit,
            patch=diff(self.path, self.source(), self.source("right")),
            test_patch=test_patch,
            problem_statement=self.statement,
            created_at="2000-01-01T00:00:00Z",
            version="1",
            environment_setup_commit=base_commit,
            FAIL_TO_PASS=failing,
            PASS_TO_PASS=passing,
            image=expected_image(self.instance_id),
            log_parser=LOG_PARSER,
            eval_script=script,
            workdir=WORKDIR,
            test_command=TEST_COMMAND,
            provenance=Provenance(
                source="micro", sha256=digest, licence="CC0-1.0", method=self.buggy.family.name, seed=seed
            ),
            extra={"distractor": self.buggy.line("distractor")},
        )


@dataclass(frozen=True)
class MicroPackage:
    """A repository with several tasks."""

    name: str
    modules: tuple[MicroTask, ...]
    seed: int

    @cached_property
    def files(self) -> dict[str, bytes]:
        """What is in the repository."""
        files = {f"{self.name}/__init__.py": ""}
        for module in self.modules:
            files |= {module.path: module.source(), module.test_path: module.tests()}
        return {path: text.encode() for path, text in sorted(files.items())}

    @cached_property
    def base_commit(self) -> str:
        """Id of its only commit."""
        return commit_id(self.files, ())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its files."""
        state = sha256()
        for path, data in self.files.items():
            state.update(f"{path} {len(data)}\n".encode() + data)
        return state.hexdigest()

    def tasks(self) -> list[Task]:
        """Its tasks, by module."""
        return [module.task(self.base_commit, seed=self.seed, digest=self.digest) for module in self.modules]


def make_packages(split: Split, tasks: int, *, modules: int = 10, seed: int = 0) -> Iterator[MicroPackage]:
    """Packages that together have so many tasks, of all families in turn; the same arguments give the same packages."""
    rng = Random(f"micro {split} {seed}")
    words, taken = words_of(split), set[str]()
    left, number = tasks, 0
    while left:
        size = min(modules, left)
        name = next(word for word in iter(lambda: rng.choice(words), None) if word not in taken)
        taken.add(name)
        found = list[MicroTask]()
        while len(found) < size:
            task = _module(name, number + len(found), rng, words, {each.module for each in found} | {name})
            if task.usable:
                found.append(task)
        yield MicroPackage(name, tuple(found), seed)
        left, number = left - size, number + size


def _module(package: str, number: int, rng: Random, words: tuple[str, ...], taken: set[str]) -> MicroTask:
    family = FAMILIES[number % len(FAMILIES)]
    other = rng.choice([each for each in FAMILIES if each is not family])
    drawn = rng.sample([word for word in rng.sample(words, 40) if word not in taken], 2 * len(_WORDS) + 1)
    functions = [
        _Function(kind, dict(zip(_WORDS, drawn[start : start + len(_WORDS)], strict=True)))
        for kind, start in ((family, 1), (other, 1 + len(_WORDS)))
    ]
    return MicroTask(package, drawn[0], functions[0], functions[1], rng.random() < 0.5)


def diff(path: str, old: str, new: str) -> str:
    """A patch as git writes it, without its index line."""
    lines = unified_diff(old.splitlines(True), new.splitlines(True), f"a/{path}", f"b/{path}")
    return f"diff --git a/{path} b/{path}\n" + "".join(lines)


def check_in_process(task: MicroTask) -> dict[str, Any]:
    """Which of its tests pass with each version of the wrong line, in this process: the sources are our own."""
    told = dict[str, Any]()
    for version in ("wrong", "right", "distractor"):
        space = dict[str, Any]()
        exec(task.source(version), space)
        tests = task.tests(hidden=True).split("\n", 1)[1]
        exec(tests, space)
        told[version] = {name: _passes(test) for name, test in space.items() if name.startswith("test_")}
    return told


def _passes(test: Any) -> bool:
    try:
        test()
    except (AssertionError, LookupError, TypeError, AttributeError):
        return False
    return True
