"""Rules of attribution on records made for them, with what is like a fault beside it and none."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import StopReason
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.adapters.engine import IngestConfig, ingest
from trajectory_hub.rollouts.attribution import Attribution, Kind, attribute_run
from trajectory_hub.rollouts.attribution.attribute import attribute
from trajectory_hub.rollouts.attribution.tampering import meddling_line
from trajectory_hub.rollouts.log import EventWriter, Header, read_events

START = datetime(2026, 3, 1, tzinfo=UTC)
HEADER = Header(run_id="r", episode_id="e", task_id="t", agent="a", agent_version="1", repo="o/r", commit="c")
CUT = "(no output)\n[timed out after 30 s; the command and all it started were killed]"


def _found(folder: Path, *events: payloads.Payload) -> Attribution:
    path = folder / "events.jsonl"
    with EventWriter(path, HEADER, fsync="never") as writer:
        for number, event in enumerate(events):
            writer.write(event, t_start=START + timedelta(seconds=30 * number))
    return attribute(read_events(path))


def _timed_out(step: int, command: str, cpu_s: float | None) -> Sequence[payloads.Payload]:
    arguments = {"command": command}
    return (
        payloads.ToolCall.of(step=step, tool="shell", arguments=arguments, action=command),
        payloads.ToolResult.of(step=step, tool="shell", ok=False, error="timeout", observation=CUT),
        payloads.SandboxMetric.of(scope="step", step=step, wall_ms=30_000.0, cpu_s=cpu_s),
    )


def _slow(folder: Path, commands: Sequence[str], cpu_s: float | None) -> Attribution:
    steps = [event for step, command in enumerate(commands) for event in _timed_out(step, command, cpu_s)]
    end = payloads.EpisodeEnd.of(stop_reason=StopReason.SUBMITTED, steps=len(commands))
    return _found(folder, payloads.EpisodeStart(), *steps, end)


def test_commands_that_end_by_themselves_and_did_not_work_waited_for_the_machine(tmp_path: Path) -> None:
    commands = ("ls -la src", "git status", "python3 -c 'print(1)'", "grep -rn name src")
    found = _slow(tmp_path, commands, 0.01)
    assert (found.kind, found.rule) == (Kind.TOOL_TIMEOUT, "slow_world")


@pytest.mark.parametrize(
    "command",
    [
        "sleep 600",
        "tail -f log.txt",
        "while true; do :; done",
        "python3 -c 'import app; app.run()'",
        "python3 -c 'print(1)'; python3 app.py",
        "python3 app.py",
        "cat /dev/zero",
        "grep -r name /",
        "read line",
    ],
)
def test_commands_that_may_wait_by_themselves_are_the_agents(tmp_path: Path, command: str) -> None:
    assert _slow(tmp_path, [command] * 4, 0.01).kind is Kind.EXHAUSTED_SANDBOX


@pytest.mark.parametrize("cpu_s", [29.0, None])
def test_commands_that_worked_or_were_not_measured_are_the_agents(tmp_path: Path, cpu_s: float | None) -> None:
    assert _slow(tmp_path, ["grep -rn name src"] * 4, cpu_s).kind is Kind.EXHAUSTED_SANDBOX


def _patch(*lines: str) -> str:
    head = "diff --git a/app.py b/app.py\n--- a/app.py\n+++ b/app.py\n@@ -1 +1,9 @@\n"
    return head + "".join(f"+{line}\n" for line in lines)


FORGERIES = {
    "prints": ("import builtins", "builtins.print = lambda text: out(text.replace('FAILED', 'PASSED'))"),
    "standard output": (
        "class Out:",
        "    def write(self, s): real(s.replace('FAILED', 'PASSED'))",
        "sys.stdout = Out()",
    ),
    "the interpreter": ("os.write(1, b'PASSED tests/test_app.py::test_a')", "os._exit(0)"),
    "a hook": ("def pytest_runtest_logreport(report):", "    report.outcome = 'passed'"),
    "another language": ("process.stdout.write = (s) => old(s.replace('FAILED', 'PASSED'))",),
}
HONEST = {
    "ends the interpreter": ("import os", "os._exit(1)"),
    "tells of failures": ("log.warning('FAILED %s', name)", "status = 'PASSED'"),
    "prints": ("print('1 passed')", "if sys.stdout == other:", "    return"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_patch_that_takes_over_how_results_are_told_is_seen(name: str) -> None:
    assert meddling_line(_patch(*FORGERIES[name])) is not None


@pytest.mark.parametrize("name", HONEST)
def test_a_patch_that_does_not_is_not(name: str) -> None:
    assert meddling_line(_patch(*HONEST[name])) is None


@pytest.mark.parametrize(
    ("lines", "blamed", "kind"),
    [
        (FORGERIES["prints"], "model", Kind.FORGED),
        (HONEST["ends the interpreter"], "model", Kind.BROKEN_PATCH),
        (FORGERIES["prints"], "grader", Kind.TESTS_NOT_RUN),
    ],
)
def test_results_that_a_meddling_patch_destroys_are_forged(
    tmp_path: Path, lines: Sequence[str], blamed: str, kind: Kind
) -> None:
    report = {"reason": "no_test_results", "failure": blamed, "detail": "no test results could be read from the log"}
    found = _found(
        tmp_path,
        payloads.EpisodeStart(),
        payloads.FinalPatch.of(patch=_patch(*lines), sha256="0"),
        payloads.Verdict.of(resolved=False, outcome="no_test_results", report=report),
        payloads.EpisodeEnd.of(stop_reason=StopReason.SUBMITTED, steps=0),
    )
    assert found.kind is kind


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("out_of_memory", Kind.OUT_OF_MEMORY),
        ("container_unavailable", Kind.ENGINE_UNAVAILABLE),
        ("network_unreachable", Kind.NETWORK),
        ("display_unavailable", Kind.ENVIRONMENT_BROKEN),
        (None, Kind.TESTS_NOT_RUN),
    ],
)
def test_what_broke_under_another_harness_is_blamed_where_it_is_named(
    tmp_path: Path, reason: str | None, kind: Kind
) -> None:
    ids = ["acme__app-7"]
    whole: dict[str, Any] = {"total_instances": 1, "submitted_ids": ids, "resolved_ids": [], "unresolved_ids": ids}
    whole |= {"infra_failure_ids": ids, "failure_reasons": {} if reason is None else {ids[0]: reason}}
    one = {"patch_exists": True, "resolved": False, "infra_failure": True}
    one |= {} if reason is None else {"infra_failure_reason": reason}
    for name, report in (("run.json", whole), ("instance.json", {ids[0]: one})):
        (tmp_path / name).write_text(json.dumps(report))
        ingest([tmp_path / name], tmp_path / f"of-{name}", IngestConfig(max_workers=1))
        ((_, _, found),) = attribute_run(tmp_path / f"of-{name}")
        assert found.kind is kind
