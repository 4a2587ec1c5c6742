"""Held-out faults of tools: ours failed, or were cut short, without the model having caused it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium

from ..envs.registration import DEFAULT_WRAPPERS
from ..rollouts.attribution import Kind
from ..rollouts.steering.features import CALL_NAMES
from ..rollouts.steering.predictor import Constant, Head, Predictor, Recipe
from ..tools.base import ToolContext, ToolResult
from ..tools.registry import ToolRegistry, default_tools
from ..tools.search import Search
from .fault_stage import Fault, Stage, read, shell, target
from .heldout_stage import on_image, tests

__all__ = ["TOOL", "WithDefectiveSearch"]

_SLOW = "#!/bin/sh\\nsleep 30\\n"
Acts = Callable[[Stage], Sequence[Mapping[str, Any]]]


class _DefectiveSearch(Search):
    """A search whose index is broken: a defect of the tool."""

    def run(self, arguments: Any, context: ToolContext) -> ToolResult:
        """Fail."""
        return ToolResult(output="search: internal error: index 7 is corrupt", ok=False, error="tool_error")


class WithDefectiveSearch(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Puts the defective search in the place of ours."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        others = [tool for tool in default_tools() if tool.name != "search"]
        world: Any = env.unwrapped
        world.tools = ToolRegistry([*others, _DefectiveSearch()])


def _tested_by(name: str, kind: Kind, reason: str, command: str, acts: Acts, *settings: str, **more: Any) -> Fault:
    """The task's own test command is replaced."""

    def inject(stage: Stage) -> Path:
        task = stage.task.model_copy(update={"test_command": command or stage.task.test_command, **more})
        return stage.script(*acts(stage), settings=settings, task=task)

    return Fault(name, (kind,), inject, reason)


def _with_slow(name: str, reason: str, program: str, acts: Acts, when: str = "") -> Fault:
    """A program of the image hangs, always or when `when` is among its arguments."""
    place = "/opt/venv/bin/python3" if program == "python3" else f"/usr/local/bin/{program}"
    body = (
        f'#!/bin/sh\\ncase " $* " in *" {when} "*) sleep 30;; esac\\nexec /usr/bin/{program} "$@"\\n' if when else _SLOW
    )
    script = f"rm -f {place}; printf '{body}' > {place}; chmod +x {place}"

    def inject(stage: Stage) -> Path:
        return stage.script(*acts(stage), settings=("env.command_timeout=1.5",), task=on_image(stage, script))

    return Fault(name, (Kind.TOOL_TIMEOUT,), inject, reason)


def _cut(stage: Stage) -> Path:
    zero = Constant(value=0.0)
    head = Head(quantile=0.99, link="log1p", model=zero)
    recipe = Recipe(model="baseline", quantiles=(0.99,))
    made = Predictor(target="tool_latency", features=CALL_NAMES, recipe=recipe, heads=(head,), episodes=0, tasks=())
    file = stage.work / "hasty.json"
    file.write_text(made.model_dump_json())
    settings = (f"steering.timeout={{predictor: {file}, floor: 0.3, retry: false}}",)
    slow = [shell(f"sleep 1; sed -n {n},60p {target(stage)}") for n in (1, 2, 3, 4)]
    return stage.script(*slow, settings=settings)


def _searches(stage: Stage) -> list[dict[str, Any]]:
    return [{"name": "search", "arguments": {"pattern": word}} for word in ("def ", "return", "import", "class ")]


def _git(stage: Stage) -> list[dict[str, Any]]:
    return [{"name": "git", "arguments": {"subcommand": "log", "args": ["-n", str(n)]}} for n in (1, 2, 3)]


def _runs(count: int) -> Acts:
    return lambda stage: [read(stage), *([tests()] * count)]


def _defective(stage: Stage) -> Path:
    wrappers = [*DEFAULT_WRAPPERS, f"{__name__}:WithDefectiveSearch"]
    return stage.script(*_searches(stage), settings=(f"wrappers={wrappers}",))


TOOL: Sequence[Fault] = (
    _tested_by(
        "a runner that is not where the tool looks",
        Kind.TOOL_ERROR,
        "the command behind run_tests is wrong; the sandbox is well",
        "python3 -S /opt/runner/microtest.py",
        _runs(4),
    ),
    _tested_by(
        "results that the tool cannot read",
        Kind.TOOL_ERROR,
        "the tests run, and the tool has the parser of another framework",
        "",
        _runs(4),
        log_parser="parse_log_django",
    ),
    _tested_by(
        "a runner that crashes",
        Kind.TOOL_ERROR,
        "the runner dies on an untouched repository",
        "kill -SEGV $$; true",
        _runs(4),
    ),
    _tested_by(
        "a runner that waits for a lock",
        Kind.TOOL_TIMEOUT,
        "tests that nobody touched hang each time they are run",
        "sh -c '(flock 9; sleep 60) 9>/tmp/lock & sleep 0.2; exec flock /tmp/lock true'",
        lambda s: [tests(), read(s), tests(), shell("ls"), tests()],
        "env.test_timeout=1.5",
    ),
    _tested_by(
        "one test run eats the episode",
        Kind.TOOL_TIMEOUT,
        "the first run on an untouched repository hangs until the time is up",
        "python3 -c 'import socket; s = socket.socket(); s.bind((\"\", 0)); s.listen(); s.accept()'",
        _runs(1),
        "env.test_timeout=60",
        "env.time_limit=5",
    ),
    _tested_by(
        "a runner that hangs now and then",
        Kind.TOOL_TIMEOUT,
        "every second run of the same tests hangs, and the steps go by",
        "sh -c 'if [ -e /tmp/odd ]; then rm /tmp/odd; else touch /tmp/odd; sleep 60; fi; python3 -S /opt/microtest.py'",
        _runs(7),
        "env.test_timeout=1",
        "env.max_steps=8",
    ),
    _with_slow("searches that never end", "our search tool calls `git grep`, which hangs", "git", _searches, "grep"),
    _with_slow("a history that never comes", "our git tool hangs on `git log`", "git", _git, "log"),
    _with_slow(
        "an interpreter that takes long to start",
        "short commands that would do no harm are all cut by the time-out",
        "python3",
        lambda s: [shell(f"python3 -c 'print({n})'") for n in range(4)],
    ),
    Fault(
        "a hasty dynamic time-out",
        (Kind.TOOL_TIMEOUT,),
        _cut,
        "our own policy cuts commands of one second that have a minute",
    ),
    Fault("a tool with a defect", (Kind.TOOL_ERROR,), _defective, "the tool answers every call with its own error"),
)
