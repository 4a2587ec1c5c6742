"""`export`: runs told in a format of others, one episode in memory at a time, with a report of what that loses."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ...errors import UsageError
from ...validation import first_problem
from ..episode_log import EVENTS
from ..files import write_json
from ..log import EventReader
from ..run_dir import Episode, read_manifest
from ..trajectory import episode_folders
from .base import Exporter, NotExported, RecordedEpisode, Target
from .losses import LossCounter
from .redaction import redact
from .registry import exporters

__all__ = ["ExportReport", "export", "losses_path", "read_recorded"]


@dataclass(slots=True)
class ExportReport:
    """What an export wrote, left out and lost."""

    format: str
    path: str
    episodes: int = 0
    """Written."""
    files: list[str] = field(default_factory=list[str])
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    """Why an episode was not written, by run and episode."""
    lost: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Fields of our events that the export does not hold; see `losses.LossCounter.rows`."""
    unread: dict[str, str] = field(default_factory=dict[str, str])
    """Fields that the export holds and that are not read back as they were; see `base.Exporter.unread`."""
    redacted: dict[str, int] = field(default_factory=dict[str, int])
    """Credentials that were taken out, by kind."""
    damaged: list[str] = field(default_factory=list[str])
    """Lines of logs that are no events."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class _Chosen:
    run_id: str
    manifest: Mapping[str, Any]
    folder: Path
    task: str
    seed: int | None
    counts: bool


def export(
    runs: Sequence[str | Path],
    to: str,
    out: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    limit: int | None = None,
    pattern: str | None = None,
    redacted: bool = False,
    advance: Callable[[str], None] = lambda _name: None,
) -> ExportReport:
    """Write the episodes of `runs` to `out` in the format `to`, and what that loses beside it.

    `pattern` is a glob on task ids; `redacted` takes credentials out first. Raises UsageError for a format, an option
    or a run that is not there, and DiskFull.
    """
    exporter = exporters().get(to)
    settings = _options(exporter, options or {})
    chosen = _choose([Path(run) for run in runs], pattern, limit)
    target = Target(
        path=Path(out),
        options=settings,
        runs=list(dict.fromkeys(one.run_id for one in chosen)),
        episodes=[(one.run_id, one.folder.name) for one in chosen],
        seeds=list(dict.fromkeys(one.seed for one in chosen)),
    )
    report = ExportReport(exporter.name, str(target.path))
    _write(exporter, target, _recorded(chosen, report, redacted=redacted, advance=advance), report)
    write_json(losses_path(target.path), report.as_dict() | {"path": target.path.name, "files": _names(report, target)})
    return report


def _write(exporter: Exporter, target: Target, episodes: Iterator[RecordedEpisode], report: ExportReport) -> None:
    counter = LossCounter(exporter.loses)
    sink = exporter.open(target)
    try:
        for episode in episodes:
            try:
                sink.write(episode)
            except NotExported as error:
                report.left_out[f"{episode.run_id}/{episode.header.episode_id}"] = str(error)
                continue
            report.episodes += 1
            counter.take(episode.events)
        report.files = [str(path) for path in sink.close()]
    except BaseException:
        sink.abandon()
        raise
    report.lost, report.unread = counter.rows(), dict(exporter.unread)


def _names(report: ExportReport, target: Target) -> list[str]:
    base = target.path if target.path.is_dir() else target.path.parent
    return [str(Path(name).relative_to(base)) for name in report.files]


def losses_path(out: Path) -> Path:
    """Where the report of an export to `out` is written."""
    return out / "losses.json" if out.is_dir() else out.with_name(f"{out.name}.losses.json")


def _options(exporter: Exporter, given: Mapping[str, Any]) -> BaseModel:
    try:
        return exporter.options.model_validate(dict(given))
    except ValidationError as error:
        known = ", ".join(exporter.options.model_fields) or "none"
        raise UsageError(f"{exporter.name}: option {first_problem(error)}; its options are: {known}") from None


def _choose(runs: Sequence[Path], pattern: str | None, limit: int | None) -> list[_Chosen]:
    """The episodes to export, by run and name. Raises UsageError when two runs have the same id."""
    if not runs:
        raise UsageError("name at least one run")
    found, seen = list[_Chosen](), dict[str, Path]()
    for run in dict.fromkeys(path.resolve() for path in runs):
        manifest = read_manifest(run)
        run_id = str(manifest.get("run_id", run.name))
        if run_id in seen:
            raise UsageError(f"{seen[run_id]} and {run} are both called {run_id}: an export would mix them up")
        seen[run_id] = run
        told = _told(run, run_id, manifest)
        found += [one for one in told if pattern is None or fnmatchcase(one.task, pattern)]
    return found[:limit]


def _told(run: Path, run_id: str, manifest: Mapping[str, Any]) -> list[_Chosen]:
    """The episodes of a run; of each task and seed the last attempt counts."""
    episodes = [episode for folder in episode_folders(run) if (episode := _begun(folder)) is not None]
    last = {(one.first.task_id, one.first.seed): one.folder for one in sorted(episodes, key=lambda one: one.attempt)}
    return [
        _Chosen(run_id, manifest, one.folder, task, seed, last[task, seed] == one.folder)
        for one in episodes
        for task, seed in [(one.first.task_id, one.first.seed)]
    ]


def _begun(folder: Path) -> Episode | None:
    """How an episode began; None where its log holds no event."""
    first = next(iter(EventReader(folder / EVENTS, tolerant=True)), None)
    if first is None:
        return None
    return Episode(folder=folder, first=first, end=None, duration_ms=None, patch=None, verdict=None)


def _recorded(
    chosen: Sequence[_Chosen], report: ExportReport, *, redacted: bool, advance: Callable[[str], None]
) -> Iterator[RecordedEpisode]:
    for one in chosen:
        events, damage = read_recorded(one.folder)
        report.damaged += damage
        if redacted:
            events, found = redact(events)
            report.redacted = dict(sorted((Counter(report.redacted) + Counter(found)).items()))
        yield RecordedEpisode(
            run_id=one.run_id, manifest=one.manifest, events=events, folder=one.folder, counts=one.counts
        )
        advance(one.folder.name)


def read_recorded(folder: Path) -> tuple[list[Any], list[str]]:
    """The events of an episode, and the lines of its log that are none."""
    reader = EventReader(folder / EVENTS, tolerant=True)
    events = list(reader)
    return events, reader.problems
