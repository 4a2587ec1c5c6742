"""Does our grader agree with the official harness? Reference, empty, wrong and unapplicable patches, both sides.

    python -m trajectory_hub.benchmarks.agreement TASKS [--limit 60] [-o DIR]

Prints a table and writes `agreement.json`; ends with status 1 when any verdict differs. The official harness stops
each container with a grace of 15 seconds, which dominates the time; raise `--official-workers` to overlap it.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..console import progress, table
from ..envs.engine import Engine
from ..envs.grader import Grader, GraderConfig
from ..envs.patches import parse
from ..envs.sources import load_tasks
from ..envs.task import Task
from ..envs.verdict import Reason, Verdict
from .official import Case, OfficialAnswer, ask

__all__ = ["KINDS", "main", "patches_of", "unapplicable", "wrong"]

KINDS = ("reference", "empty", "wrong", "does-not-apply")
_OUTCOMES = {
    Reason.RESOLVED: "resolved",
    Reason.TESTS_FAILED: "unresolved",
    Reason.NO_TEST_RESULTS: "unresolved",
    Reason.EMPTY_PATCH: "empty_patch",
    Reason.NO_PATCH: "empty_patch",
    Reason.PATCH_DOES_NOT_APPLY: "error",
    Reason.LIMIT_REACHED: "error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One case, both answers."""

    key: str
    kind: str
    official: OfficialAnswer
    verdict: Verdict

    @property
    def same_verdict(self) -> bool:
        """Both say resolved, or neither."""
        return (self.official.outcome == "resolved") == self.verdict.resolved

    @property
    def same_outcome(self) -> bool:
        """The same of: resolved, unresolved, empty patch, no report."""
        return _OUTCOMES.get(self.verdict.reason) == self.official.outcome

    @property
    def same_tests(self) -> bool:
        """Every deciding test has the same status."""
        return self.verdict.tests_status == self.official.tests_status

    def as_json(self) -> dict[str, Any]:
        """What is written of it."""
        return {
            "instance_id": self.verdict.instance_id,
            "kind": self.kind,
            "official": self.official.outcome,
            "ours": self.verdict.reason,
            "resolved": self.verdict.resolved,
            "same_verdict": self.same_verdict,
            "same_outcome": self.same_outcome,
            "same_tests": self.same_tests,
            "canaries": self.verdict.canaries.state,
            "set_aside": [part.path for part in self.verdict.set_aside],
            "duration_s": self.verdict.duration_s,
        }


def wrong(task: Task, variant: int) -> str:
    """A patch that applies where the reference does and mends nothing: a comment, or a line that raises."""
    change = next(change for change in parse(task.patch) if any(line.startswith("@@") for line in change.lines))
    start = next(i for i, line in enumerate(change.lines) if line.startswith("@@"))
    end = next((i for i in range(start + 1, len(change.lines)) if change.lines[i].startswith("@@")), None)
    body = change.lines[start + 1 : end]
    kept = [" " + line[1:] if line.startswith("-") else line for line in body if not line.startswith("+")]
    at = next((i for i, line in enumerate(body) if line[:1] in "+-"), 0)
    indent = re.match(r"[ \t]*", body[at][1:])
    text = "# nothing is mended here" if variant % 2 == 0 else "raise RuntimeError('wrong on purpose')"
    added = f"+{indent[0] if indent else ''}{text}\n"
    old = sum(1 for line in kept if not line.startswith("\\"))
    match = re.match(r"@@ -(\d+)(?:,\d+)? \+\d+", change.lines[start])
    first = match[1] if match else "1"
    hunk = f"@@ -{first},{old} +{first},{old + 1} @@\n"
    return "".join([*change.lines[:start], hunk, *kept[:at], added, *kept[at:]])


def unapplicable(task: Task, variant: int) -> str:
    """A patch no tool can apply: lines to remove that are nowhere, or a file that is not there."""
    path = parse(task.patch)[0].paths[-1] if variant % 2 == 0 else "no/such/file.py"
    return (
        f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1,3 +1,1 @@\n"
        "-this line was never in any file: 7d41f1\n-nor was this one: 90c2ab\n-nor this: 11d0fe\n+nothing\n"
    )


def patches_of(task: Task, number: int) -> dict[str, str]:
    """The patch of every kind, for the task of that number."""
    return dict(zip(KINDS, (task.patch, "", wrong(task, number), unapplicable(task, number)), strict=True))


def _grade(cases: dict[str, Case], workers: int, timeout: float) -> dict[str, Verdict]:
    engine = Engine(run_id="agreement")
    grader = Grader(engine, GraderConfig(timeout=timeout))
    try:
        with progress("our grader", len(cases)) as tick, ThreadPoolExecutor(workers) as pool:

            def one(case: Case) -> Verdict:
                verdict = grader.grade(case.task, case.patch)
                tick()
                return verdict

            return dict(zip(cases, pool.map(one, cases.values()), strict=True))
    finally:
        engine.close()


def _compare(tasks: Sequence[Task], arguments: argparse.Namespace, folder: Path) -> tuple[list[Comparison], Any]:
    kinds: dict[str, str] = {}
    cases: dict[str, Case] = {}
    for number, task in enumerate(tasks):
        for kind, patch in patches_of(task, number).items():
            key = f"{task.instance_id}.{kind}"
            cases[key], kinds[key] = Case(task, patch), kind

    def official() -> tuple[dict[str, OfficialAnswer], float]:
        started = time.monotonic()
        workers, timeout = arguments.official_workers, int(arguments.timeout)
        return ask(cases, folder, run_id="agreement", workers=workers, timeout=timeout), time.monotonic() - started

    # The official side mostly waits for containers to stop, so both run at once.
    with ThreadPoolExecutor(1) as beside:
        other = beside.submit(official)
        started = time.monotonic()
        verdicts = _grade(cases, arguments.workers, arguments.timeout)
        ours_s = time.monotonic() - started
        answers, official_s = other.result()
    seconds = {"ours_s": round(ours_s, 1), "official_s": round(official_s, 1)}
    found = [Comparison(key=key, kind=kinds[key], official=answers[key], verdict=verdicts[key]) for key in cases]
    return found, seconds


def _print(found: Sequence[Comparison]) -> None:
    rows: list[tuple[object, ...]] = []
    for kind in (*KINDS, "all"):
        part = [one for one in found if kind in ("all", one.kind)]
        official = sum(one.official.outcome == "resolved" for one in part)
        counts = [sum(getattr(one, name) for one in part) for name in ("same_verdict", "same_outcome", "same_tests")]
        rows.append((kind, len(part), official, sum(one.verdict.resolved for one in part), *counts))
    columns = ("patch", "cases", "official resolved", "ours resolved", "same verdict", "same outcome", "same tests")
    table("Agreement with the official harness", columns, rows)
    for one in found:
        if not (one.same_verdict and one.same_outcome):
            print(
                f"DIFFERS {one.key}: official {one.official.outcome}, ours {one.verdict.reason}: {one.verdict.detail}"
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; 0 when every verdict agrees."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tasks", help="task repo, dataset or file, with images on this engine")
    parser.add_argument("--limit", type=int, default=60, help="tasks to compare")
    parser.add_argument("--workers", type=int, default=2, help="our graders at a time")
    parser.add_argument("--official-workers", type=int, default=8, help="official instances at a time")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds the tests may take")
    parser.add_argument("-o", "--output", type=Path, default=Path("agreement"), help="folder for results")
    arguments = parser.parse_args(argv)
    tasks = load_tasks(arguments.tasks, limit=arguments.limit)
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trajhub-official-") as folder:
        found, seconds = _compare(tasks, arguments, Path(folder))
    _print(found)
    differing = [one.key for one in found if not (one.same_verdict and one.same_outcome)]
    result = {"tasks": len(tasks), "cases": len(found), "differing": differing, **seconds}
    result["comparisons"] = [one.as_json() for one in found]
    path = arguments.output / "agreement.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{len(found) - len(differing)} of {len(found)} cases agree ({seconds}); written to {path}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
