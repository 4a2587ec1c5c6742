"""`trajhub trace report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ... import console
from ...errors import UsageError

if TYPE_CHECKING:
    from .measure import Measurements

__all__ = ["report"]

_Paths = Annotated[list[Path], typer.Argument(help="Runs, recorded here or ingested.", metavar="RUN...")]
_Texts = list[str]


def report(
    runs: _Paths,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for report.md, report.html, figures/, measurements.json."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--only", help="Sections or families, separated by commas: workload, cache, tools, behaviour …"),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--filter", help="Only episodes that meet this SQL condition on the columns of episodes."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most this many episodes.")] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Column of episodes by which to measure separately as well.")
    ] = None,
    compare: Annotated[
        str, typer.Option("--compare", help="Column of episodes whose values are compared as harnesses.")
    ] = "agent",
    tasks: Annotated[
        str | None, typer.Option("--tasks", help="Task source, to compare files with reference patches.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows to show of long tables.")] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Seed of resamples and samples.")] = 0,
    resamples: Annotated[int, typer.Option("--resamples", min=100, help="Bootstrap resamples.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Measure runs: workload, cache, tools, behaviour, resources, repetition, harnesses; as Markdown and one HTML file.

    With --json and without -o nothing is written.
    """
    from .measure import chosen, measure
    from .report import write_report
    from .section import Options

    if output is None and not as_json:
        raise UsageError("name a folder for the report with -o, or print the figures with --json")
    words = [word.strip() for word in (only or "").split(",") if word.strip()]
    references = {} if tasks is None else _references(tasks)
    options = Options(references=references, seed=seed, resamples=resamples, compare=compare, limit=rows)
    with console.progress("Measuring", len(chosen(words))) as tick:
        found = measure(runs, only=words, where=where, limit=limit, by=by, options=options,
                        each=lambda name: tick(0 if ":" in name else 1, note=name))  # fmt: skip
    if output is not None:
        write_report(found, output, options)
    if as_json:
        console.emit_json(found.model_dump(mode="json"))
    else:
        _show(found)
    if output is not None:
        console.next_steps(output, f"xdg-open {output / 'report.html'}")


def _references(tasks: str) -> dict[str, list[str]]:
    """Files that each task's reference patch changes; tasks without one are left out."""
    from ...envs.patches import changed_paths
    from ...envs.sources import load_tasks

    return {task.instance_id: list(changed_paths(task.patch)) for task in load_tasks(tasks) if task.patch}


def _show(found: "Measurements") -> None:
    from .measure import SECTIONS

    for section in SECTIONS:
        measured = getattr(found.all, section.name)
        if measured is not None:
            console.table(section.title, ("", "all"), section.headline(measured))
