"""`trajhub trace export`: recorded episodes in formats of others."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ... import console
from ...errors import UsageError

if TYPE_CHECKING:
    from .engine import ExportReport

__all__ = ["export"]

_Texts = list[str]


def export(
    runs: Annotated[list[Path] | None, typer.Argument(help="Folders of runs.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Format; --formats lists them.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--output", help="File or folder to write.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N episodes.")] = None,
    task_filter: Annotated[str | None, typer.Option("--filter", help="Only tasks whose id matches this glob.")] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="Remove credentials; by default texts are written as recorded.")
    ] = False,
    config: Annotated[
        _Texts | None, typer.Option("-c", "--config", help="Setting of the format as key=value; repeatable.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="For otlp: also send it to the receiver at this address.")
    ] = None,
    header: Annotated[
        _Texts | None, typer.Option("--header", help="For otlp: HTTP header as NAME=VALUE; repeatable.")
    ] = None,
    formats: Annotated[bool, typer.Option("--formats", help="List the formats and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Export episodes to another format, and report which fields are lost (also in losses.json beside the output)."""
    if formats:
        _show_formats(as_json)
        return
    if not runs or to is None or out is None:
        raise UsageError("name the runs, the format with --to, and where to write with -o; --formats lists the formats")
    from ..config import read_overrides
    from .engine import export as write

    options = read_overrides(config or [])
    if endpoint is not None:
        options["endpoint"] = endpoint
    if header:
        options["headers"] = _headers(header)
    with console.progress("Exporting", _count(runs)) as tick:
        report = write(
            runs, to, out, options=options, limit=limit, pattern=task_filter, redacted=redact,
            advance=lambda name: tick(note=name),
        )  # fmt: skip
    _show(report, as_json)
    from .engine import losses_path

    console.next_steps(report.path, f"less {losses_path(out)}   (what this format does not hold)")
    if not report.episodes:
        print("trajhub: no episode was written; the table says why", file=sys.stderr)
        raise typer.Exit(1)


def _headers(items: list[str]) -> dict[str, str]:
    pairs = [item.partition("=") for item in items]
    wrong = next((item for item, (_, equals, _) in zip(items, pairs, strict=True) if not equals), None)
    if wrong is not None:
        raise UsageError("--header: should be NAME=VALUE")
    return {name.strip(): value for name, _, value in pairs}


def _count(runs: list[Path]) -> int:
    from ..run_dir import EPISODES

    return sum(1 for run in runs for _ in run.glob(f"{EPISODES}/*"))


def _show_formats(as_json: bool) -> None:
    from .registry import exporters

    registry = exporters()
    rows = [(name, one.title, one.output, len(one.loses)) for name, one in sorted(registry.exporters.items())]
    if as_json:
        known = [{"name": name, "title": title, "output": output} for name, title, output, _ in rows]
        found = [one | {"loses": dict(registry.exporters[one["name"]].loses)} for one in known]
        console.emit_json({"formats": found, "broken": dict(registry.broken)})
        return
    console.table("Formats", ("--to", "what it is", "-o", "fields lost"), rows)
    for name, why in registry.broken.items():
        print(console.safe(f"{name} cannot be used: {why}"), file=sys.stderr)


def _show(report: "ExportReport", as_json: bool) -> None:
    if as_json:
        console.emit_json(report.as_dict())
        return
    print(console.safe(f"{report.episodes} episodes in {len(report.files)} files: {report.path}"))
    if report.lost:
        rows = [(row["field"], row["events"], row["episodes"], row["why"]) for row in report.lost]
        console.table("Lost by this format", ("field", "events", "episodes", "why"), rows)
    if report.left_out:
        console.table("Left out", ("episode", "why"), list(report.left_out.items()))
    if report.redacted:
        console.table("Credentials taken out", ("kind", "number"), list(report.redacted.items()))
    for problem in report.damaged:
        print(console.safe(f"not an event: {problem}"), file=sys.stderr)
