"""Faults of every kind, put into real episodes: real sandboxes, a real client asking a real server, the real grader.

Each fault yields the folder of a run with one episode in which it happened. Episodes of other people's agents are
written as their records and read by the adapters.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..envs.engine import Engine
from ..envs.micro import MicroConfig, build_micro
from ..envs.sources import load_tasks
from ..envs.task import Task
from ..rollouts import load_config, run_rollout
from ..rollouts.attribution import Kind
from ..rollouts.config import read_overrides
from ..rollouts.policies.base import Action, Context, Gave, Policy, PolicyBase, Session, TaskView
from ..rollouts.policies.scripted import ScriptedPolicy
from .fault_records import claude_code_record, mini_swe_agent_record, swe_agent_record
from .fault_service import Answer, call, closed_port, service, text

__all__ = ["FAULTS", "Fault", "Stage", "make_stage"]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where faults happen."""

    work: Path
    task: Task
    engine: Engine

    def run(self, policy: Policy | None, *settings: str, task: Task | None = None, folder: Path | None = None) -> Path:
        """One graded episode of a policy (None: that of the settings), or what is left to do of one."""
        folder = folder or self.work / f"run-{uuid4().hex[:8]}"
        items = ["tasks=micro", "warm=0", "grade=true", "retries=0", "env.max_steps=12", *settings]
        run_rollout(folder, load_config(read_overrides(items)), policy=policy, tasks=[task or self.task])
        return folder

    def script(self, *actions: Mapping[str, Any] | str, settings: Sequence[str] = (), task: Task | None = None) -> Path:
        """One episode that does just this, then submits."""
        told = [Action(call=dict(one) if isinstance(one, Mapping) else one) for one in actions]
        return self.run(ScriptedPolicy({"default": told}), *settings, task=task)

    def asked(self, *answers: Answer, settings: Sequence[str] = ()) -> Path:
        """One episode of a chat model whose service answers like this."""
        with service(answers) as asked:
            return self.chat(asked.url, *settings)

    def chat(self, url: str, *settings: str) -> Path:
        """One episode of a chat model at a URL."""
        return self.run(None, f"policy=chat:m@{url}", "chat.retries=1", "chat.max_wait=0.1", *settings)

    def ingested(self, name: str, content: str) -> Path:
        """A run of what another agent's record tells."""
        from ..rollouts.adapters.engine import IngestConfig, ingest

        source = self.work / f"source-{uuid4().hex[:8]}" / name
        source.parent.mkdir()
        source.write_text(content, encoding="utf-8")
        folder = self.work / f"run-{uuid4().hex[:8]}"
        ingest([source], folder, IngestConfig(max_workers=1))
        return folder


def make_stage(work: Path, engine: Engine) -> Stage:
    """A stage with a small task made on the spot."""
    home = build_micro(work / "tasks", MicroConfig(train=1, dev=0, eval=0), engine)["train"]
    return Stage(work, load_tasks(str(home))[0], engine)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail."""

    name: str
    expected: tuple[Kind, ...]
    """What a person would call it; the first is shown, any counts. All belong to one `Failure`."""
    inject: Callable[[Stage], Path] = field(repr=False)


def _shell(command: str, **more: Any) -> dict[str, Any]:
    return {"name": "shell", "arguments": {"command": command, **more}}


def _read(stage: Stage) -> dict[str, Any]:
    return _shell(f"cat {shlex.quote(_target(stage))}")


def _target(stage: Stage) -> str:
    """The file that the reference patch changes."""
    return next(line[6:] for line in stage.task.patch.splitlines() if line.startswith("+++ b/"))


def _append(stage: Stage, line: str) -> dict[str, Any]:
    return _shell(f"printf '%s\\n' {shlex.quote(line)} >> {shlex.quote(_target(stage))}")


class _Sabotage(PolicyBase):
    """Reads a little, and meanwhile something happens to the world."""

    name = "sabotaged"

    def __init__(self, deed: Callable[[], object]) -> None:
        self._deed = deed

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin."""
        return _Sabotaged(self._deed)


class _Sabotaged(Gave):
    def __init__(self, deed: Callable[[], object]) -> None:
        super().__init__([Action(call=_shell("ls")) for _ in range(4)])
        self._deed = deed

    def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        action = super().act(observation, info)
        self._deed()
        return action


def _copied(stage: Stage) -> Task:
    """The task with an image of its own, which may be taken away."""
    container = stage.engine.client.containers.create(stage.task.require_image(), "true")
    try:
        container.commit(repository="trajhub/fault", tag=(tag := uuid4().hex[:12]), message=tag)
    finally:
        container.remove(force=True)
    return stage.task.model_copy(update={"image": f"trajhub/fault:{tag}"})


def _removed(stage: Stage, image: str) -> None:
    """The containers of an image are removed, as by a person who cleans up."""
    names = (image, stage.engine.image_id(image))
    for box in stage.engine.containers():
        if box["Image"] in names:
            stage.engine.remove(box["Id"])


def _container_vanishes(stage: Stage) -> Path:
    task = _copied(stage)
    image = task.require_image()
    try:
        return stage.run(_Sabotage(_once(lambda: _removed(stage, image))), task=task)
    finally:
        stage.engine.client.images.remove(image, force=True)


def _image_vanishes(stage: Stage) -> Path:
    task = _copied(stage)
    image = task.require_image()

    def deed() -> None:
        _removed(stage, image)
        stage.engine.client.images.remove(image, force=True)

    return stage.run(_Sabotage(_once(deed)), task=task)


def _ungradable(stage: Stage) -> Path:
    """The image is gone by the time of grading."""
    task, policy = _copied(stage), ScriptedPolicy({"default": [Action(call=_append(stage, "# touched"))]})
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
    return stage.script(_append(stage, "# touched"), settings=("grader.timeout=2",), task=task)


def _early_end(stage: Stage) -> Path:
    task = stage.task.model_copy(update={"eval_script": "#!/bin/bash\nexit 3\n"})
    return stage.script(_append(stage, "# touched"), task=task)


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
    Fault("changes nothing that matters", (Kind.WRONG_PATCH,), lambda s: s.script(_append(s, "# touched"))),
    Fault("adds a new file only", (Kind.WRONG_PATCH,), lambda s: s.script(_shell("echo x > notes.txt"))),
    Fault(
        "a module that does not parse",
        (Kind.WRONG_PATCH, Kind.BROKEN_PATCH),
        lambda s: s.script(_append(s, "def (:")),
    ),
    Fault(
        "a module that ends the interpreter",
        (Kind.BROKEN_PATCH, Kind.WRONG_PATCH),
        lambda s: s.script(_append(s, "import os; os._exit(0)")),
    ),
    Fault("submits at once", (Kind.NO_PATCH,), lambda s: s.script()),
    Fault("only reads", (Kind.NO_PATCH,), lambda s: s.script(_read(s), _shell("ls"))),
    Fault("text instead of actions", (Kind.MALFORMED_ACTIONS,), lambda s: s.script(*["I would look first."] * 14)),
    Fault("actions cut in half", (Kind.MALFORMED_ACTIONS,), lambda s: s.script(*['{"name": "shell", "arg'] * 14)),
    Fault(
        "tools that do not exist",
        (Kind.MALFORMED_ACTIONS,),
        lambda s: s.script(*[_BROWSE] * 14),
    ),
    Fault("never calls a tool", (Kind.GAVE_UP, Kind.MALFORMED_ACTIONS), lambda s: s.asked(text("I am done."))),
    Fault("reads one file for ever", (Kind.LOOP,), lambda s: s.script(*[_read(s)] * 14)),
    Fault("repeats a failing command", (Kind.LOOP,), lambda s: s.script(*[_shell("cat nowhere.py")] * 14)),
    Fault(
        "explores until the last step",
        (Kind.LIMIT,),
        lambda s: s.script(*[_shell(f"grep -rn 'def .*{letter}' .") for letter in "abcdefghijklmn"]),
    ),
    Fault(
        "runs out of time",
        (Kind.LIMIT,),
        lambda s: s.script(*[_shell(f"sleep 1.{n}") for n in range(9)], settings=("env.time_limit=5",)),
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
        lambda s: s.script(*[_shell(_HOG)] * 4, settings=("env.memory_mb=128",)),
    ),
    Fault(
        "starts too many processes",
        (Kind.EXHAUSTED_SANDBOX,),
        lambda s: s.script(*[_shell("f() { f | f & }; f; sleep 2")] * 3, settings=("env.pids=64",)),
    ),
    Fault(
        "fills the disk",
        (Kind.EXHAUSTED_SANDBOX,),
        lambda s: s.script(*[_shell("cat /dev/zero > big")] * 3, settings=("env.disk_mb=16",)),
    ),
    Fault(
        "waits for what never ends",
        (Kind.EXHAUSTED_SANDBOX,),
        lambda s: s.script(*[_shell("sleep 99", timeout=1)] * 4),
    ),
    Fault("kills its sandbox", (Kind.EXHAUSTED_SANDBOX,), lambda s: s.script(*[_shell("kill -9 -1")] * 4)),
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
    Fault("a patch that forges the report", (Kind.FORGED,), lambda s: s.script(_append(s, _FORGERY))),
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
