"""A sandbox: one container holding one task's repository, and everything that may be asked of it."""

import posixpath
import shlex
import time
from collections.abc import Callable
from typing import Literal, Self

from ..errors import EngineUnavailable, InfrastructureError, SandboxLost, TaskError, UsageError
from ..tools.base import CommandResult, Telemetry
from .channel import Channel, ChannelLost, ChannelTimeout, Reply
from .container import Container, SandboxConfig
from .disk import DiskWatch
from .engine import Engine
from .plain import plain_words
from .prepare import prepared_image
from .telemetry import Meter, merge

__all__ = ["Sandbox", "SandboxConfig"]

_KILL_GRACE = 10.0
_REOPEN_SECONDS = 30.0
_PROBE_EVERY = 0.5
_ENGINE_GRACE = 30.0
_START_ATTEMPTS = 3
_NO_FILE, _IS_FOLDER, _NOT_READABLE = 81, 82, 83
_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

Killed = Literal["timeout", "disk", "pids", "shell", "called off"]
"""Why everything in the sandbox was killed: deadline, disk allowance, process limit, the command's own watcher (the
shell that waits for it) had been killed, or who asked for the command wants it no more."""


class Sandbox:
    """A container with a resident shell, ready on return. Not thread-safe: one caller at a time.

    Whatever a command does, `run` returns what became of it, with the sandbox usable again. Raises
    ImageMissing, EngineUnavailable or SandboxLost when there is, or remains, nothing to use, and TaskError when the
    image has no such `workdir`.
    """

    def __init__(self, engine: Engine, config: SandboxConfig) -> None:
        self.config = config
        self._engine = engine
        self._closed = False
        self._interrupted = False
        """Whether a request was left in the middle (by Ctrl-C): its answer is still in the channel."""
        self._spent: list[Telemetry] = []
        self._image = prepared_image(engine, config)
        self.head: str | None = None
        """The commit checked out at the start; None without a repository."""
        self._start()

    @property
    def workdir(self) -> str:
        """Absolute path of the repository."""
        return self.config.workdir

    @property
    def container_id(self) -> str:
        """Id of the container that now serves as the sandbox."""
        return self._container.id

    @property
    def pid(self) -> int:
        """Id of the container's first process on the engine's host; 0 when it does not run."""
        return self._container.pid

    @property
    def image_id(self) -> str:
        """Id of the image it was made from."""
        return self._image

    @property
    def telemetry_on_host(self) -> bool:
        """Whether telemetry is read from this host's files (cheap) and not through the container."""
        return self._meter.on_host

    def run(
        self,
        command: str,
        *,
        timeout: float | None = None,
        output_limit: int | None = None,
        until: Callable[[], bool] | None = None,
    ) -> CommandResult:
        """Run a shell command in `workdir` (bash where there is one, else sh), standard input empty.

        After `timeout` seconds everything that runs in the sandbox is killed. What a command leaves in the background
        lives on until then, or until the sandbox closes. `until` is asked twice a second; once it says True, everything
        is killed as well. Raises UsageError for a command that holds a NUL byte.
        """
        data = command.encode("utf-8", "surrogateescape")
        if b"\0" in data:
            raise UsageError("a command cannot hold a NUL byte")
        limit = output_limit or self.config.output_limit
        words = plain_words(command)
        return self._request(
            lambda: self._channel.program(words, limit) if words else self._channel.command(data, limit),
            self.config.command_timeout if timeout is None else timeout,
            until=until,
        )

    def script(self, text: str, *, timeout: float | None = None, output_limit: int | None = None) -> CommandResult:
        """Run a trusted POSIX script in a fork of the resident shell: cheaper than `run`, the same otherwise."""
        data = text.encode("utf-8", "surrogateescape")
        return self._request(
            lambda: self._channel.script(data, output_limit or self.config.output_limit),
            self.config.command_timeout if timeout is None else timeout,
        )

    def take_telemetry(self) -> Telemetry:
        """What all requests since the last call cost together."""
        spent, self._spent = self._spent, []
        return merge(spent)

    def read_file(self, path: str, *, limit: int | None = None) -> bytes:
        """The bytes of a file (its first `limit`). Relative paths begin at `workdir`.

        Raises FileNotFoundError, IsADirectoryError, PermissionError, or OSError for what is not a regular file.
        """
        name = shlex.quote(self._absolute(path))
        size = 1 << 28 if limit is None else limit
        script = (
            f"[ -e {name} ] || exit {_NO_FILE}; [ -d {name} ] && exit {_IS_FOLDER}; "
            f"[ -f {name} ] && [ -r {name} ] || exit {_NOT_READABLE}; exec head -c {size} {name} 2>/dev/null"
        )
        result = self.script(script, output_limit=2 * size + 2)
        if result.exit_code == 0:
            return result.output
        if result.exit_code == _NO_FILE:
            raise FileNotFoundError(2, "no such file", path)
        if result.exit_code == _IS_FOLDER:
            raise IsADirectoryError(21, "is a directory", path)
        if result.exit_code == _NOT_READABLE:
            raise PermissionError(13, "not a readable regular file", path)
        raise OSError(5, f"reading failed with status {result.exit_code}", path)

    def write_file(self, path: str, data: bytes) -> None:
        """Replace a file's bytes, creating parent folders. Relative paths begin at `workdir`. Raises OSError."""
        name = self._absolute(path).encode("utf-8", "surrogateescape")
        if b"\0" in name:
            raise OSError(22, "a path cannot hold a NUL byte", path)
        result = self._request(lambda: self._channel.store(name, data), self.config.command_timeout, watched=False)
        if result.exit_code in (126, 127) or result.exit_code is None:
            # The content may not have been taken from the stream; nothing that follows could be trusted.
            if not result.recovered:
                self._recover()
            raise OSError(5, f"writing failed with status {result.exit_code}", path)
        if result.exit_code != 0:
            why = "it cannot be written (read-only, no regular file, a name too long, or a file in place of a folder)"
            raise PermissionError(13, why, path)

    def close(self) -> None:
        """Remove the container; idempotent. An engine that is gone is left to `Engine.sweep`."""
        if self._closed:
            return
        self._closed = True
        self._meter.close()
        self._channel.close()
        try:
            self._container.remove()
        except InfrastructureError:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _absolute(self, path: str) -> str:
        return posixpath.join(self.config.workdir, path)

    def _start(self) -> None:
        for attempt in range(_START_ATTEMPTS):
            self._container = Container(self._engine, self.config, self._image)
            try:
                return self._enter_first()
            except SandboxLost:  # a container that dies at birth, on a machine short of something, says little
                self._container.remove()
                if attempt + 1 == _START_ATTEMPTS:
                    raise
            except BaseException:
                self._container.remove()
                raise

    def _enter_first(self) -> None:
        self._enter()
        try:
            self.head = self._read_head()
        except BaseException:
            self._meter.close()
            self._channel.close()
            raise

    def _read_head(self) -> str | None:
        folder = shlex.quote(self.config.workdir)
        look = f"[ -d {folder} ] || exit {_NO_FILE}; exec git -c safe.directory='*' rev-parse --verify HEAD 2>/dev/null"
        result = self.script(look)
        self.take_telemetry()
        if result.exit_code == _NO_FILE:
            raise TaskError(f"the image {self.config.image} has no folder {self.config.workdir}: correct the workdir")
        return result.text.strip() if result.exit_code == 0 else None

    def _enter(self) -> None:
        self._channel: Channel = self._container.open_channel()
        self._meter = Meter(self._container.pid, self._container.id, self._channel)
        limit = self.config.disk_mb << 20
        self._disk = DiskWatch(self._container.layer, limit, self._container.written_bytes)

    def _request(
        self,
        send: Callable[[], Reply],
        timeout: float,
        *,
        watched: bool = True,
        until: Callable[[], bool] | None = None,
    ) -> CommandResult:
        if self._closed:
            raise SandboxLost("this sandbox is closed")
        recovered: str | None = None
        try:
            if self._interrupted:
                recovered = self._recover()
            result = self._exchange(send, timeout, watched, until, recovered)
        except BaseException:
            self._interrupted = True
            raise
        self._interrupted = False
        return result

    def _exchange(
        self,
        send: Callable[[], Reply],
        timeout: float,
        watched: bool,
        until: Callable[[], bool] | None,
        recovered: str | None,
    ) -> CommandResult:
        reply: Reply | None = None
        killed: Killed | None = None
        try:
            self._meter.start()
            if self._meter.pids is not None and self._meter.pids > self.config.pids * 0.8:
                self._channel.kill_all(None, _KILL_GRACE)
            reply = send()
            self._meter.understand()
            killed = self._await(reply, timeout, watched, until)
            if killed:
                reply.status = None
                self._channel.kill_all(reply, _KILL_GRACE)
            telemetry = self._meter.stop(reply.io)
            killed = killed or self._clean_up_after()
        except (ChannelLost, ChannelTimeout):
            telemetry = self._meter.stop(alive=False)
            self._spent.append(telemetry)
            return _result(reply, telemetry, killed, self._recover())
        self._spent.append(telemetry)
        return _result(reply, telemetry, killed, "reopened" if killed == "shell" else recovered)

    def _await(self, reply: Reply, timeout: float, watched: bool, until: Callable[[], bool] | None) -> Killed | None:
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if self._channel.wait(reply, max(min(left, _PROBE_EVERY), 0.0)):
                return "shell" if reply.status == "lost" else None
            if left <= 0:
                return "timeout"
            if self._disk.exceeded():
                return "disk"
            if until is not None and until():
                return "called off"
            if watched:
                self._channel.probe(reply)

    def _clean_up_after(self) -> Killed | None:
        """A command that ended well may still have left more behind than the sandbox may hold."""
        killed: Killed | None = None
        if self._meter.processes_denied:
            killed = "pids"
        elif self._disk.exceeded():
            killed = "disk"
        if killed:
            self._channel.kill_all(None, _KILL_GRACE)
        return killed

    def _recover(self) -> str:
        """Bring the sandbox back by the mildest means that works; how it was done. Raises SandboxLost."""
        self._channel.close()
        self._await_engine()
        means = (("reopened", self._reopen), ("restarted", self._restart), ("replaced", self._replace))
        for name, attempt in means:
            try:
                attempt()
            except (SandboxLost, ChannelLost, ChannelTimeout):
                continue
            return name
        raise SandboxLost(
            f"container {self._container.id[:12]} of {self.config.image} died and no other could be started; "
            "see the engine's log"
        )

    def _reopen(self) -> None:
        if not self._container.running:
            raise SandboxLost("the container does not run")
        self._channel = self._container.open_channel(ready_timeout=_REOPEN_SECONDS)
        self._channel.kill_all(None, _KILL_GRACE)
        self._meter.use_channel(self._channel)

    def _restart(self) -> None:
        self._meter.close()
        self._container.restart()
        self._enter()

    def _replace(self) -> None:
        self._meter.close()
        self._container.remove()
        self._container = Container(self._engine, self.config, self._image)
        self._enter()

    def _await_engine(self) -> None:
        deadline = time.monotonic() + _ENGINE_GRACE
        while True:
            try:
                return self._engine.ping()
            except (EngineUnavailable, SandboxLost):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.25)


def _result(reply: Reply | None, telemetry: Telemetry, killed: Killed | None, recovered: str | None) -> CommandResult:
    if reply is not None:
        reply.abandon()
    status = reply.status if reply is not None and killed in (None, "pids") else None
    return CommandResult(
        exit_code=int(status) if status is not None and status.isdigit() else None,
        output=reply.output.value() if reply is not None else b"",
        total_bytes=reply.output.total if reply is not None else 0,
        sha256=reply.output.sha256 if reply is not None else _EMPTY_SHA256,
        timed_out=killed == "timeout",
        oom_killed=bool(telemetry.oom_kills),
        pids_limited=killed == "pids",
        disk_limited=killed == "disk",
        recovered=recovered,
        telemetry=telemetry,
    )
