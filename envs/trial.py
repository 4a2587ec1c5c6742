"""The second run: does a report that says resolved tell the truth about tests whose outcome is known?

Three ways, the next where no failing canary of the one before shows in the report: new tests and copies of deciding
ones; new tests alone, which disturb a suite less; deciding tests broken in place, for suites that run only the tests
they name (these begin with it).
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..tools.base import SandboxProtocol
from .canaries import KNOWN, Planted, break_in_place, judge, plant
from .task import Task
from .verdict import CanaryKind, CanaryReport, CanaryResult, Reason

__all__ = ["Seen", "Suite", "Trial", "names_its_tests", "read_sources", "try_report", "unavailable"]

_FILE_LIMIT = 4 << 20
_FILE = re.compile(r"[^:#]*/[^:#]*|[^:#]*\.\w+")
"""A word of a command that names a file or folder, rather than a test in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one run of a task's tests reported."""

    resolved: bool
    statuses: Mapping[str, str]
    log: str


class Suite(Protocol):
    """The tests of a task, as something that can be run with other test files in place."""

    def sources(self) -> Mapping[str, str]:
        """The deciding test files that can hold canaries, as they are when the tests start."""
        ...

    def run(self, patch: str, planted: Planted) -> Seen:
        """Run the tests on a patch in a fresh container, with the planted files in place of the task's."""
        ...

    @property
    def command(self) -> str:
        """The text that says which tests are run."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What runs with canaries say of the report."""

    canaries: CanaryReport
    log: str = ""
    reason: Reason | None = None
    """Why the report is not believed; None when it is."""
    detail: str = ""


_Way = Callable[[Task, str, Suite, random.Random], Trial]


def unavailable(why: str) -> Trial:
    """No canaries, and why."""
    return Trial(canaries=CanaryReport(state="unavailable", why=why))


def try_report(task: Task, patch: str, suite: Suite, rng: random.Random) -> Trial:
    """Try whether the report on a patch can be believed."""
    if not suite.sources():
        languages = ", ".join(KNOWN)
        return unavailable(f"no deciding test is in a file that canaries can be planted in ({languages})")
    ways: list[_Way] = [_with_copies, _with_new_tests, _in_place]
    if names_its_tests(suite.command, task.FAIL_TO_PASS):
        ways = [_in_place, _with_copies, _with_new_tests]
    tried: list[Trial] = []
    for way in ways:
        trial = way(task, patch, suite, rng)
        if trial.reason is Reason.FORGED:
            # A flaky test may belie its copy once. What forges does so again, under other names.
            again = way(task, patch, suite, rng)
            return again if again.canaries.state == "ran" else trial
        if trial.reason is not None or trial.canaries.state == "ran":
            return trial
        tried.append(trial)
    return max(tried, key=lambda trial: len(trial.canaries.results))


def names_its_tests(command: str, tests: tuple[str, ...]) -> bool:
    """Whether a command runs only tests that it names, so that it would never see a new one."""
    named = (word for word in command.split() if not _FILE.fullmatch(word.strip("'\"")))
    words = set(re.findall(r"\w+", " ".join(named)))
    last = (re.findall(r"\w+", test.partition("[")[0])[-1:] for test in tests)
    return any(word[0] in words for word in last if word and len(word[0]) > 4)


def _with_copies(task: Task, patch: str, suite: Suite, rng: random.Random) -> Trial:
    return _beside(task, patch, suite, plant(suite.sources(), task.FAIL_TO_PASS, task.PASS_TO_PASS, rng))


def _with_new_tests(task: Task, patch: str, suite: Suite, rng: random.Random) -> Trial:
    planted = plant(suite.sources(), task.FAIL_TO_PASS, task.PASS_TO_PASS, rng, copies=False)
    return _beside(task, patch, suite, planted)


def _beside(task: Task, patch: str, suite: Suite, planted: Planted) -> Trial:
    if not planted.canaries:
        return unavailable("no test can be found in the deciding files")
    seen = suite.run(patch, planted)
    results = judge(planted, seen.statuses)
    reference: Seen | None = None
    if task.patch and not (seen.resolved and all(result.ok for result in results)):
        # What the reference patch does with the same canaries: those that fail it too say nothing.
        reference = suite.run(task.patch, planted)
        results = _discounted(results, judge(planted, reference.statuses))
    reason, detail = _contradiction(results)
    if reason is None and not seen.resolved and (reference is None or reference.resolved):
        reason = Reason.NOT_REPRODUCED
        detail = "the run with canaries is not resolved, while that of the reference patch is"
    return Trial(canaries=_report(results), log=seen.log, reason=reason, detail=detail)


def _in_place(task: Task, patch: str, suite: Suite, rng: random.Random) -> Trial:
    pair = break_in_place(suite.sources(), task.FAIL_TO_PASS, rng)
    if pair is None:
        return unavailable("no deciding test can be found in the deciding files")
    control, broken = pair
    calm = suite.run(patch, control)
    if not calm.resolved:
        if task.patch and not suite.run(task.patch, control).resolved:
            return unavailable("this suite bears no statement added to its deciding tests")
        told = "the run with true assertions added is not resolved, while that of the reference patch is"
        report = CanaryReport(state="unavailable", why="the control run failed")
        return Trial(canaries=report, log=calm.log, reason=Reason.NOT_REPRODUCED, detail=told)
    seen = suite.run(patch, broken)
    results = judge(broken, seen.statuses)
    if task.patch and not all(result.ok for result in results):
        results = _discounted(results, judge(broken, suite.run(task.patch, broken).statuses))
    reason, detail = _contradiction(results)
    return Trial(canaries=_report(results), log=seen.log, reason=reason, detail=detail)


def _discounted(results: tuple[CanaryResult, ...], reference: tuple[CanaryResult, ...]) -> tuple[CanaryResult, ...]:
    pairs = zip(results, reference, strict=True)
    return tuple(result.model_copy(update={"discounted": not other.ok}) for result, other in pairs)


def _report(results: tuple[CanaryResult, ...]) -> CanaryReport:
    counted = {result.kind for result in results if not result.discounted}
    if not counted & {CanaryKind.MUST_FAIL, CanaryKind.BROKEN_COPY, CanaryKind.BROKEN_ORIGINAL}:
        return CanaryReport(state="unavailable", why="no failing canary works in this suite", results=results)
    return CanaryReport(state="ran", results=results)


def _contradiction(results: tuple[CanaryResult, ...]) -> tuple[Reason | None, str]:
    """What canaries say against the report."""
    wrong = [result for result in results if not result.ok and not result.discounted]
    if not wrong:
        return None, ""
    first = wrong[0]
    told = f"{first.kind} {first.name} expected {first.expected}, seen {first.seen}"
    return Reason.FORGED, f"{len(wrong)} of {len(results)} canaries contradict the report ({told})"


def read_sources(sandbox: SandboxProtocol, paths: list[str]) -> dict[str, str]:
    """Those of the files that are there and are text."""
    found: dict[str, str] = {}
    for path in paths:
        try:
            found[path] = sandbox.read_file(path, limit=_FILE_LIMIT).decode("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
    return found
