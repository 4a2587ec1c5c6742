"""`trajhub schema`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..console import emit_json

__all__ = ["schema"]


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write to; default: the package's own.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a file is out of date.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the JSON Schemas of tasks, events, trajectories, rewards, preferences and runs, and a reference page."""
    from .schemas import FOLDER, PAGE, reference_page, render, schemas

    folder = output or FOLDER
    wanted = {folder / name: render(value) for name, value in schemas().items()}
    page = PAGE if output is None else folder / "schema.md"
    if output is not None or page.parent.is_dir():
        wanted[page] = reference_page()
    behind = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    if check and behind:
        names = ", ".join(path.name for path in behind)
        print(f"behind the models: {names}; run `trajhub schema`", file=sys.stderr)
        raise typer.Exit(1)
    for path in behind:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    if json_:
        emit_json({"written": [str(path) for path in behind], "current": [str(path) for path in wanted]})
    else:
        print(f"{len(wanted)} files in {folder} are in step with the models, {len(behind)} of them written now")
