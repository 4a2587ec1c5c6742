"""The driver's side of the records: writes what hosts say into the run's folder.

Only the driver writes there, so a host that was given up, or a node that comes back from nowhere, cannot write into an
episode that is done again elsewhere, and nobody writes once the driver is dead.
"""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import Failure, StopReason, UsageError
from ..budget import RunLedger
from ..crew import Order, Report
from ..episode_place import EpisodeFolder
from ..log_file import LogFile
from ..run_dir import Episode, close_abandoned, read_episode
from ..run_place import RunFolder
from .messages import Append, Charge, Claim, CloseLog, Message, OpenLog, Over, WriteFile

__all__ = ["Clerk"]


class Clerk:
    """Takes messages of all hosts. Thread-safe, as long as each episode has one host."""

    def __init__(self, run: Path, money: RunLedger, *, grades: bool, retries: int) -> None:
        self._run = RunFolder(run)
        self._money = money
        self._grades, self._retries = grades, retries
        self._logs: dict[str, LogFile] = {}
        self._lock = threading.Lock()

    @property
    def spent_usd(self) -> float:
        """What the whole run has cost."""
        return self._money.spent_usd

    def take(self, message: Message) -> Any:
        """Do what a message asks; its answer. Raises DiskFull, and UsageError for a log that is not open."""
        match message:
            case Append(episode, data):
                self._open(episode).append(data)
            case OpenLog(episode, fsync):
                log = self._folder(episode).open_log(fsync)
                with self._lock:
                    self._logs[episode] = log
                return log.last
            case CloseLog(episode):
                self._close(episode)
            case WriteFile(episode, name, text):
                self._folder(episode).write(name, text)
            case Charge(usd):
                self._money.add(usd)
                return self._money.spent_usd
            case Claim(task_id, seed):
                return self._run.claim(task_id, seed)
            case Over():
                pass
        return None

    def lost(self, order: Order, place: str, why: str) -> Report:
        """What became of an order whose host is gone. An episode that was going on is the environment's failure."""
        name = order.header.episode_id
        self._close(name)
        folder = self._folder(name).folder
        episode = read_episode(folder)
        if episode is None:
            return Report(order=order, begun=False, place=place)
        if episode.end is None:
            close_abandoned(episode, f"{place} was lost: {why}", StopReason.ENVIRONMENT_ERROR, Failure.ENVIRONMENT)
        elif self._to_grade(episode) and order.job.tries < self._retries:
            avoid = *order.job.avoid, place
            job = replace(order.job, only_grade=episode, tries=order.job.tries + 1, avoid=avoid)
            return Report(order=replace(order, job=job), begun=False, place=place)
        return Report(order=order, place=place)

    def close(self) -> None:
        """Close every log."""
        for name in list(self._logs):
            self._close(name)

    def _folder(self, episode: str) -> EpisodeFolder:
        return self._run.episode(episode)

    def _open(self, episode: str) -> LogFile:
        log = self._logs.get(episode)
        if log is None:
            raise UsageError(f"the log of {episode} is not open")
        return log

    def _close(self, episode: str) -> None:
        with self._lock:
            log = self._logs.pop(episode, None)
        if log is not None:
            log.close()

    def _to_grade(self, episode: Episode) -> bool:
        return self._grades and episode.finished and not episode.excluded and episode.verdict is None
