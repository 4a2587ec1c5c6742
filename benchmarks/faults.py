"""Faults of every kind, put into real episodes. The rules of attribution were written with these at hand."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..rollouts.attribution import Kind
from ..rollouts.policies.base import Action
from ..rollouts.policies.scripted import ScriptedPolicy
from .fault_records import claude_code_record, mini_swe_agent_record, swe_agent_record
from .fault_service import Answer, call, closed_port, text
from .fault_stage import Fault, Sabotage, Stage, append, copied, read, removed, shell

__all__ = ["FAULTS"]


def _container_vanishes(stage: Stage) -> Path:
    task = copied(stage)
    image = task.require_image()
    try:
        return stage.run(Sabotage(_once(lambda: removed(stage, image))), task=task)
    finally:
        stage.engine.client.images.remove(image, force=True)


def _image_vanishes(stage: Stage) -> Path:
    task = copied(stage)
    image = task.require_image()

    def deed() -> None:
        removed(stage, image)
        stage.engine.client.images.remove(image, force=True)

    return stage.run(Sabotage(_once(deed)), task=task)


def _ungradable(stage: Stage) -> Path:
    """The image is gone by the time of grading."""
    task, policy = copied(stage), ScriptedPolicy({"default": [Action(call=append(stage, "# touched"))]})
    done = stage.run(policy, "grade=false", task=task)
    stage.engine.client.images.remove(task.require_image(), force=True)
    return stage.run(policy, task=task, folder=done)


def _once(deed: Callable[[], object]) -> Callable[[], None]:
    left = [deed]

    def once() -> None:
        if left:
            left.pop()()

    return once


_OVERFLOW = {
    "error": {"message": "This model's maximum context length is 4096 tokens", "code": "context_length_exceeded"}
}
_RUN_TESTS: dict[str, Any] = {"name": "run_tests", "arguments": {}}
_BROWSE: dict[str, Any] = {"name": "browse", "arguments": {}}
_HOG = 'python3 -c "x = bytearray(600 << 20)"'
_SLOW_TESTS = ("env.test_timeout=1",)


def _slow_tests(stage: Stage) -> Path:
    task = stage.task.model_copy(update={"test_command": "sleep 30"})
    return stage.script(*[_RUN_TESTS] * 4, settings=_SLOW_TESTS, task=task)


def _no_tests(stage: Stage) -> Path:
    task = stage.task.model_copy(update={"test_command": None})
    return stage.script(*[_RUN_TESTS] * 4, task=task)


def _slow_grading(stage: Stage) -> Path:
    script = (stage.task.eval_script or "").replace(
        ": '>>>>> Start Test Output'", ": '>>>>> Start Test Output'\nsleep 60"
    )
    task = stage.task.model_copy(update={"eval_script": script})
    return stage.script(append(stage, "# touched"), settings=("grader.timeout=2",), task=task)


def _early_end(stage: Stage) -> Path:
    task = stage.task.model_copy(update={"eval_script": "#!/bin/bash\nexit 3\n"})
    return stage.script(append(stage, "# touched"), task=task)


_FORGERY = """import atexit as _a, builtins as _b, os as _os, sys as _sys
_p = _b.print
def _said(x):
    return "PASSED " + str(x)[7:].split(" - ")[0] if str(x).startswith("FAILED ") else x
_b.print = lambda *a, **k: _p(*map(_said, a), **k)
_a.register(lambda: (_sys.stdout.flush(), _os._exit(0)))
"""


def _answers(status: int, message: str, **headers: str) -> Answer:
    return Answer(status=status, body={"error": {"message": message}}, headers=headers)


_MODEL = (
    Fault("changes nothing that matters", (Kind.WRONG_PATCH,), lambda s: s.script(append(s, "# touched"))),
    Fault("adds a new file only", (Kind.WRONG_PATCH,), lambda s: s.script(shell("echo x > notes.txt"))),
    Fault(
        "a module that does not parse",
        (Kind.WRONG_PATCH, Kind.BROKEN_PATCH),
        lambda s: s.script(append(s, "def (:")),
    ),
    Fault(
        "a module that ends the interpreter",
        (Kind.BROKEN_PATCH, Kind.WRONG_PATCH),
        lambda s: s.script(append(s, "import os; os._exit(0)")),
    ),
    Fault("submits at once", (Kind.NO_PATCH,), lambda s: s.script()),
    Fault("only reads", (Kind.NO_PATCH,), lambda s: s.script(read(s), shell("ls"))),
    Fault("text instead of actions", (Kind.MALFORMED_ACTIONS,), lambda s: s.script(*["I would look first."] * 14)),
    Fault("actions cut in half", (Kind.MALFORMED_ACTIONS,), lambda s: s.script(*['{"name": "shell", "arg'] * 14)),
    Fault(
        "tools that do not exist",
        (Kind.MALFORMED_ACTIONS,),
        lambda s: s.script(*[_BROWSE] * 14),
    ),
    Fault("never calls a tool", (Kind.GAVE_UP, Kind.MALFORMED_ACTIONS), lambda s: s.asked(text("I am done."))),
    Fault("reads one file for ever", (Kind.LOOP,), lambda s: s.script(*[read(s)] * 14)),
    Fault("repeats a failing command", (Kind.LOOP,), lambda s: s.script(*[shell("cat nowhere.py")] * 14)),
    Fault(
        "explores until the last step",
        (Kind.LIMIT,),
        lambda s: s.script(*[shell(f"grep -rn 'def .*{letter}' .") for letter in "abcdefghijklmn"]),
    ),
    Fault(
        "runs out of time",
        (Kind.LIMIT,),
        lambda s: s.script(*[shell(f"sleep 1.{n}") for n in range(9)], settings=("env.time_limit=5",)),
    ),
    Fault(
        "uses up its tokens",
        (Kind.LIMIT,),
        lambda s: s.asked(
            call("shell", {"prompt_tokens": 900, "completion_tokens": 9}, command="ls"),
            call("shell", {"prompt_tokens": 900, "completion_tokens": 9}, command="ls -a"),
            settings=("budget.tokens=1500",),
        ),
    ),
    Fault(
        "talks beyond its context",
        (Kind.CONTEXT_OVERFLOW,),
        lambda s: s.asked(call("shell", command="ls"), Answer(status=400, body=_OVERFLOW)),
    ),
    Fault(
        "uses up the memory",
        (Kind.EXHAUSTED_SANDBOX,),
        lambda s: s.script(*[shell(_HOG)] * 4, settings=("env.memory_mb=128",)),
    ),
    Fault(
        "starts too many processes",
        (Kind.EXHAUSTED_SANDBOX,),
        lambda s: s.script(*[shell("f() { f | f & }; f; sleep 2")] * 3, settings=("env.pids=64",)),
    ),
    Fault(
        "fills the disk",
        (Kind.EXHAUSTED_SANDBOX,),
        lambda s: s.script(*[shell("cat /dev/zero > big")] * 3, settings=("env.disk_mb=16",)),
    ),
    Fault(
        "waits for what never ends",
        (Kind.EXHAUSTED_SANDBOX,),
        lambda s: s.script(*[shell("sleep 99", timeout=1)] * 4),
    ),
    Fault("kills its sandbox", (Kind.EXHAUSTED_SANDBOX,), lambda s: s.script(*[shell("kill -9 -1")] * 4)),
)

_TOOL = (
    Fault("tests slower than they may be", (Kind.TOOL_TIMEOUT,), _slow_tests),
    Fault("no way to run tests", (Kind.TOOL_ERROR,), _no_tests),
)

_ENVIRONMENT = (
    Fault(
        "an image that is not there",
        (Kind.IMAGE_MISSING,),
        lambda s: s.script(task=s.task.model_copy(update={"image": "trajhub/fault:nowhere"})),
    ),
    Fault("the container vanishes", (Kind.SANDBOX_LOST,), _container_vanishes),
    Fault("container and image vanish", (Kind.SANDBOX_LOST, Kind.IMAGE_MISSING), _image_vanishes),
    Fault("the image vanishes before grading", (Kind.IMAGE_MISSING,), _ungradable),
)

_SERVICE = (
    Fault("429, too many requests", (Kind.RATE_LIMITED,), lambda s: s.asked(_answers(429, "slow down"))),
    Fault(
        "429, no quota left, after some steps",
        (Kind.RATE_LIMITED,),
        lambda s: s.asked(call("shell", command="ls"), _answers(429, "You exceeded your current quota")),
    ),
    Fault("500", (Kind.SERVER_ERROR,), lambda s: s.asked(_answers(500, "oops"))),
    Fault("502 of a proxy", (Kind.SERVER_ERROR,), lambda s: s.asked(Answer(status=502, body=b"<html>Bad Gateway"))),
    Fault("503, overloaded", (Kind.SERVER_ERROR,), lambda s: s.asked(_answers(503, "Overloaded"))),
    Fault("529, overloaded", (Kind.SERVER_ERROR,), lambda s: s.asked(_answers(529, "Overloaded"))),
    Fault("504 of a proxy", (Kind.SERVICE_TIMEOUT,), lambda s: s.asked(_answers(504, "upstream timed out"))),
    Fault("nobody listens", (Kind.CONNECTION,), lambda s: s.chat(closed_port())),
    Fault("hangs up in its answer", (Kind.CONNECTION,), lambda s: s.asked(Answer(body={}, cut=True))),
    Fault(
        "hangs up after some steps",
        (Kind.CONNECTION,),
        lambda s: s.asked(call("shell", command="ls"), Answer(body={}, cut=True)),
    ),
    Fault(
        "does not answer",
        (Kind.SERVICE_TIMEOUT,),
        lambda s: s.asked(Answer(delay=3, body={}), settings=("chat.request_timeout=0.3",)),
    ),
    Fault("answers with a page", (Kind.BAD_ANSWER,), lambda s: s.asked(Answer(body=b"<html>Welcome</html>"))),
    Fault("answers without a choice", (Kind.BAD_ANSWER,), lambda s: s.asked(Answer(body={"choices": []}))),
    Fault("refuses the request", (Kind.REFUSED,), lambda s: s.asked(_answers(422, "tools are not supported"))),
)

_GRADER = (
    Fault("deciding tests that never end", (Kind.TESTS_NOT_RUN,), _slow_grading),
    Fault("an evaluation that ends before its tests", (Kind.TESTS_NOT_RUN,), _early_end),
    Fault("a patch that forges the report", (Kind.FORGED,), lambda s: s.script(append(s, _FORGERY))),
)


def _recorded(name: str, kinds: Sequence[Kind], file: str, record: str) -> Fault:
    return Fault(name, tuple(kinds), lambda stage: stage.ingested(file, record))


_SWE_AGENT: Mapping[str, Sequence[Kind]] = {
    "exit_format": (Kind.MALFORMED_ACTIONS,),
    "exit_context": (Kind.CONTEXT_OVERFLOW,),
    "exit_cost": (Kind.LIMIT,),
    "exit_api": (Kind.CONNECTION, Kind.SERVER_ERROR, Kind.REFUSED),
    "exit_environment_error": (Kind.ENVIRONMENT_BROKEN,),
}
_MINI: Mapping[str, Kind] = {
    "LimitsExceeded": Kind.LIMIT,
    "RateLimitError": Kind.RATE_LIMITED,
    "ContextWindowExceededError": Kind.CONTEXT_OVERFLOW,
}
_CLAUDE: Mapping[str, tuple[Kind, str, str]] = {
    "overloaded": (Kind.SERVER_ERROR, "unknown", "API Error: 529 overloaded_error"),
    "usage limit": (Kind.RATE_LIMITED, "rate_limit", "Claude usage limit reached"),
    "bad key": (Kind.UNAUTHORIZED, "authentication_failed", "Invalid API key. Please run /login"),
    "fetch failed": (Kind.CONNECTION, "unknown", "API Error: Connection error (fetch failed)"),
}
_OTHERS = (
    *(_recorded(f"SWE-agent: {said}", kinds, "a.traj", swe_agent_record(said)) for said, kinds in _SWE_AGENT.items()),
    *(_recorded(f"mini: {said}", [kind], "a.traj.json", mini_swe_agent_record(said)) for said, kind in _MINI.items()),
    *(
        _recorded(f"Claude Code: {name}", [kind], "a.jsonl", claude_code_record(error, message))
        for name, (kind, error, message) in _CLAUDE.items()
    ),
)

FAULTS: Sequence[Fault] = (*_MODEL, *_TOOL, *_ENVIRONMENT, *_SERVICE, *_GRADER, *_OTHERS)
"""Every fault, grouped by who is to blame; those of other agents last."""
