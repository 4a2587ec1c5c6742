"""What held-out faults need besides the stage: meddling from outside, spoilt images and tasks, a bad line to Docker."""

import socket
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..envs.task import Task
from ..rollouts.policies.base import Action, Context, Gave, Policy, PolicyBase, Session, TaskView
from .fault_stage import Stage, shell

__all__ = ["Deed", "broken_line", "fix", "inside", "meddled", "meddling", "on_image", "tests", "with_script"]

Act = Mapping[str, Any]
Deed = Callable[[Any], object]
_SOCKET = "/var/run/docker.sock"


def fix(stage: Stage) -> dict[str, Any]:
    """The right change."""
    return shell(f"git apply - <<'EOF'\n{stage.task.patch}EOF")


def tests(**more: Any) -> dict[str, Any]:
    """All tests, by the tool for it."""
    return {"name": "run_tests", "arguments": {"tests": [], **more}}


class _Meddling(PolicyBase):
    """Plays actions, and before some of them something is done to its container from outside."""

    name = "meddled"

    def __init__(self, actions: Sequence[Act], deeds: Mapping[int, Callable[[], object]]) -> None:
        self._actions, self._deeds = actions, deeds

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin."""
        return _Meddled([Action(call=dict(one)) for one in self._actions], self._deeds)


class _Meddled(Gave):
    def __init__(self, actions: Sequence[Action], deeds: Mapping[int, Callable[[], object]]) -> None:
        super().__init__(actions)
        self._deeds = deeds

    def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        number = self._next
        if (deed := self._deeds.get(number)) is not None:
            deed()
        return super().act(observation, info)


def meddling(actions: Sequence[Act], deeds: Mapping[int, Callable[[], object]]) -> Policy:
    """A policy that plays actions, and before some of them something is done."""
    return _Meddling(actions, deeds)


def meddled(
    stage: Stage, actions: Sequence[Act], deeds: Mapping[int, Deed], *settings: str, task: Task | None = None
) -> Path:
    """An episode of these actions; before the ones numbered in `deeds`, something happens to its container."""
    folder = stage.work / f"run-{uuid4().hex[:8]}"

    def bound(deed: Deed) -> Callable[[], object]:
        return lambda: [deed(box) for box in _boxes(stage, folder)]

    policy = _Meddling(actions, {number: bound(deed) for number, deed in deeds.items()})
    return stage.run(policy, *settings, task=task, folder=folder)


def _boxes(stage: Stage, folder: Path) -> list[Any]:
    return stage.engine.client.containers.list(filters={"label": f"trajhub.run={folder.name}"})


def inside(command: str) -> Deed:
    """Somebody else runs a command in the container, and it goes on."""
    return lambda box: box.exec_run(["sh", "-c", command], detach=True)


def on_image(stage: Stage, script: str) -> Task:
    """The task with an image that a script has spoilt."""
    client = stage.engine.client
    name = f"trajhub/fault:{uuid4().hex[:12]}"
    box = client.containers.create(stage.task.require_image(), ["sh", "-c", script])
    try:
        box.start()
        box.wait()
        repository, tag = name.split(":")
        box.commit(repository=repository, tag=tag)
    finally:
        box.remove(force=True)
    return stage.task.model_copy(update={"image": name})


def with_script(stage: Stage, change: Callable[[str], str], **more: Any) -> Task:
    """The task with another evaluation script."""
    script = change(stage.task.eval_script or "")
    return stage.task.model_copy(update={"eval_script": script, **more})


class _Line:
    """A Unix socket in front of Docker's, which may be cut, or may answer for it."""

    def __init__(self, path: Path, refuse: str | None) -> None:
        self.path, self._refuse = path, refuse
        self._pairs = list[socket.socket]()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                far.connect(_SOCKET)
                self._pairs += [near, far]
                threading.Thread(target=self._pump, args=(near, far, self._refuse), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near, None), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, refuse: str | None) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if refuse is not None and data.startswith(b"POST") and b"/containers/create" in data[:200]:
                    body = ('{"message": "' + refuse + '"}').encode()
                    head = (
                        f"HTTP/1.1 500 Error\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                    )
                    source.sendall(head.encode() + body)
                    continue
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Nobody answers any more."""
        self.path.unlink(missing_ok=True)
        for one in (self._server, *self._pairs):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def broken_line(refuse: str | None = None) -> Generator[_Line]:
    """A way to Docker that may be cut, or on which no container can be made."""
    line = _Line(Path(f"/tmp/trajhub-line-{uuid4().hex[:8]}.sock"), refuse)
    try:
        yield line
    finally:
        line.cut()
