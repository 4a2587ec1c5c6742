"""Held-out faults of environments: images, containers, daemons, disks and networks."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..errors import TrajHubError
from ..rollouts import load_config, run_rollout
from ..rollouts.attribution import Kind
from ..rollouts.config import read_overrides
from .fault_stage import Fault, Stage, read, shell, target
from .heldout_stage import Deed, broken_line, fix, inside, meddled, meddling, on_image, tests

__all__ = ["ENVIRONMENT"]

Acts = Callable[[Stage], Sequence[Mapping[str, Any]]]
_ANY = (Kind.ENVIRONMENT_BROKEN, Kind.SANDBOX_LOST, Kind.IMAGE_MISSING, Kind.OUT_OF_MEMORY, Kind.DISK_FULL)
_HOG = "python3 -c 'x = bytearray(400 << 20)'"
_PYTHON = "/opt/venv/bin/python3"
_NO_LIBRARY = "python3: error while loading shared libraries: libexpat.so.1: cannot open shared object file"


def _from_outside(
    name: str, kinds: Sequence[Kind], reason: str, acts: Acts, deeds: Mapping[int, Deed], *settings: str
) -> Fault:
    return Fault(name, tuple(kinds), lambda s: meddled(s, acts(s), deeds, *settings), reason)


def _image(name: str, kinds: Sequence[Kind], reason: str, script: str, acts: Acts) -> Fault:
    return Fault(name, tuple(kinds), lambda s: s.script(*acts(s), task=on_image(s, script)), reason)


def _unreachable(stage: Stage) -> Path:
    return stage.script(read(stage), task=stage.task.model_copy(update={"image": "registry.invalid/acme/app:1.4"}))


def _no_network(stage: Stage) -> Path:
    fetch = "import urllib.request as r; r.urlopen('http://fixtures.example.org/data.json')"
    command = f"python3 -c {shlex.quote(fetch)} && python3 -S /opt/microtest.py"
    return stage.script(tests(), tests(), tests(), task=stage.task.model_copy(update={"test_command": command}))


def _by_line(refuse: str | None, cut_at: int | None) -> Callable[[Stage], Path]:
    """An episode over a line to Docker that is cut before an action, or on which no container can be made."""

    def inject(stage: Stage) -> Path:
        folder = stage.work / f"run-{uuid4().hex[:8]}"
        config = load_config(read_overrides(["tasks=micro", "warm=0", "retries=0", "env.max_steps=12"]))
        with broken_line(refuse) as line:
            deeds = {} if cut_at is None else {cut_at: line.cut}
            policy = meddling([shell("ls"), read(stage), fix(stage)], deeds)
            with suppress(TrajHubError):
                run_rollout(folder, config, policy=policy, tasks=[stage.task], host=f"unix://{line.path}")
        return folder

    return inject


def _writes(stage: Stage) -> list[dict[str, Any]]:
    """Four ways to write the fix."""
    path = target(stage)
    edit = {"path": path, "content": "def f():\n    return 1\n"}
    return [
        fix(stage),
        shell(f"sed -i '2s/-/+/' {path}"),
        {"name": "file_write", "arguments": edit},
        shell("id; ls -la"),
    ]


ENVIRONMENT: Sequence[Fault] = (
    Fault(
        "a registry that does not answer",
        (Kind.IMAGE_MISSING,),
        _unreachable,
        "the image is not here and cannot be fetched",
    ),
    _from_outside(
        "the container is taken away after the fix",
        (Kind.SANDBOX_LOST,),
        "a fresh copy took its place, in which the model's right change is gone",
        lambda s: [fix(s), shell("ls"), shell("ls -la")],
        {1: lambda box: box.remove(force=True)},
    ),
    _from_outside(
        "somebody else fills the disk",
        (Kind.DISK_FULL,),
        "every command is killed for a disk that the agent did not fill",
        lambda s: [shell(f"sleep 1; ls {n}") for n in (".", "tests", "..", "/")],
        dict.fromkeys(range(4), inside("dd if=/dev/zero of=/var/tmp/blob bs=1M count=200")),
        "env.disk_mb=60",
    ),
    _from_outside(
        "somebody else uses up the memory",
        (Kind.OUT_OF_MEMORY,),
        "processes are killed for memory that the agent did not use",
        lambda s: [shell(f"sleep 1; ls {n}") for n in "abc"] + [shell("sleep 1; pwd")],
        dict.fromkeys(range(4), inside(_HOG)),
        "env.memory_mb=200",
    ),
    _from_outside(
        "somebody else uses up the processes",
        (Kind.ENVIRONMENT_BROKEN, *_ANY),
        "nothing can be started any more, and the agent started next to nothing",
        lambda s: [shell("sleep 1; ls"), read(s), shell("ls -la"), shell("pwd")],
        dict.fromkeys(range(4), inside("for i in $(seq 200); do sleep 100 & done; wait")),
        "env.pids=64",
    ),
    _image(
        "an image without a shell",
        _ANY,
        "nothing can be run in it",
        "rm -f /bin/sh /bin/bash /bin/dash",
        lambda s: [read(s)],
    ),
    _image(
        "an interpreter without its libraries",
        (Kind.ENVIRONMENT_BROKEN,),
        "no program of the repository can be run in this image",
        f"rm {_PYTHON}; printf '#!/bin/sh\\necho \"{_NO_LIBRARY}\" >&2; exit 127\\n' > {_PYTHON}; chmod +x {_PYTHON}",
        lambda s: [tests(), shell("python3 --version"), shell("python3 -m pip list"), tests()],
    ),
    Fault(
        "tests that need a network",
        (Kind.NETWORK,),
        _no_network,
        "tests that nobody touched fail because a name cannot be resolved",
    ),
    Fault(
        "the daemon is stopped",
        (Kind.ENGINE_UNAVAILABLE, Kind.SANDBOX_LOST),
        _by_line(None, 1),
        "nobody answers on the engine's socket any more",
    ),
    Fault(
        "the engine's disk is full",
        (Kind.DISK_FULL,),
        _by_line("mkdir /var/lib/docker/overlay2/3f-init: no space left on device", None),
        "no container can be made",
    ),
    Fault(
        "the engine has lost its runtime",
        (Kind.ENVIRONMENT_BROKEN, Kind.SANDBOX_LOST, Kind.ENGINE_UNAVAILABLE),
        _by_line("failed to create task for container: OCI runtime create failed: runc: exec format error", None),
        "no container can be made",
    ),
    _image(
        "files that nobody may write",
        (Kind.ENVIRONMENT_BROKEN,),
        "all of the repository belongs to another user, and the sandbox has no right to write it",
        "chown -R 1000:1000 /testbed; chmod -R a-w /testbed; chmod -R go-w,u+rwX,go+rX /testbed/.git",
        _writes,
    ),
    _image(
        "a repository without its history",
        (Kind.ENVIRONMENT_BROKEN, Kind.SANDBOX_LOST),
        "the fix is there, but the image has no repository to tell what changed",
        "rm -rf /testbed/.git",
        lambda s: [shell(f"sed -i '2s/-/+/' {target(s)}"), tests()],
    ),
)
