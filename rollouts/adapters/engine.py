"""`ingest`: other agents' records become a run of ours.

Sources are read side by side by several processes; each episode is written in a place of its own and takes its final
place when it is whole; each source that is done is noted in `ingest.jsonl`. So the same command, run again after it was
killed at any moment, does what is missing and nothing twice. The ids of episodes, and every byte of their logs, depend
on the sources alone, not on how many processes there were. What is said of single sources is kept in files, so that
memory does not grow with how many there are.
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ... import __version__
from ...errors import ConfigError, UsageError
from ..events import SCHEMA_VERSION, now
from ..files import room_for, write_json
from ..run_dir import MANIFEST, RunLock, differences, read_manifest
from ..run_model import PolicyRecord, RunManifest
from .crew import Crew, Progress
from .found import Found, Source
from .journal import JOURNAL, Journal
from .one_source import PARTIAL, Job
from .registry import Registry, adapters
from .report import IngestReport, SourceReport
from .sources import find_sources

__all__ = ["JOURNAL", "REPORT", "SOURCES", "IngestConfig", "Progress", "ingest", "plan_ingest"]

REPORT = "ingest.json"
"""What became of every record."""
SOURCES = "sources.jsonl"
"""Name, format and bytes of each source, by name."""
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
    found: Found | None = None,
) -> IngestReport:
    """Read all that is at `paths` into the run `run`, or what is left to read of it.

    `found`: what `plan_ingest` gave for the same paths, where it was asked before. Raises UsageError when a path is of
    no known format, ConfigError that names what differs when the run was begun with other sources or settings, and
    DiskFull.
    """
    begun = time.monotonic()
    settings, folder = config or IngestConfig(), Path(run)
    registry = adapters()
    found = found or plan_ingest([Path(path) for path in paths], settings, folder, registry)
    _make(folder)
    with RunLock(folder):
        run_id = _open(folder, settings, found, registry)
        report = IngestReport(run=str(folder), run_id=run_id, sources=len(found.sources))
        report.unrecognised, report.adapters_broken = found.unrecognised, registry.broken
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)
        with Journal(folder) as journal:
            if changed := journal.recall(found):
                _refuse(folder, [f"sources.{name}" for name in changed])
            report.kept = len(found.places)
            crew = Crew(_jobs(folder, run_id, settings), registry, journal, progress)
            if settings.limit is None:
                crew.work(found, settings.max_workers)
            else:
                crew.work_until(found, settings.limit)
            shutil.rmtree(folder / PARTIAL, ignore_errors=True)
            journal.mark(found)
            agents = _take(report, journal.lines(found), found)
            report.copies = found.copies
            report.seconds = round(time.monotonic() - begun, 3)
            _close(folder, agents, report, journal.lines(found))
    return report


def _make(folder: Path) -> None:
    """The folder of the run. Raises UsageError where there can be none, and DiskFull."""
    with room_for(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError, PermissionError) as error:
            raise UsageError(f"no run can be made at {folder}: {error.strerror}; name another folder with -o") from None


def _jobs(folder: Path, run_id: str, config: IngestConfig) -> Callable[[Source], Job]:
    def job(source: Source) -> Job:
        return Job(run=str(folder), run_id=run_id, source=source, options=config.options, filter=config.filter)

    return job


def _open(folder: Path, config: IngestConfig, found: Found, registry: Registry) -> str:
    """Make `run.json`, or compare with the one that is there. Raises ConfigError that names what differs."""
    identity: dict[str, Any] = {
        **config.model_dump(mode="json", exclude={"max_workers"}),
        "adapters": {name: registry.adapters[name].version for name in found.formats},
        "sources": {
            "count": len(found.sources),
            "bytes": found.bytes,
            "listed_in": SOURCES,
            "sha256": found.fingerprint(),
        },
    }
    if (folder / MANIFEST).exists():
        old = read_manifest(folder)
        config_before: dict[str, Any] = old.get("config") or {}
        before = config_before.get("ingest")
        if before is None:
            raise ConfigError(f"{folder} is a run of another kind, to which nothing can be ingested; choose another -o")
        if before != identity:
            _refuse(folder, _changed(folder, before, identity, found))
        return str(old.get("run_id", folder.name))
    _write_lines(folder / SOURCES, (json.dumps(row).encode() + b"\n" for row in found.listing()))
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


def _changed(folder: Path, before: dict[str, Any], identity: dict[str, Any], found: Found) -> list[str]:
    """The dotted names of settings and sources that are others than before."""
    path = folder / SOURCES
    listed = map(json.loads, path.read_bytes().splitlines()) if path.exists() else iter(())
    old, new = ({row.pop("source"): row for row in rows} for rows in (listed, found.listing()))
    return differences({**before, "sources": old}, {**identity, "sources": new})


def _refuse(folder: Path, changed: Sequence[str]) -> None:
    shown = "\n  ".join(changed[:_SHOWN])
    more = f"\n  and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    raise ConfigError(
        f"{folder} was begun with other sources or settings, so it cannot be gone on with; what differs:\n"
        f"  {shown}{more}\nChoose another -o for a new run, or give the old ones."
    )


def _take(report: IngestReport, lines: Iterator[bytes], found: Found) -> set[tuple[str | None, ...]]:
    """Sum up what became of the sources; who acted in them."""
    agents = set[tuple[str | None, ...]]()
    for line in lines:
        done = SourceReport.of(json.loads(line))
        report.take(done)
        if done.sha256 is not None and done.episodes:
            found.compare(done.source, done.sha256)
        agents.update(map(tuple, done.agents))
    return agents


def _close(folder: Path, agents: set[tuple[str | None, ...]], report: IngestReport, lines: Iterator[bytes]) -> None:
    """Complete `run.json` by who acted, and write the report."""
    if agents:
        name, version, model = ({agent[i] for agent in agents} for i in range(3))
        actor = PolicyRecord(
            name=_only(name) or "several",
            version=_only(version) or "several",
            model=_only(model),
        )
        write_json(folder / MANIFEST, {**read_manifest(folder), "policy": actor.model_dump(mode="json")})
    _write_lines(folder / REPORT, _told(report, lines))


def _told(report: IngestReport, lines: Iterator[bytes]) -> Iterator[bytes]:
    """The report as JSON, a source and a file of no format a line."""
    told = report.as_dict(names=False)
    yield json.dumps(told, indent=2, ensure_ascii=False).encode().removesuffix(b"\n}")
    unknown, copies = ((json.dumps(name).encode() for name in names) for names in (report.unrecognised, report.copies))
    for name, items in (("unrecognised", unknown), ("copies", copies), ("per_source", map(bytes.strip, lines))):
        yield f',\n  "{name}": ['.encode()
        for number, item in enumerate(items):
            yield b",\n    " + item if number else b"\n    " + item
        yield b"\n  ]"
    yield b"\n}\n"


def _write_lines(path: Path, pieces: Iterator[bytes]) -> None:
    """Replace a file in one step, in memory that does not grow with it."""
    partial = path.with_name(f".{path.name}.partial")
    with room_for(path):
        with partial.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


def _only(values: set[str | None]) -> str | None:
    return next(iter(values)) if len(values) == 1 else None
