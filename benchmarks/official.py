"""The official SWE-bench harness, run as its users run it: a dataset file, a predictions file, one command.

Nothing of it is replaced. Images are those the engine has; it builds images only from a task repo, so it is given the
same tasks as a dataset file.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..envs.task import Task
from ..errors import InfrastructureError

__all__ = ["Case", "OfficialAnswer", "ask"]

Outcome = Literal["resolved", "unresolved", "empty_patch", "error", "no_answer"]
_MODEL = "trajhub"
_OF_THE_PATCH = (">>>>> Patch Apply Failed", "Test timed out after")
"""What the log says when it is the patch that leads to no report."""
_COLUMNS = ("repo", "base_commit", "version", "image", "log_parser", "eval_type", "eval_script", "patch", "test_patch")


@dataclass(frozen=True, slots=True)
class Case:
    """A task and a patch to grade."""

    task: Task
    patch: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialAnswer:
    """What the official harness says of one case."""

    outcome: Outcome
    """`error`: the harness gives no report, as for a patch that does not apply; `no_answer`: it failed itself."""
    tests_status: Mapping[str, Any] = field(default_factory=dict[str, Any])
    log: str = ""
    """Its log of the instance."""


_REPORT_TRIES = 4


def _row(key: str, task: Task) -> dict[str, Any]:
    row = {column: getattr(task, column) for column in _COLUMNS}
    lists = {"FAIL_TO_PASS": list(task.FAIL_TO_PASS), "PASS_TO_PASS": list(task.PASS_TO_PASS)}
    return row | lists | {"instance_id": key, "image_assets": dict(task.image_assets)}


def ask(
    cases: Mapping[str, Case], folder: Path, *, run_id: str, workers: int = 4, timeout: int = 600, tries: int = 3
) -> dict[str, OfficialAnswer]:
    """The official answers, by the keys of `cases`, which serve as instance ids. Logs stay in `folder`.

    Cases in which the harness failed for reasons of its own (its engine, its network) are asked again.
    """
    answers: dict[str, OfficialAnswer] = {}
    for attempt in range(1, tries + 1):
        left = {key: case for key, case in cases.items() if _open(answers.get(key))}
        if left:
            answers |= _ask(left, folder, f"{run_id}-{attempt}", workers, timeout)
    return answers


def _open(answer: OfficialAnswer | None) -> bool:
    return answer is None or answer.outcome == "no_answer"


def _ask(cases: Mapping[str, Case], folder: Path, run_id: str, workers: int, timeout: int) -> dict[str, OfficialAnswer]:
    folder.mkdir(parents=True, exist_ok=True)
    rows, predictions = folder / f"{run_id}.dataset.jsonl", folder / f"{run_id}.predictions.jsonl"
    _write(rows, [_row(key, case.task) for key, case in cases.items()])
    entries = [
        {"instance_id": key, "model_name_or_path": _MODEL, "model_patch": case.patch} for key, case in cases.items()
    ]
    _write(predictions, entries)
    command = [sys.executable, "-m", "swebench.harness.run_evaluation", "-d", rows.name, "-s", "test"]
    command += ["-p", predictions.name, "-id", run_id, "--max_workers", str(workers), "-t", str(timeout)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    log = folder / f"{run_id}.log"
    report = folder / f"{_MODEL}.{run_id}.json"
    # It dies of any container that is removed while it lists them for its report; asked again it keeps what it graded.
    for _ in range(_REPORT_TRIES):
        with log.open("ab") as output:
            done = subprocess.run(command, cwd=folder, env=environment, stdout=output, stderr=output, check=False)
        if done.returncode == 0 and report.is_file():
            break
    else:
        tail = log.read_text(errors="replace")[-2000:]
        raise InfrastructureError(f"the official harness failed {_REPORT_TRIES} times:\n{tail}")
    return _answers(json.loads(report.read_text()), folder / "logs" / "run_evaluation" / run_id / _MODEL)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _answers(report: Mapping[str, Any], logs: Path) -> dict[str, OfficialAnswer]:
    outcomes: tuple[Outcome, ...] = ("resolved", "unresolved", "empty_patch", "error")
    answers: dict[str, OfficialAnswer] = {}
    for outcome in outcomes:
        for key in report[f"{outcome}_ids"]:
            path, log = logs / key / "report.json", logs / key / "run_instance.log"
            entry: Any = json.loads(path.read_text())[key] if path.is_file() else {}
            text = log.read_text(errors="replace") if log.is_file() else ""
            own = outcome == "error" and not any(sign in text for sign in _OF_THE_PATCH)
            answers[key] = OfficialAnswer(
                outcome="no_answer" if own else outcome, tests_status=entry.get("tests_status", {}), log=text
            )
    return answers
