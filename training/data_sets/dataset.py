"""Writing a data set: rows as they come, then the statistics and the card that follow from them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...rollouts.files import write_atomic, write_json
from ..config import ExportConfig
from ..preferences.preference import SCHEMA_VERSION
from ..trajectories.messages import NotPortable, dumps
from ..trajectories.refusal import Refusal, Refusals
from .card import Card
from .columns import Columns
from .provenance import STATISTICS, by_licence, checked_out
from .rows import Row
from .statistics import Statistics
from .writers import DataFile, DataWriter

__all__ = ["CARD", "DataSet", "Exported", "Kind", "Request"]

CARD = "README.md"
Kind = Literal["sft", "preference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to export, and where to."""

    sources: Sequence[Path]
    """Runs; of preferences, runs or one folder (or file) of pairs."""
    out: Path | None
    """None: count only."""
    config: ExportConfig
    tasks: str | None = None
    """Where the training tasks are, for their licences and reference patches."""
    eval_tasks: str | None = None
    """Where the evaluation tasks are, which nothing may give away."""
    pattern: str | None = None
    """Only tasks whose id matches this glob."""
    limit: int | None = None
    """At most so many rows."""
    advance: Callable[[], object] | None = None
    """Called after each episode, or pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written, or would be if a folder were given."""

    folder: Path | None
    rows: int
    statistics: Mapping[str, Any]
    files: Sequence[DataFile]


class DataSet:
    """Takes rows, counts and writes them, and ends with the statistics and the card."""

    def __init__(self, kind: Kind, columns: Columns, request: Request) -> None:
        self._kind: Kind = kind
        self._columns = columns
        self._request = request
        self._statistics = Statistics()

    def write(
        self,
        rows: Iterable[tuple[Row, str]],
        refusals: Refusals,
        told: Callable[[], Mapping[str, Any]],
        licences: Mapping[str, str],
    ) -> Exported:
        """Write everything. `told` is asked when all rows were read."""
        out, formats = self._request.out, self._request.config.formats
        files: Sequence[DataFile] = ()
        with nullcontext() if out is None else DataWriter(checked_out(out), self._columns, formats) as writer:
            self._take(rows, refusals, writer)
            if writer is not None and self._statistics.rows:
                files = writer.finish()
        statistics = self._told(told(), licences, files)
        if out is not None and files:
            self._finish(out, statistics, files)
        return Exported(folder=out if files else None, rows=self._statistics.rows, statistics=statistics, files=files)

    def _take(self, rows: Iterable[tuple[Row, str]], refusals: Refusals, writer: DataWriter | None) -> None:
        for row, name in rows:
            try:
                if writer is None:
                    dumps(row)
                else:
                    writer.write(row)
            except NotPortable:
                refusals.add(Refusal.NOT_PORTABLE, name)
                continue
            self._statistics.add(row)
            if self._statistics.rows == self._request.limit:
                return

    def _told(self, told: Mapping[str, Any], licences: Mapping[str, str], files: Sequence[DataFile]) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": self._kind,
            "rows": self._statistics.rows,
            "contents": self._statistics.as_dict(),
            **told,
            "licences": by_licence(self._statistics.tasks, licences),
            "files": [{"name": file.name, "bytes": file.bytes, "sha256": file.sha256} for file in files],
        }

    def _finish(self, out: Path, statistics: Mapping[str, Any], files: Sequence[DataFile]) -> None:
        kept = {file.name for file in files}
        for old in (out / "data").iterdir():
            if f"data/{old.name}" not in kept:
                old.unlink()
        card = Card(kind=self._kind, columns=self._columns, files=files, statistics=statistics)
        write_atomic(out / CARD, card.render())
        write_json(out / STATISTICS, statistics)
