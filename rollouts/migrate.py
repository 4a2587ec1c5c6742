"""Recorded runs of earlier versions in the present one.

Reading needs no migration: every earlier version loads as it is. A copy in the present version is for those who want
its guarantees (the hash chain) or one version throughout a collection.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ..errors import UsageError
from .chain import verify_chain
from .episode_log import EVENTS
from .events import SCHEMA_VERSION, AnyEvent
from .files import write_json
from .log import EventWriter, Header, read_events
from .run_dir import MANIFEST, read_manifest
from .trajectory import episode_folders

__all__ = ["MIGRATIONS", "migrate_run"]

_Migration = Callable[[AnyEvent], AnyEvent]


def _to_1_1(event: AnyEvent) -> AnyEvent:
    """1.1 added the hash chain, which the writer makes, and changed nothing else."""
    return event.model_copy(update={"schema_version": "1.1", "chain": None})


def _to_1_2(event: AnyEvent) -> AnyEvent:
    """1.2 added tokens to what is asked of a model and the step to a phase, and changed nothing else."""
    return event.model_copy(update={"schema_version": "1.2", "chain": None})


def _to_1_3(event: AnyEvent) -> AnyEvent:
    """1.3 added notes, origins and parts of answers, and changed nothing else."""
    return event.model_copy(update={"schema_version": "1.3", "chain": None})


MIGRATIONS: Mapping[str, _Migration] = {"1.0": _to_1_1, "1.1": _to_1_2, "1.2": _to_1_3}
"""What makes an event of the next version out of one of this version."""


def migrate_run(run: Path, target: Path) -> Counter[str]:
    """Write a copy of `run` in the present version to `target`; how many events of each version were found.

    Raises UsageError when `target` exists, when a log was changed after it was written, or when an event is of a
    version from which there is no way.
    """
    manifest = read_manifest(run)
    if target.exists():
        raise UsageError(f"{target} exists already; choose another folder")
    found = Counter[str]()
    for folder in episode_folders(run):
        _refuse_broken(folder / EVENTS)
        copy = target / folder.relative_to(run)
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(EVENTS))
        _copy_log(folder / EVENTS, copy / EVENTS, found)
    target.mkdir(parents=True, exist_ok=True)
    origin = {"schema_version": manifest.get("schema_version"), "run": run.name}
    write_json(target / MANIFEST, manifest | {"schema_version": SCHEMA_VERSION, "migrated_from": origin})
    return found


def _refuse_broken(log: Path) -> None:
    report = verify_chain(log)
    if report.breaks:
        first = report.breaks[0]
        raise UsageError(f"{log}:{first.line} {first.reason}; a new chain would hide that (see `trajhub check`)")


def _copy_log(source: Path, target: Path, found: Counter[str]) -> None:
    events = _upgraded(read_events(source), found)
    first = next(events)
    with EventWriter(target, Header.of(first)) as writer:
        writer.append(first)
        for event in events:
            writer.append(event)


def _upgraded(events: Iterator[AnyEvent], found: Counter[str]) -> Iterator[AnyEvent]:
    for event in events:
        found[event.schema_version] += 1
        yield upgrade(event)


def upgrade(event: AnyEvent) -> AnyEvent:
    """An event in the present version. Raises UsageError when there is no way from its version."""
    seen = event.schema_version
    while event.schema_version != SCHEMA_VERSION:
        step = MIGRATIONS.get(event.schema_version)
        if step is None:
            raise UsageError(
                f"there is no way from schema version {seen} to {SCHEMA_VERSION}; a newer agent-trajectory-hub wrote "
                "this log, so install that one"
            )
        event = step(event)
    return event
