"""Scoring a recorded run by the rules, several episodes at a time; what was scored before is kept."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from ..rewards.config import RubricConfig
from ..rewards.recorded import recorded_layer
from .log import first_event
from .log_file import EVENTS
from .rule_log import EpisodeRows, RuleLog
from .rule_scores import Scoring
from .rule_summary import RuleSummary
from .rule_worker import Scored, Worker, scored
from .score_log import scores_path
from .trajectory import episode_folders

__all__ = ["RuleRun", "select"]

_ALONE = 8 << 20
"""Logs smaller than this in all are scored by this process itself."""


def select(run: Path, task_filter: str | None = None, limit: int | None = None) -> list[Path]:
    """Folders of the episodes whose task matches, at most so many. Raises UsageError when `run` is no run."""
    found = list[Path]()
    for folder in episode_folders(run):
        if limit is not None and len(found) == limit:
            break
        if task_filter is None or _matches(folder, task_filter):
            found.append(folder)
    return found


def _matches(folder: Path, task_filter: str) -> bool:
    first = first_event(folder / EVENTS)
    return first is not None and fnmatchcase(first.task_id, task_filter)


class RuleRun:
    """Scores chosen episodes of a run and writes `scores/<layer>.jsonl`."""

    def __init__(self, run: Path, config: RubricConfig, patches: Mapping[str, str], *, force: bool = False) -> None:
        self.summary = RuleSummary()
        self.interrupted = False
        self.layer = recorded_layer()
        self.path = scores_path(run, self.layer)
        self._run, self._scoring, self._force = run, Scoring.of(config, patches), force

    def interrupt(self) -> None:
        """Stop after the episodes under way; what was scored is kept. For a signal handler."""
        self.interrupted = True

    def score(
        self, folders: Sequence[Path], on_episode: Callable[[RuleSummary], None], max_workers: int | None = None
    ) -> RuleSummary:
        """Score them in the order of their names; `on_episode` is called after each.

        Raises ConfigError while another process scores the run, DiskFull, InfrastructureError.
        """
        wanted, last = {folder.name for folder in folders}, ""
        with RuleLog(self._run) as log, Workers(self._scoring, _processes(folders, max_workers)) as workers:
            for name, found, kept in workers.in_order(self._jobs(log, wanted)):
                log.put(found.lines)
                last = name
                if name in wanted:
                    self.summary.take(found, kept=kept)
                    on_episode(self.summary)
            log.keep_rest(last)
        return self.summary

    def _jobs(self, log: RuleLog, wanted: set[str]) -> Iterator[tuple[Path, Scored | None]]:
        """Every episode of the run, with what is kept of it; without, where it is to be scored."""
        for folder in episode_folders(self._run):
            if self.interrupted:
                return
            old = log.find(folder.name)
            if folder.name not in wanted:
                if old is not None:
                    yield folder, Scored(old.lines)
                continue
            yield folder, Scored(old.lines) if old is not None and self._current(folder, old) else None

    def _current(self, folder: Path, old: EpisodeRows) -> bool:
        if self._force or not old.rows:
            return False
        return old.record.get("mark") == self._scoring.mark(folder, str(old.rows[0].get("task_id")))


def _processes(folders: Sequence[Path], asked: int | None) -> int:
    """How many processes score; 0 when this one does it alone, since others would cost more than they bring."""
    count = min(asked or os.cpu_count() or 1, len(folders))
    size = sum((folder / EVENTS).stat().st_size for folder in folders)
    return 0 if count <= 1 or size < _ALONE else count


class Workers:
    """Some processes that score, and what they score in the order in which it was asked."""

    def __init__(self, scoring: Scoring, count: int) -> None:
        self._scoring, self._count = scoring, count
        self._local, self._stack = threading.local(), ExitStack()
        self._pool = ThreadPoolExecutor(max(count, 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._stack.close()

    def in_order(self, jobs: Iterable[tuple[Path, Scored | None]]) -> Iterator[tuple[str, Scored, bool]]:
        """Name, scores, and whether they were there before; a few episodes are begun ahead."""
        waiting = deque[tuple[str, Scored | Future[Scored], bool]]()
        for folder, known in jobs:
            waiting.append((folder.name, known if known is not None else self._begin(folder), known is not None))
            if len(waiting) > 2 * self._count:
                yield _done(*waiting.popleft())
        while waiting:
            yield _done(*waiting.popleft())

    def _begin(self, folder: Path) -> Scored | Future[Scored]:
        return self._pool.submit(self._work, folder) if self._count else scored(folder, self._scoring)

    def _work(self, folder: Path) -> Scored:
        worker: Worker | None = getattr(self._local, "worker", None)
        if worker is None:
            worker = self._local.worker = Worker(self._scoring)
            self._stack.callback(worker.close)
        return worker.do(folder)


def _done(name: str, found: Scored | Future[Scored], kept: bool) -> tuple[str, Scored, bool]:
    return name, found if isinstance(found, Scored) else found.result(), kept
