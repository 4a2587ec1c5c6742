"""Reading one source: every episode of it becomes a folder, every record of it is counted."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any

from .. import payloads
from ..files import sha256_of, slug
from ..plugins import FAULTS
from ..run_dir import EPISODES
from .base import Adapter, Foreign, ForeignEpisode, Timed, Unread
from .report import SourceReport
from .sources import Source
from .writing import EpisodeWriter, is_whole

__all__ = ["PARTIAL", "Job", "ingest_source"]

PARTIAL = ".ingest"
"""Folder of a run for episodes that are being written."""
_EVERY = 0.25
_FD = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One source, and what is to be made of it."""

    run: str
    run_id: str
    source: Source
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    filter: str | None = None
    limit: int | None = None


Tick = Callable[[int, int], None]
"""Called now and then with how many bytes were read and how many events were made."""


def ingest_source(job: Job, adapter: Adapter, tick: Tick = lambda _bytes, _events: None) -> SourceReport:
    """Write the episodes of a source, those that are there already excepted. Raises DiskFull."""
    source = job.source
    report = SourceReport(source=source.name, format=source.format, bytes=source.bytes, stamp=source.stamp)
    path = Path(source.path)
    try:
        if path.is_file():
            report.sha256 = sha256_of(path)
        _Reading(job, adapter, report, tick).read(path)
    except OSError as error:
        report.problem = f"cannot be read: {error.strerror or error}"
    return report


class _Reading:
    def __init__(self, job: Job, adapter: Adapter, report: SourceReport, tick: Tick) -> None:
        self._job = job
        self._adapter = adapter
        self._report = report
        self._tick = tick
        self._due = time.monotonic() + _EVERY
        self._keys = dict[str, int]()
        self._seen = 0
        self._agents = set[tuple[str, str, str | None]]()

    def read(self, path: Path) -> None:
        episodes = self._guarded(lambda: self._adapter.episodes(path, dict(self._job.options)))
        while (limit := self._job.limit) is None or self._report.episodes < limit:
            episode = self._guarded(lambda: next(episodes, None)) if episodes is not None else None
            if episode is None:
                break
            self._episode(episode)
        else:
            self._report.cut = True
        self._report.agents = [list(agent) for agent in sorted(self._agents, key=str)]

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """What a call into an adapter gives; None when it failed, which is reported."""
        try:
            return call()
        except OSError:
            raise
        except FAULTS as error:
            self._failed(error)
            return None

    def _failed(self, error: BaseException) -> str:
        message = f"the adapter {self._adapter.name} failed after {self._seen} events: {type(error).__name__}: {error}"
        self._report.problem = payloads.clean(message)
        return message

    def _episode(self, episode: ForeignEpisode) -> None:
        job, report = self._job, self._report
        key = self._key(payloads.clean(episode.key))
        name = _episode_id(episode.task_id, job.source.name, key)
        left_out = job.filter is not None and not fnmatchcase(episode.task_id, job.filter)
        if left_out:
            report.filtered += 1
        else:
            report.episodes += 1
            self._agents.add((episode.agent, episode.agent_version, episode.model))
        final = Path(job.run) / EPISODES / name
        if left_out or is_whole(final):
            self._drain(episode)
            return
        folder = Path(job.run) / PARTIAL / name
        writer = EpisodeWriter(job.run_id, name, episode, self._origin(key, episode), job.source.stamp, folder)
        try:
            writer.finish(self._events(episode.events, writer))
        except BaseException:
            writer.abandon()
            raise
        final.parent.mkdir(exist_ok=True)
        if final.exists():
            shutil.rmtree(final)
        folder.rename(final)
        report.events += writer.events

    def _key(self, key: str) -> str:
        count = self._keys[key] = self._keys.get(key, 0) + 1
        return key if count == 1 else f"{key}#{count}"

    def _origin(self, key: str, episode: ForeignEpisode) -> payloads.Origin:
        adapter = self._adapter
        return payloads.Origin(
            format=adapter.name,
            adapter=f"{adapter.name}/{adapter.version}",
            source=self._job.source.name,
            key=key,
            sha256=self._report.sha256,
            timing=episode.timing,
        )

    def _drain(self, episode: ForeignEpisode) -> None:
        """Only count."""
        self._events(episode.events, None)

    def _events(self, items: Iterator[Foreign], writer: EpisodeWriter | None) -> str | None:
        """Count and write what an episode yields; why it ended early."""
        kinds, name = self._report.kinds, self._job.source.name
        try:
            for item in items:
                self._seen += 1
                if isinstance(item, Unread):
                    kinds.take(item, item.kind, name)
                else:
                    kinds.take(item, item.kind or _kind(item), name)
                    if writer is not None:
                        writer.take(item)
                if not self._seen % 64 and time.monotonic() > self._due:
                    self._report_progress()
        except OSError:
            raise
        except FAULTS as error:
            return self._failed(error)
        return None

    def _report_progress(self) -> None:
        self._due = time.monotonic() + _EVERY
        self._tick(_position(self._job.source.path), self._seen)


def _kind(item: Timed) -> str:
    return type(item.payload).__name__


def _episode_id(task_id: str, source: str, key: str) -> str:
    """The same whatever else is ingested, and in whichever order."""
    digest = sha256(f"{source}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{slug(payloads.clean(task_id))}--{digest}--a1"


def _position(path: str) -> int:
    """How far an open file was read, whoever reads it; 0 where the system does not tell."""
    try:
        for link in _FD.iterdir():
            if link.is_symlink() and str(link.readlink()) == path:
                text = (_FD.parent / "fdinfo" / link.name).read_text()
                return int(text.split("\n", 1)[0].removeprefix("pos:"))
    except (OSError, ValueError):
        return 0
    return 0
