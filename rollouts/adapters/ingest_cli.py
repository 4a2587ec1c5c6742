"""`trajhub trace ingest`: other agents' records become a run."""

import sys
from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ... import console
from ...errors import UsageError
from ..interrupt_cli import interruptible

if TYPE_CHECKING:
    from .engine import IngestConfig
    from .report import IngestReport
    from .sources import Found

__all__ = ["ingest"]

_SHOWN = 8


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders to search, of any known format.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the run to write; one that exists is resumed.")],
    format_name: Annotated[
        str | None, typer.Option("--format", help="Format, where the content does not tell.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N episodes.")] = None,
    task_filter: Annotated[
        str | None, typer.Option("--filter", help="Only episodes whose task's id matches this glob.")
    ] = None,
    config: Annotated[
        list[str] | None, typer.Option("-c", "--config", help="Setting of an adapter, as key=value; repeatable.")
    ] = None,
    max_workers: Annotated[
        int | None, typer.Option("--max-workers", min=1, help="Sources read at once; default: one per core.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print which sources would be read, and as what.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read records of any agent into a run of event logs; each record becomes events or is counted as not understood.

    Formats are recognised by content. Run it again to resume. Exit code 3 when a source cannot be read to the end.
    """
    from .engine import IngestConfig, plan_ingest
    from .registry import adapters

    settings = IngestConfig(
        format=format_name, limit=limit, filter=task_filter, options=_options(config or []), max_workers=max_workers
    )
    for name, why in adapters().broken.items():
        print(f"trajhub: the adapter {console.safe(name)} is left out: {console.safe(why)}", file=sys.stderr)
    if dry_run:
        _show_plan(plan_ingest(paths, settings, out), as_json)
        return
    report = _do(paths, out, settings)
    _show(report, as_json)
    if report.problems:
        raise typer.Exit(3)


def _options(pairs: list[str]) -> dict[str, Any]:
    import yaml

    found = dict[str, Any]()
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"-c takes key=value, not {pair!r}")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"-c {key}: {error}") from None
    return found


def _do(paths: list[Path], out: Path, settings: "IngestConfig") -> "IngestReport":
    from .engine import ingest as work
    from .engine import plan_ingest

    found = plan_ingest(paths, settings, out)
    with (
        interruptible("stopping; what was read is kept, the same command goes on"),
        console.progress("ingesting (MB)", round(found.bytes / 1e6, 1)) as tick,
    ):
        return work(list(paths), out, settings, progress=lambda size, note: tick(size / 1e6, note=note), found=found)


def _show_plan(found: "Found", as_json: bool) -> None:
    if as_json:
        rows = [{"source": s.name, "format": s.format, "bytes": s.bytes} for s in found.sources]
        console.emit_json({"sources": rows, "unrecognised": list(found.unrecognised)})
        return
    console.table("Would be read", ("source", "format", "bytes"), [(s.name, s.format, s.bytes) for s in found.sources])
    _list("of no known format", found.unrecognised)


def _show(report: "IngestReport", as_json: bool) -> None:
    if as_json:
        console.emit_json(report.as_dict())
    else:
        rows = [
            (name, kind, row.records, row.events, row.unread, row.broken, row.first)
            for name, tally in sorted(report.formats.items())
            for kind, row in sorted(tally.items())
        ]
        columns = ("format", "kind", "records", "events", "unread", "broken", "first place")
        console.table("What became of the records", columns, rows)
        kept = f" ({report.kept} read before)" if report.kept else ""
        left = f", {report.filtered} left out by --filter" if report.filtered else ""
        print(f"{report.episodes} episodes of {report.sources} sources{kept}{left}, {report.seconds:.1f} s")
        _list("of no known format", report.unrecognised)
        _list("with the same bytes as another, so that their episodes count twice (leave them out)", report.copies)
        _list("could not be read to the end", report.problems)
    console.next_steps(report.run, f"trajhub runs show {report.run}", f"trajhub trace build {report.run}")


def _list(what: str, names: Collection[str]) -> None:
    if names:
        print(f"{len(names)} {what}:")
        for name in islice(names, _SHOWN):
            print(f"  {console.safe(name)}")
        if len(names) > _SHOWN:
            print(f"  and {len(names) - _SHOWN} more")
