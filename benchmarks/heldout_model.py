"""Held-out faults of models: what a model, or the code that it wrote, did wrong."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..rollouts.attribution import Kind
from .fault_service import Answer, call, text
from .fault_stage import Fault, Stage, shell, target
from .heldout_stage import fix, tests

__all__ = ["MODEL"]


def _does(
    name: str,
    kinds: Sequence[Kind],
    reason: str,
    actions: Callable[[Stage], Sequence[Mapping[str, Any]]],
    *settings: str,
) -> Fault:
    def inject(stage: Stage) -> Path:
        return stage.script(*actions(stage), settings=settings)

    return Fault(name, tuple(kinds), inject, reason)


def _says(name: str, kinds: Sequence[Kind], reason: str, *answers: Answer, settings: Sequence[str] = ()) -> Fault:
    return Fault(name, tuple(kinds), lambda stage: stage.asked(*answers, settings=settings), reason)


_TOO_LONG = {
    "type": "error",
    "error": {"type": "invalid_request_error", "message": "prompt is too long: 214033 tokens > 200000 maximum"},
}

MODEL: Sequence[Fault] = (
    _does(
        "multiplies instead",
        (Kind.WRONG_PATCH,),
        "a patch that applies, runs, and does not do what was asked",
        lambda s: [shell(f"sed -i '2s/[-+]/*/' {target(s)}"), tests()],
    ),
    _does(
        "leaves a conflict marker",
        (Kind.BROKEN_PATCH, Kind.WRONG_PATCH),
        "the module can no longer be parsed",
        lambda s: [fix(s), shell(f"printf '<<<<<<< HEAD\\n' >> {target(s)}")],
    ),
    _does(
        "mends a copy elsewhere",
        (Kind.NO_PATCH,),
        "the repository itself is as it was",
        lambda s: [shell("cp -r /testbed /tmp/copy"), shell(f"cd /tmp/copy && sed -i '2s/-/+/' {target(s)}")],
    ),
    _does(
        "takes its fix back",
        (Kind.NO_PATCH,),
        "the right change was thrown away by the model",
        lambda s: [fix(s), shell("git checkout -- .")],
    ),
    _does(
        "bends the test to the bug",
        (Kind.WRONG_PATCH, Kind.NO_PATCH, Kind.BROKEN_PATCH),
        "a change of tests alone is no fix",
        lambda s: [shell("sed -i 's/== 4/== 4 or True/' tests/*.py")],
    ),
    _does(
        "removes the module",
        (Kind.BROKEN_PATCH, Kind.WRONG_PATCH),
        "what the tests import is gone",
        lambda s: [shell(f"git rm -q {target(s)}")],
    ),
    _does(
        "writes an endless loop",
        (Kind.BROKEN_PATCH, Kind.WRONG_PATCH),
        "tests hang, its own and the deciding ones, because of what it wrote",
        lambda s: [shell(f"printf 'while True:\\n    pass\\n' >> {target(s)}"), tests(), tests(), tests()],
        "env.test_timeout=2",
        "grader.timeout=8",
    ),
    _does(
        "waits for what never comes",
        (Kind.NO_PATCH, Kind.GAVE_UP, Kind.LOOP),
        "commands that never end by their nature are the model's choice",
        lambda s: [shell("tail -f /dev/null"), shell("tail -F README.md"), shell("while :; do sleep 1; done")],
        "env.command_timeout=1",
    ),
    _does(
        "goes round in a circle of two",
        (Kind.LOOP,),
        "the same two commands until the steps are used up",
        lambda s: [shell("git status"), shell(f"cat {target(s)}")] * 6,
    ),
    _does(
        "sleeps its time away",
        (Kind.LIMIT,),
        "the wall clock ran out over pauses it asked for",
        lambda s: [shell(f"sleep {n}") for n in (2, 3, 2.5, 3.5)],
        "env.time_limit=5",
    ),
    _does(
        "starts too many processes",
        (Kind.EXHAUSTED_SANDBOX, Kind.NO_PATCH),
        "its own command used up the process limit",
        lambda s: [shell("for i in $(seq 200); do sleep 50 & done; wait")] * 2,
        "env.pids=64",
    ),
    _does(
        "throws the repository away",
        (Kind.NO_PATCH, Kind.BROKEN_PATCH, Kind.EXHAUSTED_SANDBOX, Kind.WRONG_PATCH),
        "it removed what it should mend",
        lambda s: [shell("find /testbed -mindepth 1 -delete"), shell("ls -la")],
    ),
    _says(
        "calls a tool of another harness",
        (Kind.MALFORMED_ACTIONS,),
        "no such tool was offered",
        *(call("str_replace_editor", command="view", path=f"/testbed/{n}") for n in range(12)),
    ),
    _says(
        "declines",
        (Kind.GAVE_UP, Kind.NO_PATCH, Kind.MALFORMED_ACTIONS),
        "the model itself says that it will not do it",
        text("I'm sorry, but I can't help with modifying this repository."),
    ),
    _says(
        "grows beyond the window, in the words of another provider",
        (Kind.CONTEXT_OVERFLOW,),
        "the conversation became longer than the model can read",
        call("shell", command="ls"),
        Answer(400, _TOO_LONG),
    ),
    _says(
        "spends its tokens",
        (Kind.LIMIT,),
        "the budget of tokens is the run's, using it up the model's doing",
        *(call("shell", {"prompt_tokens": 900, "completion_tokens": 90}, command=f"ls {n}") for n in range(9)),
        settings=("budget.tokens=2500",),
    ),
)
