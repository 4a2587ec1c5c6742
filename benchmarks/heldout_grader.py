"""Held-out faults of graders: evaluations that cannot be run, or whose results were made up."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..envs.logs import START
from ..rollouts.attribution import Kind
from .fault_stage import Fault, Stage, shell, target
from .heldout_stage import fix, with_script

__all__ = ["GRADER"]

_NOT_RUN = (Kind.TESTS_NOT_RUN, Kind.TASK_INCOMPLETE)
_RUNNER = "python3 -S /opt/microtest.py"


def _evaluated(
    name: str, reason: str, change: Callable[[str], str], *settings: str, kinds: Sequence[Kind] = _NOT_RUN, **more: Any
) -> Fault:
    """The right patch meets an evaluation that is wrong."""

    def inject(stage: Stage) -> Path:
        task = with_script(stage, change, **more)
        return stage.script(fix(stage), settings=("grader.retries=0", *settings), task=task)

    return Fault(name, tuple(kinds), inject, reason)


def _first(line: str) -> Callable[[str], str]:
    """A line before the tests start, on which the rest depends."""
    return lambda script: script.replace(f": '{START}'", f": '{START}'\n{line} || exit 1")


def _forging(stage: Stage, code: str) -> Path:
    return stage.script(shell(f"cat >> {target(stage)} <<'EOF'\n{code}\nEOF"), settings=("grader.retries=0",))


def _prints(stage: Stage) -> Path:
    """The report is printed when the tests import the module, and the interpreter ends."""
    names = (*stage.task.FAIL_TO_PASS, *stage.task.PASS_TO_PASS)
    lines = "\\n".join(f"PASSED {name}" for name in names)
    return _forging(stage, f"import os\nos.write(1, b'{lines}\\n')\nos._exit(0)")


def _mutes(stage: Stage) -> Path:
    """What prints FAILED prints PASSED instead."""
    code = (
        "import builtins\n_print = builtins.print\n"
        "builtins.print = lambda *a, **k: _print(*(str(x).replace('FAILED', 'PASSED').split(' - ')[0] for x in a), **k)"
    )
    return _forging(stage, code)


GRADER: Sequence[Fault] = (
    _evaluated(
        "a script that does not parse", "bash stops before the tests", lambda s: s.replace("cd /testbed", "if [", 1)
    ),
    _evaluated(
        "tests that no longer apply",
        "the patch of the tests does not fit, so the deciding test is never there; the reference patch fails as well",
        lambda s: s.replace(" def test_sofage", " def test_renamed").replace(" def test_", " def test_was_"),
    ),
    _evaluated("a runner that is not installed", "no test ran", lambda s: s.replace(_RUNNER, "tox -q -e py311 --")),
    _evaluated(
        "an interpreter that is not there", "no test ran", lambda s: s.replace("python3 -S", "/opt/py314/bin/python -S")
    ),
    _evaluated(
        "the parser of another framework", "results are there, and not read", lambda s: s, log_parser="parse_log_django"
    ),
    _evaluated(
        "no mark where the tests start",
        "the log cannot be read without it",
        lambda s: s.replace(f": '{START}'\n", ""),
    ),
    _evaluated(
        "an evaluation short of memory",
        "it is killed before a test runs, whatever the patch",
        _first("python3 -c 'x = bytearray(400 << 20)'"),
        "grader.memory_mb=100",
    ),
    _evaluated(
        "an evaluation short of processes",
        "it cannot start its helpers, whatever the patch",
        _first("(for i in $(seq 100); do sleep 30 & done; wait)"),
        "grader.pids=32",
        "grader.timeout=15",
    ),
    _evaluated(
        "an evaluation short of disk",
        "its fixtures do not fit, whatever the patch",
        _first("dd if=/dev/zero of=/var/tmp/fixture bs=1M count=100 && sleep 4"),
        "grader.disk_mb=30",
    ),
    _evaluated(
        "an evaluation that waits for a database",
        "nobody listens there, whatever the patch",
        _first("until (echo > /dev/tcp/127.0.0.1/5432) 2>/dev/null; do sleep 0.5; done"),
        "grader.timeout=4",
    ),
    _evaluated(
        "a log beyond all measure",
        "the report drowns in the evaluation's own output",
        _first("yes warning: deprecated | head -c 3000000"),
        "grader.log_limit=65536",
    ),
    _evaluated(
        "a deciding test that does not exist",
        "its name is wrong in the task: the reference patch, which was handed in, cannot pass it",
        lambda s: s,
        FAIL_TO_PASS=("tests/test_geve.py::test_of_another_release",),
    ),
    _evaluated(
        "an asset out of reach",
        "the tests compare with a file that cannot be fetched",
        lambda s: s,
        image_assets={"test_patch": [{"path": "tests/logo.png", "url": "http://127.0.0.1:9/logo.png"}]},
    ),
    Fault("a report printed at import", (Kind.FORGED,), _prints, "the results are made up by the patch"),
    Fault("failures printed as passes", (Kind.FORGED,), _mutes, "the results are made up by the patch"),
)
