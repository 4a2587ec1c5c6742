"""The `swebench` package's view of a test log: its parsers, its report, its verdict. Nothing is reimplemented."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from ..errors import MissingExtra, TaskError
from .task import Task

__all__ = ["END", "START", "Report", "evaluation_script", "log_parser", "read_log", "swebench_version"]

START = ">>>>> Start Test Output"
END = ">>>>> End Test Output"
_PASSING = ("PASSED", "XFAIL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the official report says of a log."""

    resolved: bool
    found: bool
    """The log holds results that could be parsed and believed."""
    tests_status: Mapping[str, Any]
    """`{"FAIL_TO_PASS": {"success": [...], "failure": [...]}, …}`; empty when nothing was found."""
    statuses: Mapping[str, str]
    """Status of every test in the log."""
    environment_fault: str | None
    """Signature of a broken environment in a log without results."""

    @property
    def absent(self) -> frozenset[str]:
        """Deciding tests that the log does not show, though it shows others of their file that passed."""
        wanted = {name for kind in self.tests_status.values() for name in kind["failure"]} - self.statuses.keys()
        passed = {_file_of(name) for name, status in self.statuses.items() if status in _PASSING}
        return frozenset(name for name in wanted if _file_of(name) in passed)


def _file_of(test: str) -> str:
    """The file of a test that is named as pytest names them; of others the same for all."""
    file, found, _ = test.partition("::")
    return file if found else ""


@cache
def _harness() -> Any:
    try:
        from swebench.harness import grading, log_parsers, utils
    except ImportError as error:
        told = f"grading needs the package swebench ({error}): pip install 'agent-trajectory-hub[eval]'"
        raise MissingExtra(told) from error

    class Harness:
        make_test_spec = staticmethod(cast(Any, utils).make_test_spec)
        get_eval_report = staticmethod(cast(Any, grading).get_eval_report)
        get_logs_eval = staticmethod(cast(Any, grading).get_logs_eval)
        parsers = cast(Mapping[str, Callable[..., dict[str, str]]], log_parsers.PARSER_REGISTRY)

    return Harness


def swebench_version() -> str:
    """The version of the `swebench` package whose semantics apply."""
    return version("swebench")


def log_parser(name: str) -> Callable[[str], dict[str, str]]:
    """A function from a test log to `{test name: status}`. Raises TaskError for a parser swebench does not have."""
    parsers = _harness().parsers
    if name not in parsers:
        raise TaskError(f"swebench has no log parser {name!r}; it has: {', '.join(sorted(parsers))}")
    parse = parsers[name]
    return lambda log: parse(log, None)


def _spec(task: Task) -> Any:
    """The official test specification of a task. Raises TaskError for a log parser that does not exist."""
    log_parser(task.log_parser or "")
    row = task.model_dump(include={"instance_id", "image", "repo", "version", "log_parser", "eval_type", "eval_script"})
    row |= {"FAIL_TO_PASS": list(task.FAIL_TO_PASS), "PASS_TO_PASS": list(task.PASS_TO_PASS)}
    return _harness().make_test_spec({**row, "image_assets": dict(task.image_assets)})


def evaluation_script(task: Task) -> str:
    """The script the official harness would run, which also records the test command's exit status."""
    return str(_spec(task).eval_script)


def read_log(task: Task, log: str, patch: str) -> Report:
    """Judge a log as the official harness does."""
    harness, spec = _harness(), _spec(task)
    prediction = {"instance_id": task.instance_id, "model_name_or_path": "trajhub", "model_patch": patch}
    with tempfile.TemporaryDirectory(prefix="trajhub-log-") as folder:
        path = Path(folder) / "test_output.txt"
        path.write_text(log, encoding="utf-8", errors="replace")
        report = harness.get_eval_report(spec, prediction, path, include_tests_status=True)
        statuses, found = harness.get_logs_eval(spec, path)
    entry: dict[str, Any] = report[task.instance_id]
    return Report(
        resolved=bool(entry["resolved"]),
        found=bool(found),
        tests_status=entry.get("tests_status", {}),
        statuses=statuses,
        environment_fault=entry.get("infra_failure_reason") if entry.get("infra_failure") else None,
    )
