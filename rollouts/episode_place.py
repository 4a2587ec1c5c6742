"""Where what is recorded of an episode is kept: a folder of this machine, or somebody elsewhere who has one.

What a call has taken when it returns survives the death of the process that called.
"""

from pathlib import Path
from typing import Protocol

from .files import write_atomic
from .log_file import EVENTS, DiskLog, Fsync, LogFile

__all__ = ["EpisodeFolder", "EpisodePlace"]


class EpisodePlace(Protocol):
    """Where one episode is kept."""

    @property
    def folder(self) -> Path:
        """The episode's folder; on another machine than this one, perhaps."""
        ...

    def open_log(self, fsync: Fsync) -> LogFile:
        """Its event log, for one writer."""
        ...

    def write(self, name: str, text: str) -> None:
        """Replace a file beside the log. Raises DiskFull."""
        ...


class EpisodeFolder:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """The folder."""
        return self._folder

    def open_log(self, fsync: Fsync) -> LogFile:
        """`events.jsonl`, made if need be."""
        return DiskLog(self._folder / EVENTS, fsync)

    def write(self, name: str, text: str) -> None:
        """Replace a file in one step."""
        write_atomic(self._folder / name, text)
