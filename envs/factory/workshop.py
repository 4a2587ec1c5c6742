"""One long-lived container per package version, in which candidates are tried by the hundred."""

import json
import math
import shlex
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ...errors import InfrastructureError
from ...tools.base import CommandResult
from ..engine import Engine
from ..logs import log_parser
from ..sandbox import SandboxConfig
from .catalogue import Package
from .metered import MeteredSandbox

__all__ = ["LOG_PARSER", "TEST_COMMAND", "Attempt", "FailedTest", "TestRun", "Workshop", "test_command"]

LOG_PARSER = "parse_log_pytest_v2"
"""The one of swebench's parsers that keeps white space and cuts messages off."""
TEST_COMMAND = "python -m pytest -rA -p no:cacheprovider -o addopts= --continue-on-collection-errors"
_PROBE, _TRACE, _SPEC = "/tmp/trajhub_probe.json", "/testbed/", "/tmp/trajhub_spec"
_HELPERS = "/opt/trajhub"
_LOG_LIMIT = 32 << 20
_SLOW_CPUS = 0.125
_KILLED = (128 + 9, 128 + 24)
"""Exit codes of a shell whose command was killed, or had used up its CPU time."""
_PYCACHE = "/tmp/trajhub_pycache"
_CACHED = f"PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX={_PYCACHE}"
"""Bytecode is kept outside the repository, and thrown away for every file that is changed."""


def test_command(package: Package) -> str:
    """The shell command that runs a package's tests; files are appended."""
    return f"{TEST_COMMAND} {package.options}".rstrip()


@dataclass(frozen=True)
class FailedTest:
    """Where and how one test failed."""

    when: str
    line: int
    """In the test's file; 0 when the failure is elsewhere."""
    message: str


@dataclass(frozen=True)
class TestRun:
    """What became of the tests in one run."""

    __test__ = False  # not a test class, whatever its name

    statuses: Mapping[str, str]
    """By node id, as the log parser reads it: PASSED, FAILED, ERROR, SKIPPED or XFAIL."""
    params: Mapping[str, Mapping[str, str]]
    """Parameters of every collected test."""
    failures: Mapping[str, FailedTest]
    functions: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """`path:line` of every function of the repository that each test called (when traced)."""
    lines: Mapping[str, frozenset[int]] = field(default_factory=dict[str, frozenset[int]])
    """Lines that ran, by path (when traced)."""
    durations: Mapping[str, float] = field(default_factory=dict[str, float])
    """Seconds by test file."""
    timed_out: bool = False
    seconds: float = 0.0
    """Of CPU time, where it is known, so that a busy machine tells what an idle one does."""

    def having(self, *statuses: str) -> set[str]:
        """The tests with one of these statuses."""
        return {name for name, status in self.statuses.items() if status in statuses}


@dataclass(frozen=True)
class Attempt:
    """What a reproduction did."""

    ok: bool
    stage: str
    error: str | None
    message: str
    left: str | None
    right: str | None


class Workshop:
    """A sandbox of a package image with the probe in it. Use as a context manager."""

    def __init__(self, engine: Engine, image: str, package: Package) -> None:
        self._package = package
        self._engine = engine
        self._parse = log_parser(LOG_PARSER)
        self._sandbox = MeteredSandbox(engine, SandboxConfig(image=image, sanitize_history=False))
        for helper, name in (("probe.py", "trajhub_probe.py"), ("driver.py", "driver.py")):
            self._sandbox.write_file(f"{_HELPERS}/{name}", Path(__file__).with_name(helper).read_bytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.close()

    def shell(self, command: str, timeout: float = 60) -> CommandResult:
        """Run a command in the repository."""
        return self._sandbox.run(command, timeout=timeout)

    def test(self, paths: Sequence[str], *, cpu_seconds: float = 300, trace: bool = False) -> TestRun:
        """Run whole test files. The limit is of CPU time, so that a busy machine decides as an idle one does.

        What waits for ever uses none: it is ended by the wall clock, late enough for a machine that is `slowed`.
        """
        env = f"{_CACHED} PYTHONPATH={_HELPERS} TRAJHUB_PROBE={_PROBE}" + (f" TRAJHUB_TRACE={_TRACE}" if trace else "")
        limit = math.ceil(cpu_seconds)
        pytest = f"{env} {test_command(self._package)} -p trajhub_probe {shlex.join(paths)}"
        command = f"ulimit -t {limit}; rm -f {_PROBE}; {pytest}"
        result = self._sandbox.run(command, timeout=30 + 2 * limit, output_limit=_LOG_LIMIT)
        spent = result.telemetry
        seconds = spent.cpu_s if spent.cpu_s is not None else spent.wall_ms / 1000
        if result.timed_out or result.oom_killed or result.exit_code in (None, *_KILLED):
            return TestRun({}, {}, {}, timed_out=True, seconds=seconds)
        try:
            probe: dict[str, Any] = json.loads(self._sandbox.read_file(_PROBE))
        except (FileNotFoundError, ValueError):
            probe = {"collected": {}, "failures": {}, "functions": {}, "lines": {}, "durations": {}}
        return self._read(result.text, probe, seconds)

    def _read(self, log: str, probe: dict[str, Any], seconds: float) -> TestRun:
        parsed = self._parse(log)
        names = _representable(probe["collected"])
        failures = {
            name: FailedTest(**probe["failures"][node]) for name, node in names.items() if node in probe["failures"]
        }
        return TestRun(
            statuses={name: parsed[name] for name in names if name in parsed},
            params={name: probe["collected"][node] for name, node in names.items()},
            failures=failures,
            functions={name: probe["functions"].get(node, []) for name, node in names.items()},
            lines={path: frozenset(lines) for path, lines in probe["lines"].items()},
            durations=probe["durations"],
            seconds=seconds,
        )

    @contextmanager
    def slowed(self) -> Generator[None]:
        """Give the sandbox an eighth of a CPU for a while: what then ends differently depends on the clock."""
        self._allow(_SLOW_CPUS)
        try:
            yield
        finally:
            self._allow(self._sandbox.config.cpus)

    def _allow(self, cpus: float) -> None:
        container = self._engine.client.containers.get(self._sandbox.container_id)
        container.update(cpu_quota=int(cpus * 100_000))

    @contextmanager
    def changed(self, before: Mapping[str, str | None], after: Mapping[str, str | None]) -> Generator[None]:
        """Put `after` in place of `before` for a while; None means that a file does not exist."""
        self.put(after)
        try:
            yield
        finally:
            self.put(before)

    def put(self, files: Mapping[str, str | None]) -> None:
        """Write files of the repository; None removes one."""
        # Bytecode is checked by size and second of change, which a small edit made in the same second passes.
        stale = " ".join(f"{shlex.quote(_PYCACHE + '/testbed/' + path.removesuffix('.py'))}.*" for path in files)
        self._sandbox.run(f"rm -f {stale}")
        for path, text in files.items():
            if text is not None:
                self._sandbox.write_file(path, text.encode())
            else:
                self._sandbox.run(f"rm -f {shlex.quote(path)}")

    def reproduce(self, specs: Sequence[Mapping[str, str]]) -> list[Attempt]:
        """Run reproductions (see `driver`), each in a process of its own."""
        self._sandbox.write_file(_SPEC, json.dumps([dict(spec) for spec in specs]).encode())
        command = f"{_CACHED} python {_HELPERS}/driver.py {_SPEC}"
        result = self._sandbox.run(command, timeout=15 + 10 * len(specs), output_limit=_LOG_LIMIT)
        try:
            answers: list[dict[str, Any]] = json.loads(result.text.strip().splitlines()[-1])
        except (IndexError, ValueError) as error:
            raise InfrastructureError(f"the reproduction driver answered {result.text[-500:]!r}") from error
        return [
            Attempt(
                ok=answer["ok"],
                stage=answer["stage"],
                error=answer["error"],
                message=answer.get("message", ""),
                left=answer.get("left"),
                right=answer.get("right"),
            )
            for answer in answers
        ]


def _representable(collected: Mapping[str, Any]) -> dict[str, str]:
    """Name in the log to node id, without tests whose ids a log cannot carry unambiguously."""
    names: dict[str, list[str]] = {}
    for node in collected:
        names.setdefault(" ".join(node.split()), []).append(node)
    return {name: nodes[0] for name, nodes in names.items() if len(nodes) == 1 and " - " not in name}
