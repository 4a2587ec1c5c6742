"""Shell commands, test runs, and the end of an episode."""

import hashlib
import time
from collections.abc import Mapping

from trajectory_hub.tools.base import SandboxProtocol, ToolContext

from .conftest import Act, caller


def _parser(log: str) -> Mapping[str, str]:
    """Lines `STATUS name`; as the real ones, it believes the name to be there."""
    lines = [line for line in log.splitlines() if line.startswith(("PASSED", "FAILED", "ERROR"))]
    return {line.split()[1]: line.split()[0] for line in lines}


def with_tests(sandbox: SandboxProtocol, command: str, *, output_limit: int = 16_000) -> Act:
    return caller(
        ToolContext(
            sandbox=sandbox,
            test_command=command,
            log_parser=_parser,
            test_timeout=20,
            output_limit=output_limit,
        )
    )


def test_shell(act: Act, sandbox: SandboxProtocol) -> None:
    result = act("shell", command="pwd; echo err >&2; exit 3")
    assert result.output == f"{sandbox.workdir}\nerr\n[exit code 3]"
    assert (result.ok, result.exit_code) == (True, 3)
    written = f"{sandbox.workdir}\nerr\n".encode()
    assert result.data == {
        "command": "pwd; echo err >&2; exit 3",
        "timed_out": False,
        "output_sha256": hashlib.sha256(written).hexdigest(),
        "output_bytes": len(written),
    }
    assert act("shell", command="true").output == "(no output)\n[exit code 0]"


def test_shell_timeout(act: Act) -> None:
    started = time.monotonic()
    result = act("shell", command="echo begun; sleep 60", timeout=2)
    assert time.monotonic() - started < 50
    assert (result.ok, result.error, result.data["timed_out"]) == (False, "timeout", True)
    assert "begun" in result.output
    assert "timed out after 2 s" in result.output
    assert act("shell", command="echo alive").output == "alive\n[exit code 0]"


def test_shell_output_is_bounded(sandbox: SandboxProtocol) -> None:
    call = caller(ToolContext(sandbox=sandbox, output_limit=1000))
    result = call("shell", command="echo first; head -c 300000 /dev/zero | tr '\\0' x; echo; echo last")
    assert len(result.output) < 1300
    assert result.output.startswith("first")
    assert "last\n[exit code 0]" in result.output
    assert result.data["output_bytes"] == 300_000 + len("first\n\nlast\n")
    noise = call("shell", command="head -c 3000 /dev/zero | tr '\\0' '\\377'")
    assert len(noise.output) < 1300


def test_run_all_tests(sandbox: SandboxProtocol) -> None:
    log = "noise\nPASSED a::x\nFAILED a::y\nERROR b::z\nPASSED b::w\n"
    sandbox.write_file(f"{sandbox.workdir}/log", log.encode())
    result = with_tests(sandbox, "cat log; (exit 1)")("run_tests")
    assert result.output.splitlines()[:3] == ["4 tests: 1 error, 1 failed, 2 passed.", "FAILED a::y", "ERROR b::z"]
    assert result.output.endswith("[exit code 1]")
    assert "noise" in result.output
    assert result.data == {
        "command": "cat log; (exit 1)",
        "selected": [],
        "tests": {"a::x": "PASSED", "a::y": "FAILED", "b::z": "ERROR", "b::w": "PASSED"},
        "counts": {"PASSED": 2, "FAILED": 1, "ERROR": 1},
        "parsed": True,
    }


def test_chosen_tests_are_quoted(sandbox: SandboxProtocol) -> None:
    names = ["tests/a.py::t[x y]", "b;touch pwned", "ü"]
    result = with_tests(sandbox, "printf 'PASSED <%s>\\n'")("run_tests", tests=names)
    assert "PASSED <tests/a.py::t[x y]>" in result.output
    assert result.data["selected"] == names
    assert sandbox.run("test ! -e pwned").exit_code == 0


def test_a_log_that_cannot_be_read(sandbox: SandboxProtocol) -> None:
    result = with_tests(sandbox, "echo PASSED")("run_tests")
    assert (result.ok, result.data["parsed"], result.data["counts"]) == (True, False, {})
    assert result.output.startswith("No test results could be read")


def test_failures_come_first_and_survive_a_long_log(sandbox: SandboxProtocol) -> None:
    command = "seq 1 40000; echo FAILED t::one; seq 1 40000"
    result = with_tests(sandbox, command, output_limit=2000)("run_tests")
    assert result.output.startswith("1 tests: 1 failed.\nFAILED t::one\n")
    assert len(result.output) < 2400


def test_a_test_run_that_hangs(sandbox: SandboxProtocol) -> None:
    result = with_tests(sandbox, "echo PASSED t::a; sleep 60")("run_tests", timeout=2)
    assert (result.error, result.data["tests"]) == ("timeout", {"t::a": "PASSED"})


def test_no_test_command(act: Act) -> None:
    result = act("run_tests")
    assert (result.ok, result.error) == (False, "no_test_command")


def test_submit(act: Act) -> None:
    result = act("submit")
    assert (result.done, dict(result.data), result.ok) == (True, {}, True)
