"""What commands print: tables on a terminal, plain columns in a pipe, JSON on request, nothing unescaped."""

import json
import re
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Tick", "console", "emit_json", "next_steps", "progress", "safe", "table"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def safe(text: object, *, keep_newlines: bool = False) -> str:
    """Text of an agent, task or tool, made harmless for a terminal: control and direction characters shown as codes."""
    shown = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", str(text))
    return shown if keep_newlines else shown.replace("\n", "\\n").replace("\t", " ")


def console(*, stderr: bool = False) -> "Console":
    """A rich console that honours `NO_COLOR`, and writes neither colour nor wrapping into a pipe."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, soft_wrap=not stream.isatty(), highlight=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a rich table on a terminal and aligned plain columns in a pipe. Cells are escaped; None is `-`."""
    cells = [["-" if cell is None else safe(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.markup import escape
        from rich.table import Table

        view = Table(title=escape(title))
        for column in columns:
            view.add_column(column, overflow="fold")
        for row in cells:
            view.add_row(*(escape(cell) for cell in row))
        console().print(view)
        return
    widths = [max(len(str(line[i])) for line in [list(columns), *cells]) for i in range(len(columns))]
    print(title)
    for line in [list(columns), *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def emit_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def next_steps(where: object, *commands: str) -> None:
    """The last lines of a command: where the results are, and what to run next (on standard error)."""
    print(f"Results: {where}", file=sys.stderr)
    for command in commands:
        print(f"Next:    {command}", file=sys.stderr)


class Tick(Protocol):
    """What `progress` yields: call it to advance the bar."""

    def __call__(self, advance: float = 1, *, note: str | None = None) -> None:
        """Advance by `advance`; `note` replaces the text beside the bar."""
        ...


@contextmanager
def progress(description: str, total: float | None) -> Generator[Tick]:
    """A progress bar with ETA on standard error; silent when that is not a terminal."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    err = console(stderr=True)
    with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task(description, total=total, note="")

        def tick(advance: float = 1, *, note: str | None = None) -> None:
            bar.update(task, advance=advance)
            if note is not None:
                bar.update(task, note=safe(note))

        yield tick
