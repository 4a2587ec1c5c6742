"""`trajhub trace build | sql | columns`: layer 2 on the command line."""

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ... import console
from ...errors import UsageError

if TYPE_CHECKING:
    from ...rewards.service.usage import PriceTable
    from .build import Tables
    from .query import Answer

__all__ = ["build", "columns", "sql"]

Runs = Annotated[list[Path], typer.Argument(help="Folders of runs.")]
Config = Annotated[
    list[str] | None,
    typer.Option("-c", "--config", help="Prices: FILE.yaml, prices=FILE.yaml or prices.models.NAME={...}; repeatable."),
]
Workers = Annotated[int | None, typer.Option("--max-workers", min=1, help="Processes at once; default: one per core.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def build(
    runs: Runs,
    config: Config = None,
    force: Annotated[bool, typer.Option("--force", help="Also rebuild tables that are current.")] = False,
    max_workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Build the tables of runs from their logs: episodes, steps, requests and samples as parquet, beside run.json.

    Only tables that are missing or out of date are built. The same logs give the same bytes.
    """
    from .build import build_tables

    prices = _prices(config or [])
    made = list["Tables"]()
    for run in runs:
        with console.progress(f"tables of {run} (MB)", _megabytes(run)) as tick:
            made.append(
                build_tables(
                    run,
                    prices=prices,
                    force=force,
                    max_workers=max_workers,
                    progress=lambda size, tick=tick: tick(size / 1e6),
                )
            )
    if as_json:
        rows = [{"run": str(t.run), "built": t.built, "rows": t.rows, "problems": list(t.problems)} for t in made]
        console.emit_json(rows)
    else:
        names = ("episodes", "steps", "requests", "samples")
        shown = [(t.run, *(t.rows[name] for name in names), t.built or "current", f"{t.seconds:.1f}") for t in made]
        console.table("Tables", ("run", *names, "made because", "s"), shown)
    for problem in [problem for tables in made for problem in tables.problems]:
        print(f"left out: {console.safe(problem)}", file=sys.stderr)
    folders = " ".join(map(str, runs))
    question = '"SELECT model, count(*), avg(cost_usd) FROM episodes GROUP BY ALL"'
    console.next_steps(folders, f"trajhub trace sql {question} {folders}", f"trajhub trace report {folders}")


def _megabytes(run: Path) -> float:
    return round(sum(path.stat().st_size for path in run.glob("episodes/*/events.jsonl")) / 1e6, 1)


def _prices(items: list[str]) -> "PriceTable | None":
    """The shipped price table with what `-c` says on top; None without any."""
    if not items:
        return None
    from .prices import read_prices

    return read_prices(items)


def sql(
    question: Annotated[str, typer.Argument(help="One SELECT over episodes, steps, requests and samples.")],
    runs: Runs,
    config: Config = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N rows.")] = None,
    max_workers: Workers = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
) -> None:
    """Query the tables of runs in SQL (DuckDB), read-only; missing or outdated tables are built first."""
    from .query import ask, open_tables

    if as_json and as_csv:
        raise UsageError("choose one of --json and --csv")
    with open_tables(runs, prices=_prices(config or []), max_workers=max_workers, locked=True) as connection:
        answer = ask(connection, question)
    rows = answer.rows if limit is None else answer.rows[:limit]
    answer = answer._replace(rows=rows)
    if as_json:
        console.emit_json([dict(zip(answer.columns, row, strict=True)) for row in rows])
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows([[json.dumps(value) if isinstance(value, list) else value for value in row] for row in rows])
    else:
        _show(answer)


def _show(answer: "Answer") -> None:
    rows = [[_cell(value) for value in row] for row in answer.rows]
    console.table(f"{len(rows)} rows" if len(rows) != 1 else "1 row", answer.columns, rows)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def columns(
    table: Annotated[str | None, typer.Argument(help="Only this table.")] = None, as_json: Json = False
) -> None:
    """Explain the columns of the tables, with types and units."""
    from .columns import COLUMNS, TABLES

    if table is not None and table not in TABLES:
        raise UsageError(f"there is no table {table!r}; there are {', '.join(TABLES)}")
    chosen = [table] if table is not None else list(TABLES)
    if as_json:
        console.emit_json({name: [column._asdict() for column in COLUMNS[name]] for name in chosen})
        return
    for name in chosen:
        console.table(name, ("column", "type", "meaning"), COLUMNS[name])
        print()
