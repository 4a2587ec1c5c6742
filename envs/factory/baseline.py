"""What a package's suite does before anything is changed: which tests pass every time, and what each one touches."""

import json
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...errors import InfrastructureError
from .catalogue import Package
from .distributions import Tree
from .source import Function
from .validation import RUNS
from .workshop import TestRun, Workshop

__all__ = ["Baseline", "leaked_copies", "measure_baseline", "test_files"]

_LIMIT = 240.0
_STANDARD_LIBRARY = re.compile(r"/usr/(local/)?lib/python3\.\d+/(?!(site|dist)-packages/)")


@dataclass(frozen=True)
class Baseline:
    """Three runs of the whole suite, one on a slow machine, and a traced one."""

    statuses: Sequence[Mapping[str, str]]
    functions: Mapping[str, Sequence[str]]
    lines: Mapping[str, frozenset[int]]
    durations: Mapping[str, float]
    """Seconds by test file, of the slowest of the three runs."""
    overhead: float = 0.0
    """Seconds of a run that belong to no test: imports and collection."""

    @cached_property
    def runs(self) -> list[TestRun]:
        """The runs, the slow one included."""
        return [TestRun(statuses, {}, {}) for statuses in self.statuses]

    @cached_property
    def _callers(self) -> dict[str, dict[int, set[str]]]:
        callers: dict[str, dict[int, set[str]]] = {}
        for test, called in self.functions.items():
            for place in called:
                path, _, line = place.rpartition(":")
                callers.setdefault(path, {}).setdefault(int(line), set()).add(test)
        return callers

    def tests_of(self, path: str, function: Function) -> set[str]:
        """The tests that call a function, or one nested in it."""
        called = self._callers.get(path, {})
        order = sorted(called)
        found: set[str] = set()
        for line in order[bisect_left(order, function.first) :]:
            if line > function.last:
                break
            found |= called[line]
        return found

    def restricted(self, files: Sequence[str]) -> list[TestRun]:
        """The runs as they are for some test files alone."""
        chosen = set(files)
        return [
            TestRun({name: status for name, status in run.items() if name.split("::")[0] in chosen}, {}, {})
            for run in self.statuses
        ]

    def save(self, path: Path) -> None:
        """Keep it for a build that goes on."""
        data = {
            "statuses": list(self.statuses),
            "functions": {test: list(called) for test, called in self.functions.items()},
            "lines": {name: sorted(lines) for name, lines in self.lines.items()},
            "durations": dict(self.durations),
            "overhead": self.overhead,
        }
        part = path.with_suffix(".part")
        part.write_text(json.dumps(data), encoding="utf-8")
        part.replace(path)

    def time_limit(self, files: Sequence[str]) -> float:
        """Seconds of CPU time after which a run of these test files hangs."""
        return 6 + 4 * (self.overhead + sum(self.durations.get(file, 0.0) for file in files))

    @classmethod
    def load(cls, path: Path) -> "Baseline | None":
        """One that was kept, or None."""
        if not path.exists():
            return None
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        lines = {name: frozenset(lines) for name, lines in data["lines"].items()}
        return cls(data["statuses"], data["functions"], lines, data["durations"], data.get("overhead", 0.0))


def test_files(tree: Tree, package: Package) -> list[str]:
    """The files that pytest looks for tests in."""
    found = tree.below(*package.tests, suffix=".py")
    names = ((path, path.rsplit("/", 1)[-1]) for path in found)
    return [
        path
        for path, name in names
        if name.startswith("test_") or name.endswith("_test.py") or name in ("test.py", "tests.py")
    ]


def measure_baseline(workshop: Workshop, package: Package, files: Sequence[str]) -> Baseline:
    """Run the suite. Raises InfrastructureError when hardly anything of it passes."""
    traced = workshop.test(files, cpu_seconds=_LIMIT, trace=True)
    runs = [workshop.test(files, cpu_seconds=_LIMIT) for _ in range(RUNS)]
    with workshop.slowed():
        slow = workshop.test(files, cpu_seconds=_LIMIT)
    if traced.timed_out or any(run.timed_out for run in (*runs, slow)):
        raise InfrastructureError(
            f"the tests of {package.name} use more than {_LIMIT:g} s of CPU time in the container"
        )
    if not runs[0].having("PASSED"):
        raise InfrastructureError(
            f"no test of {package.name} passes in the container; check `tests` and `requirements`"
        )
    slowest = {file: max(run.durations.get(file, 0.0) for run in runs) for file in files}
    overhead = max(0.0, *(run.seconds - sum(run.durations.values()) for run in runs))
    return Baseline([run.statuses for run in (*runs, slow)], traced.functions, traced.lines, slowest, overhead)


def leaked_copies(workshop: Workshop, package: Package) -> list[str]:
    """Files elsewhere in the image that could be another copy of the package."""
    names = " -o ".join(f"-name {name} -o -name {name}.py -o -name '{name}-*.whl'" for name in package.import_names)
    found = workshop.shell(
        f"find / -xdev \\( -path /proc -o -path /sys -o -path /testbed \\) -prune -o \\( {names} \\) -print"
    )
    return [path for path in found.text.split() if not _STANDARD_LIBRARY.match(path)]
