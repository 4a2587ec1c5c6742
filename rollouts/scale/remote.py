"""A run that is kept elsewhere: whoever writes here waits until the driver has written it there."""

from pathlib import Path
from typing import Self

from ..budget import Budget, RunLedger
from ..events import AnyEvent
from ..log_file import Fsync
from ..run_dir import EPISODES
from .messages import Append, Charge, Claim, CloseLog, OpenLog, WriteFile
from .outbox import Outbox

__all__ = ["RemoteEpisode", "RemoteLedger", "RemoteLog", "RemoteRun"]


class RemoteLog:
    """The event log of an episode, on the driver's machine."""

    def __init__(self, outbox: Outbox, episode: str, fsync: Fsync) -> None:
        self._outbox, self._episode = outbox, episode
        self._last: AnyEvent | None = outbox.ask(OpenLog(episode, fsync))
        self._closed = False

    @property
    def last(self) -> AnyEvent | None:
        """The last event when it was opened."""
        return self._last

    def append(self, data: bytes) -> None:
        """Add whole lines; they are in the file when this returns. Raises DiskFull."""
        self._outbox.ask(Append(self._episode, data))

    def close(self) -> None:
        """Close it; may be called again."""
        if not self._closed:
            self._closed = True
            self._outbox.ask(CloseLog(self._episode))


class RemoteEpisode:
    """The folder of an episode, on the driver's machine."""

    def __init__(self, outbox: Outbox, name: str) -> None:
        self._outbox, self._name = outbox, name

    @property
    def folder(self) -> Path:
        """The folder, as the driver names it below its run directory."""
        return Path(EPISODES) / self._name

    def open_log(self, fsync: Fsync) -> RemoteLog:
        """Its event log."""
        return RemoteLog(self._outbox, self._name, fsync)

    def write(self, name: str, text: str) -> None:
        """Replace a file beside the log."""
        self._outbox.ask(WriteFile(self._name, name, text))


class RemoteRun:
    """A run directory on the driver's machine."""

    def __init__(self, outbox: Outbox, run_id: str) -> None:
        self._outbox, self._run_id = outbox, run_id

    def __deepcopy__(self, _: object) -> Self:
        return self

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._run_id

    def episode(self, name: str) -> RemoteEpisode:
        """The place of an episode."""
        return RemoteEpisode(self._outbox, name)

    def claim(self, task_id: str, seed: int | None) -> str:
        """A new episode id of that task and seed."""
        return str(self._outbox.ask(Claim(task_id, seed)))


class RemoteLedger(RunLedger):
    """Counts what the whole run has spent, on every host together."""

    def __init__(self, budget: Budget, outbox: Outbox) -> None:
        super().__init__(budget)
        self._outbox = outbox

    def add(self, cost: float) -> None:
        """Count `cost` dollars at the driver."""
        self.learn(float(self._outbox.ask(Charge(cost))))

    def learn(self, total: float) -> None:
        """Take note of what the whole run has spent."""
        with self._lock:
            self._spent = max(self._spent, total)
