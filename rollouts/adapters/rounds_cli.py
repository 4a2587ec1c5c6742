"""`trajhub trace rounds`: a run as TraceLab's rounds."""

from pathlib import Path
from typing import Annotated

import typer

from ... import console

__all__ = ["rounds"]


def rounds(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File to write; default: rounds.jsonl in the run.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N rounds.")] = None,
    task_filter: Annotated[
        str | None, typer.Option("--filter", help="Only episodes whose task's id matches this glob.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts as JSON.")] = False,
) -> None:
    """Write one line per model call in TraceLab's format: tokens by kind, tools, and all times."""
    from .rounds import ROUNDS, write_rounds

    target = out or run / ROUNDS
    counts = write_rounds(run, target, limit=limit, pattern=task_filter)
    if as_json:
        console.emit_json({"file": str(target), **counts})
    else:
        print(", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items()))
    console.next_steps(target, f"trajhub trace report {run}")
