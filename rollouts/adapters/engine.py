"""`ingest`: other agents' records become a run of ours.

Sources are read side by side by several processes; each episode is written in a place of its own and takes its final
place when it is whole; each source that is done is noted in `ingest.jsonl`. So the same command, run again after it was
killed at any moment, does what is missing and nothing twice. The ids of episodes, and every byte of their logs, depend
on the sources alone, not on how many processes there were.
"""

import json
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ... import __version__
from ...errors import ConfigError
from ..events import SCHEMA_VERSION, now
from ..files import sha256_of, write_json
from ..run_dir import MANIFEST, RunLock, differences, read_manifest
from ..run_model import PolicyRecord, RunManifest
from .one_source import PARTIAL, Job, ingest_source
from .registry import Registry, adapters
from .report import IngestReport, SourceReport
from .sources import Found, Source, find_sources
from .worker import Worker

__all__ = ["JOURNAL", "REPORT", "IngestConfig", "Progress", "ingest", "plan_ingest"]

JOURNAL = "ingest.jsonl"
"""One line a source that is done, in the order in which they were."""
REPORT = "ingest.json"
"""What became of every record."""
_SMALL = 8 << 20
_SHOWN = 20


class IngestConfig(BaseModel):
    """How records are read."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: str | None = None
    """Name of the adapter; None: recognised by content, each source for itself."""
    filter: str | None = None
    """Only episodes whose task's id matches this glob."""
    limit: int | None = Field(default=None, ge=1)
    """Only the first so many episodes, in the order of the sources; these are then read one after the other."""
    options: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Settings of adapters; each takes those it knows (see `docs/adapters.md`)."""
    max_workers: int | None = Field(default=None, ge=1)
    """Sources read at once, each by a process of its own; None: as many as there are cores. Changes no result."""


Progress = Callable[[int, str], None]
"""Called with how many more bytes were read, and what was read."""


def plan_ingest(
    paths: Sequence[Path], config: IngestConfig, run: Path | None = None, registry: Registry | None = None
) -> Found:
    """The sources that `ingest` would read, `run` left out. Raises UsageError; see `sources.find_sources`."""
    return find_sources(paths, registry or adapters(), config.format, run)


def ingest(
    paths: Sequence[str | Path],
    run: str | Path,
    config: IngestConfig | None = None,
    *,
    progress: Progress = lambda _bytes, _note: None,
) -> IngestReport:
    """Read all that is at `paths` into the run `run`, or what is left to read of it.

    Raises UsageError when a path is of no known format, ConfigError that names what differs when the run was begun with
    other sources or settings, and DiskFull.
    """
    begun = time.monotonic()
    settings, folder = config or IngestConfig(), Path(run)
    registry = adapters()
    found = plan_ingest([Path(path) for path in paths], settings, folder, registry)
    with RunLock(folder):
        run_id = _open(folder, settings, found, registry)
        done = _journal(folder, found)
        report = IngestReport(run=str(folder), run_id=run_id, sources=len(found.sources), kept=len(done))
        report.unrecognised, report.adapters_broken = found.unrecognised, registry.broken
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)
        _Crew(folder, run_id, settings, registry, done, progress).work(found.sources)
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)
        reports = [done[source.name] for source in found.sources if source.name in done]
        report.take(reports)
        report.seconds = round(time.monotonic() - begun, 3)
        _close(folder, reports, report)
    return report


def _open(folder: Path, config: IngestConfig, found: Found, registry: Registry) -> str:
    """Make `run.json`, or compare with the one that is there. Raises ConfigError that names what differs."""
    names = {source.format for source in found.sources}
    identity: dict[str, Any] = {
        **config.model_dump(mode="json", exclude={"max_workers"}),
        "adapters": {name: registry.adapters[name].version for name in sorted(names)},
        "sources": {source.name: {"format": source.format, "bytes": source.bytes} for source in found.sources},
    }
    if (folder / MANIFEST).exists():
        old = read_manifest(folder)
        config_before: dict[str, Any] = old.get("config") or {}
        before = config_before.get("ingest")
        if before is None:
            raise ConfigError(f"{folder} is a run of another kind, to which nothing can be ingested; choose another -o")
        if changed := differences(before, identity):
            _refuse(folder, changed)
        return str(old.get("run_id", folder.name))
    manifest = RunManifest(
        schema_version=SCHEMA_VERSION,
        run_id=folder.resolve().name,
        created=now().isoformat(timespec="seconds"),
        config={"ingest": identity},
        versions={
            "trajectory_hub": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
    )
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    return manifest.run_id


def _refuse(folder: Path, changed: Sequence[str]) -> None:
    shown = "\n  ".join(changed[:_SHOWN])
    more = f"\n  and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    raise ConfigError(
        f"{folder} was begun with other sources or settings, so it cannot be gone on with; what differs:\n"
        f"  {shown}{more}\nChoose another -o for a new run, or give the old ones."
    )


def _journal(folder: Path, found: Found) -> dict[str, SourceReport]:
    """What earlier commands did. Raises ConfigError when a source has changed since."""
    sources = {source.name: source for source in found.sources}
    done = dict[str, SourceReport]()
    changed = list[str]()
    for report in _read_journal(folder / JOURNAL):
        source = sources.get(report.source)
        if source is None or report.problem:
            continue
        if source.stamp != report.stamp and report.sha256 != _sha256(source):
            changed.append(f"sources.{source.name}")
        done[source.name] = report
    if changed:
        _refuse(folder, changed)
    return done


def _sha256(source: Source) -> str | None:
    path = Path(source.path)
    return sha256_of(path) if path.is_file() else "a folder that was changed"


def _read_journal(path: Path) -> Iterator[SourceReport]:
    """What is in a journal; a torn last line is cut off, so that the next one begins on its own."""
    if not path.exists():
        return
    whole = 0
    with path.open("r+b") as file:
        for line in file:
            if not line.endswith(b"\n"):
                file.truncate(whole)
                return
            whole += len(line)
            yield SourceReport.of(json.loads(line))


class _Crew:
    """Reads sources, several at once."""

    def __init__(
        self,
        folder: Path,
        run_id: str,
        config: IngestConfig,
        registry: Registry,
        done: dict[str, SourceReport],
        progress: Progress,
    ) -> None:
        self._folder = folder
        self._run_id = run_id
        self._config = config
        self._registry = registry
        self._done = done
        self._progress = progress
        self._lock = threading.Lock()
        self._local = threading.local()
        self._workers = list[Worker]()

    def work(self, sources: Sequence[Source]) -> None:
        """Do those that are not done."""
        left = [source for source in sources if source.name not in self._done]
        for source in sources:
            if source.name in self._done:
                self._progress(source.bytes, source.name)
        many = min(self._config.max_workers or os.cpu_count() or 1, len(left))
        if self._config.limit is not None:
            self._limited(sources, self._config.limit)
        elif many <= 1 or (self._config.max_workers is None and sum(source.bytes for source in left) < _SMALL):
            for source in left:
                self._note(self._here(source))
        else:
            self._spread(left, many)

    def _limited(self, sources: Sequence[Source], limit: int) -> None:
        """One after the other, until there are enough episodes."""
        for source in sources:
            if source.name not in self._done and limit > 0:
                self._note(self._here(source, limit))
            if source.name in self._done:
                limit -= self._done[source.name].episodes

    def _job(self, source: Source, limit: int | None = None) -> Job:
        config = self._config
        return Job(
            run=str(self._folder),
            run_id=self._run_id,
            source=source,
            options=config.options,
            filter=config.filter,
            limit=limit,
        )

    def _here(self, source: Source, limit: int | None = None) -> SourceReport:
        tick = _Ticker(source, self._progress)
        report = ingest_source(self._job(source, limit), self._registry.adapters[source.format], tick)
        tick.done()
        return report

    def _spread(self, sources: Sequence[Source], many: int) -> None:
        biggest_first = sorted(sources, key=lambda source: -source.bytes)
        pool = ThreadPoolExecutor(many)
        try:
            for _ in pool.map(self._there, biggest_first):
                pass
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in self._workers:
                worker.close()
            pool.shutdown()

    def _there(self, source: Source) -> None:
        worker: Worker | None = getattr(self._local, "worker", None)
        if worker is None:
            worker = self._local.worker = Worker()
            self._workers.append(worker)
        tick = _Ticker(source, self._progress)
        report = worker.do(self._job(source), tick)
        tick.done()
        self._note(report)

    def _note(self, report: SourceReport) -> None:
        with self._lock:
            self._done[report.source] = report
            with (self._folder / JOURNAL).open("ab", buffering=0) as file:
                file.write(json.dumps(report.as_dict()).encode() + b"\n")


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


def _close(folder: Path, reports: Sequence[SourceReport], report: IngestReport) -> None:
    """Complete `run.json` by who acted, and write the report."""
    agents = sorted({tuple(agent) for done in reports for agent in done.agents}, key=str)
    manifest = read_manifest(folder)
    if agents:
        name, version, model = ({agent[i] for agent in agents} for i in range(3))
        actor = PolicyRecord(
            name=_only(name) or "several",
            version=_only(version) or "several",
            model=_only(model),
        )
        write_json(folder / MANIFEST, {**manifest, "policy": actor.model_dump(mode="json")})
    told = report.as_dict()
    write_json(folder / REPORT, {**told, "per_source": [done.as_dict() for done in reports]})


def _only(values: set[str | None]) -> str | None:
    return next(iter(values)) if len(values) == 1 else None
