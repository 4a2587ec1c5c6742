"""`trajhub export`: data sets for training, in the formats that TRL reads."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .. import console
from ..errors import UsageError
from .pairs_cli import Config, DryRun, EvalTasks, Filter, Json, Out, Tasks, show_refused

if TYPE_CHECKING:
    from .data_sets.export import Exported, Request

__all__ = ["app"]

_ALGORITHM = {"trl.SFTTrainer": "sft", "trl.DPOTrainer": "dpo"}

app = typer.Typer(help="Write data sets for training: JSONL and parquet, with a card.", no_args_is_help=True)

Runs = Annotated[list[Path], typer.Argument(help="Folders of runs.")]
RunsOrPairs = Annotated[list[Path], typer.Argument(help="Folders of runs, or one folder of pairs.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most this many rows.")]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, help="Seed of a random order of episodes; default: by name.")
]
Unit = Annotated[
    Literal["trajectory", "step"] | None, typer.Option("--unit", help="One row per trajectory, or per step.")
]
PairSeed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed for choosing between equally good pairs.")]


@app.command()
def sft(
    runs: Runs,
    out: Out = None,
    unit: Unit = None,
    tasks: Tasks = None,
    eval_tasks: EvalTasks = None,
    limit: Limit = None,
    task_filter: Filter = None,
    seed: Seed = None,
    config: Config = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Conversations for supervised fine-tuning, by default from submitted and resolved episodes."""
    from .data_sets.export import export_sft

    options = {"unit": unit, "seed": seed}
    request = _request(runs, out, tasks, eval_tasks, limit, task_filter, config, options, dry_run)
    total = sum(_episodes(run) for run in runs)
    _report(_watched(export_sft, request, "episodes", total), as_json, "trl.SFTTrainer")


@app.command()
def preference(
    sources: RunsOrPairs,
    out: Out = None,
    tasks: Tasks = None,
    eval_tasks: EvalTasks = None,
    limit: Limit = None,
    task_filter: Filter = None,
    seed: PairSeed = None,
    config: Config = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Preferences for DPO and its kin, from what `trajhub pairs` wrote or directly from runs."""
    from .data_sets.export import export_preferences

    items = [*(config or []), *([] if seed is None else [f"pairs.seed={seed}"])]
    request = _request(sources, out, tasks, eval_tasks, limit, task_filter, items, {}, dry_run)
    _report(_watched(export_preferences, request, "pairs", None), as_json, "trl.DPOTrainer")


def _request(
    sources: list[Path],
    out: Path | None,
    tasks: str | None,
    eval_tasks: str | None,
    limit: int | None,
    pattern: str | None,
    config: list[str] | None,
    options: dict[str, Any],
    dry_run: bool,
) -> "Request":
    from .config import load_export_config
    from .data_sets.export import Request

    if out is None and not dry_run:
        raise UsageError("say where to write the data set with -o, or give --dry-run to count its rows only")
    return Request(
        sources=sources,
        out=None if dry_run else out,
        config=load_export_config(config or [], {key: value for key, value in options.items() if value is not None}),
        tasks=tasks,
        eval_tasks=eval_tasks,
        pattern=pattern,
        limit=limit,
    )


def _episodes(run: Path) -> int:
    from ..rollouts.trajectory import episode_folders

    return len(episode_folders(run))


def _watched(export: "Callable[[Request], Exported]", request: "Request", what: str, total: int | None) -> "Exported":
    from dataclasses import replace

    with console.progress(what, total) as tick:
        return export(replace(request, advance=tick))


def _report(done: "Exported", as_json: bool, trainer: str) -> None:
    told = done.statistics
    if as_json:
        console.emit_json({"folder": str(done.folder) if done.folder else None, **told})
    else:
        values = told["contents"]["values"]
        keys = ("min", "median", "p95", "max")
        rows = [[name, *(found[key] for key in keys)] for name, found in values.items()]
        console.table(f"{done.rows} rows of {told['contents']['distinct_task_id']} tasks", ["figure", *keys], rows)
        show_refused("Left out", told["refused"], told["leaks"])
        if done.files:
            console.table(
                "Files", ["file", "bytes", "SHA-256"], [[file.name, file.bytes, file.sha256] for file in done.files]
            )
    if done.folder is not None:
        console.next_steps(
            done.folder,
            f"less {done.folder / 'README.md'}   (the card; the rows are for {trainer})",
            f"trajhub train {_ALGORITHM[trainer]} --model MODEL --data {done.folder} -o OUT",
        )
    if not done.rows:
        print("trajhub: no row is left; the table says why", file=sys.stderr)
        raise typer.Exit(1)
