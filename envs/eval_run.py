"""Running a task's evaluation script on a patch: a fresh container, the patch, files put in place, the tests."""

import hashlib
import posixpath
import secrets
import shlex
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..tools.base import CommandResult
from .applying import Applied, apply_patch, checked
from .assets import assets_of
from .canaries import Planted, can_hold
from .container import DEFAULT_ENV
from .engine import Engine
from .grader_config import GraderConfig
from .infrastructure import TestInfrastructure
from .logs import END, START, evaluation_script, read_log
from .sandbox import Sandbox, SandboxConfig
from .task import Task
from .trial import Seen, read_sources

__all__ = ["EvalRun", "EvalRunner", "ScriptSuite"]

_SCRIPT = "/eval.sh"
_SOURCES_KEPT = 4096
_sources: dict[str, Mapping[str, str]] = {}
"""Unpatched test files of images, for every grader of this process: what an image holds never changes."""
_sources_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRun:
    """What a task's tests did on a patch."""

    applied: Applied
    result: CommandResult | None
    """None when the patch does not apply."""
    image_id: str

    @property
    def log(self) -> str:
        """The output as text; bytes that are not UTF-8 are replaced, as in the official harness."""
        return self.result.output.decode("utf-8", errors="replace") if self.result else self.applied.output

    @property
    def limit(self) -> str | None:
        """The limit the tests ran into, in words."""
        result = self.result
        if result is None:
            return None
        reached = {
            "time": result.timed_out,
            "memory": result.oom_killed,
            "processes": result.pids_limited,
            "disk": result.disk_limited,
            "output": result.truncated,
        }
        return next((name for name, hit in reached.items() if hit), None)


class EvalRunner:
    """Runs tests of tasks, each time in a fresh container; safe to share between threads."""

    def __init__(self, engine: Engine, config: GraderConfig) -> None:
        self._engine, self._config = engine, config

    def run(self, task: Task, patch: str, planted: Planted | None = None) -> EvalRun:
        """The task's tests on a patch in a fresh container."""
        script = evaluation_script(task)
        with self.sandbox(task) as sandbox:
            applied = apply_patch(sandbox, patch, TestInfrastructure.of(task))
            if applied.command is None:
                return EvalRun(applied=applied, result=None, image_id=sandbox.image_id)
            brought = assets_of(task)
            if planted is not None:
                brought |= {path: text.encode("utf-8") for path, text in planted.sources.items()}
            script = _staged(sandbox, script, brought)
            sandbox.write_file(_SCRIPT, script.encode())
            result = self._execute(sandbox)
            return EvalRun(applied=applied, result=result, image_id=sandbox.image_id)

    def sandbox(self, task: Task) -> Sandbox:
        """A fresh container of a task's image."""
        image = task.require_image()
        found: Any = self._engine.api.inspect_image(self._engine.require_image(image))
        entries: list[str] = found["Config"]["Env"] or []
        own: dict[str, str] = dict([entry.split("=", 1) for entry in entries if "=" in entry])
        config = SandboxConfig(
            image=image,
            workdir=task.workdir,
            network=task.network,
            memory_mb=self._config.memory_mb,
            cpus=self._config.cpus,
            pids=self._config.pids,
            disk_mb=self._config.disk_mb,
            cap_add=self._config.cap_add,
            env={name: own[name] for name in DEFAULT_ENV if name in own},
            sanitize_history=False,
        )
        return Sandbox(self._engine, config)

    def test_files(self, task: Task) -> Mapping[str, str]:
        """The deciding files that can hold canaries, as they are when the tests start; read once a task, unpatched."""
        script = task.eval_script or ""
        image = self._engine.require_image(task.require_image())
        key = hashlib.sha256(f"{task.instance_id} {image} {script}".encode()).hexdigest()
        with _sources_lock:
            if key in _sources:
                return _sources[key]
        lines = script.splitlines(keepends=True)
        start = next((i for i, line in enumerate(lines) if START in line), None)
        found: dict[str, str] = {}
        paths = [path for path in sorted(TestInfrastructure.of(task).tests) if can_hold(path)]
        if start is not None and paths:
            with self.sandbox(task) as sandbox:
                sandbox.write_file(_SCRIPT, "".join(lines[:start]).encode())
                self._execute(sandbox)
                found = read_sources(sandbox, paths)
        with _sources_lock:
            _sources[key] = found
            if len(_sources) > _SOURCES_KEPT:
                del _sources[next(iter(_sources))]
        return found

    def _execute(self, sandbox: Sandbox) -> CommandResult:
        unset = " ".join(f"-u {name}" for name in DEFAULT_ENV if name not in sandbox.config.env)
        command = f"env {unset} /bin/bash {_SCRIPT}"
        limit = self._config.log_limit
        return checked(sandbox.run(command, timeout=self._config.timeout, output_limit=limit))


@dataclass(frozen=True, slots=True)
class ScriptSuite:
    """The tests of a task with an evaluation script; see `trial.Suite`."""

    runner: EvalRunner
    task: Task

    def sources(self) -> Mapping[str, str]:
        """The deciding test files that can hold canaries."""
        return self.runner.test_files(self.task)

    def run(self, patch: str, planted: Planted) -> Seen:
        """Run the tests on a patch, with canaries planted."""
        log = self.runner.run(self.task, patch, planted).log
        report = read_log(self.task, log, patch)
        return Seen(resolved=report.resolved, statuses=report.statuses, log=log)

    @property
    def command(self) -> str:
        """The part of the script that runs the tests."""
        return (self.task.eval_script or "").partition(START)[2].partition(END)[0]


def _staged(sandbox: Sandbox, script: str, files: Mapping[str, bytes]) -> str:
    """The script with files put in place right before the tests start."""
    if not files:
        return script
    folder = f"/tmp/{secrets.token_hex(8)}"
    commands: list[str] = []
    for number, (path, content) in enumerate(files.items()):
        sandbox.write_file(f"{folder}/{number}", content)
        target = shlex.quote(f"{sandbox.workdir}/{path}")
        commands.append(f"mkdir -p {shlex.quote(posixpath.dirname(f'{sandbox.workdir}/{path}'))} 2>/dev/null")
        commands.append(f"cat {folder}/{number} > {target} 2>/dev/null")
    lines = script.split("\n")
    start = next((i for i, line in enumerate(lines) if START in line), len(lines))
    return "\n".join([*lines[:start], *commands, f"rm -rf {folder}", *lines[start:]])
