"""Preferences on disk: `pairs.jsonl`, one a line by task, and `statistics.json` beside it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...errors import UsageError
from ...rollouts.files import write_json
from ..preferences.finder import PairFinder
from ..preferences.preference import SCHEMA_VERSION, Preference
from .provenance import STATISTICS, by_licence, checked_out, decisions, licences_of, run_facts
from .rows import preference_row
from .statistics import Statistics
from .writers import JsonlWriter

__all__ = ["PAIRS", "PairSource", "is_pairs", "write_pairs"]

PAIRS = "pairs.jsonl"


def write_pairs(
    finder: PairFinder,
    out: Path | None,
    *,
    limit: int | None = None,
    advance: Callable[[], object] | None = None,
) -> dict[str, Any]:
    """Find pairs and write them to a folder (None: count only); the statistics.

    `advance` is called after each task. Raises UsageError when `out` holds something else.
    """
    statistics = Statistics()
    found = _limited(finder, limit, advance)
    if out is None:
        for pair in found:
            statistics.add(preference_row(pair))
        return _told(finder, statistics)
    checked_out(out).mkdir(parents=True, exist_ok=True)
    partial = out / f".{PAIRS}.partial"
    writer = JsonlWriter(partial)
    try:
        for pair in found:
            statistics.add(preference_row(pair))
            writer.write({}, pair.model_dump_json())
        writer.close()
        partial.replace(out / PAIRS)
    finally:
        writer.close()
        partial.unlink(missing_ok=True)
    told = _told(finder, statistics)
    write_json(out / STATISTICS, told)
    return told


def _limited(finder: PairFinder, limit: int | None, advance: Callable[[], object] | None) -> Iterator[Preference]:
    found = 0
    for _, outlines in finder.groups():
        for pair in finder.find(outlines):
            if found == limit:
                return
            found += 1
            yield pair
        if advance is not None:
            advance()


def _told(finder: PairFinder, statistics: Statistics) -> dict[str, Any]:
    licences = licences_of(finder.intake.tasks)
    config, intake = finder.config.model_dump(mode="json"), finder.intake
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "pairs",
        "rows": statistics.rows,
        "episodes": finder.intake.seen,
        "agreement": finder.agreement,
        "contents": statistics.as_dict(),
        **decisions(config, intake.refusals, finder.refusals, leakage=intake.leakage),
        "runs": run_facts(finder.sources, finder.intake.digests),
        "licences": by_licence(statistics.tasks, licences),
        "task_licences": {task_id: licences[task_id] for task_id in statistics.tasks if task_id in licences},
    }


def is_pairs(path: Path) -> bool:
    """Whether `path` is a folder that `trajhub pairs` wrote, or its file."""
    return (path / PAIRS).is_file() or (path.is_file() and path.suffix == ".jsonl")


@dataclass(frozen=True)
class PairSource:
    """Pairs found earlier, in a file or a folder."""

    path: Path

    @property
    def file(self) -> Path:
        """The pairs."""
        return self.path / PAIRS if self.path.is_dir() else self.path

    def statistics(self) -> Mapping[str, Any]:
        """What was said of them when they were found; empty when that file is gone."""
        beside = self.file.with_name(STATISTICS)
        try:
            return json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
        except ValueError as error:
            raise UsageError(f"{beside} is not JSON: {error}") from None

    def __iter__(self) -> Iterator[Preference]:
        """Raises UsageError, naming the line, where something is no pair."""
        with self.file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield Preference.model_validate_json(line)
                except ValidationError as error:
                    first = error.errors(include_input=False, include_url=False)[0]
                    where = ".".join(map(str, first["loc"])) or "the line"
                    raise UsageError(f"{self.file}:{number}: no pair: {where}: {first['msg']}") from None
