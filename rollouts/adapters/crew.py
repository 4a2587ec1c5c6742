"""Reads the sources that are left, several at once."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from .found import Found, Source
from .journal import Journal
from .one_source import Job, ingest_source
from .registry import Registry
from .report import SourceReport
from .worker import Worker

__all__ = ["Crew", "Progress"]

Progress = Callable[[int, str], None]
"""Called with how many more bytes were read, and what was read."""
_SMALL = 8 << 20


class Crew:
    """Does jobs like `job`, one a source."""

    def __init__(self, job: Callable[[Source], Job], registry: Registry, journal: Journal, progress: Progress) -> None:
        self._job = job
        self._registry = registry
        self._journal = journal
        self._progress = progress
        self._lock = threading.Lock()
        self._stopped = False

    def work(self, found: Found, max_workers: int | None) -> None:
        """Do the sources that are left, with a process each for so many at once (None: as many as pay)."""
        left = found.bytes_left
        if found.bytes > left:
            self._progress(found.bytes - left, "read before")
        many = min(max_workers or os.cpu_count() or 1, len(found.left))
        if many <= 1 or (max_workers is None and left < _SMALL):
            for source in found.left:
                self._here(source, None)
        else:
            self._spread(iter(found.left_by_size), many)

    def work_until(self, found: Found, limit: int) -> None:
        """One source after the other, until there are enough episodes, those of earlier commands included."""
        for source in found.sources:
            before = self._journal.report(found, source.name)
            if before is not None:
                self._progress(source.bytes, source.name)
                limit -= before.episodes
            elif limit > 0:
                limit -= self._here(source, limit).episodes

    def _here(self, source: Source, limit: int | None) -> SourceReport:
        tick = _Ticker(source, self._progress)
        job = replace(self._job(source), limit=limit)
        report = ingest_source(job, self._registry.adapters[source.format], tick)
        tick.done()
        self._journal.note(report)
        return report

    def _spread(self, sources: Iterator[Source], many: int) -> None:
        workers = [Worker() for _ in range(many)]
        pool = ThreadPoolExecutor(many)
        try:
            for done in [pool.submit(self._there, worker, sources) for worker in workers]:
                done.result()
        finally:
            self._stopped = True
            for worker in workers:
                worker.close()
            pool.shutdown()
            for worker in workers:
                worker.close()

    def _there(self, worker: Worker, sources: Iterator[Source]) -> None:
        """Do one source after the other, as long as there are any; what fails stops the others too."""
        try:
            while (source := self._next(sources)) is not None:
                tick = _Ticker(source, self._progress)
                report = worker.do(self._job(source), tick)
                if not self._stopped:
                    tick.done()
                    self._journal.note(report)
        except BaseException:
            self._stopped = True
            raise

    def _next(self, sources: Iterator[Source]) -> Source | None:
        with self._lock:
            return None if self._stopped else next(sources, None)


class _Ticker:
    """Turns positions in a source into progress."""

    def __init__(self, source: Source, progress: Progress) -> None:
        self._source = source
        self._progress = progress
        self._at = 0

    def __call__(self, position: int, events: int) -> None:
        """So far."""
        position = min(position, self._source.bytes)
        self._progress(max(position - self._at, 0), f"{self._source.name}: {events} events")
        self._at = max(self._at, position)

    def done(self) -> None:
        """All of it."""
        self._progress(self._source.bytes - self._at, self._source.name)
