"""`trajhub pairs`: preferences from several trajectories of one task."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .. import console
from ..errors import UsageError

if TYPE_CHECKING:
    from .preferences.finder import PairFinder

__all__ = ["pairs", "show_refused"]

Runs = Annotated[list[Path], typer.Argument(help="Folders of runs.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder to write to.")]
Tasks = Annotated[
    str | None,
    typer.Option("--tasks", help="Task source of the runs, for licences and reference patches; default: as recorded."),
]
EvalTasks = Annotated[
    str | None,
    typer.Option("--eval-tasks", help="Evaluation tasks that must not leak: task repo, dataset or file."),
]
Only = Annotated[Literal["trajectory", "step"] | None, typer.Option("--level", help="Only pairs of this kind.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most this many pairs.")]
Filter = Annotated[str | None, typer.Option("--filter", help="Only tasks whose id matches this glob.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed for choosing between equally good pairs.")]
Config = Annotated[
    list[str] | None, typer.Option("-c", "--config", help="FILE.yaml or key=value; repeatable, later ones win.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count only, write nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def pairs(
    runs: Runs,
    out: Out = None,
    tasks: Tasks = None,
    eval_tasks: EvalTasks = None,
    level: Only = None,
    limit: Limit = None,
    task_filter: Filter = None,
    seed: Seed = None,
    config: Config = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Find which of several trajectories, or steps, of a task is better; each pair says why, by whom and how surely."""
    from .config import load_pairs_config
    from .data_sets.pair_files import write_pairs
    from .preferences.finder import PairFinder
    from .trajectories.records import open_sources

    if out is None and not dry_run:
        raise UsageError("say where to write the pairs with -o, or give --dry-run to count them only")
    options: dict[str, Any] = {} if seed is None else {"seed": seed}
    if level is not None:
        options["levels"] = [level]
    settled = load_pairs_config(config or [], options)
    sources = open_sources(runs)
    finder = PairFinder(sources, settled, tasks, eval_tasks, task_filter)
    with console.progress("tasks", len(finder.groups())) as tick:
        told = write_pairs(finder, None if dry_run else out, limit=limit, advance=tick)
    if as_json:
        console.emit_json(told)
    else:
        _show(told, finder)
    if out is not None and not dry_run:
        console.next_steps(out, f"trajhub export preference {out} -o {out}-trl")
    if not told["rows"]:
        print("trajhub: no pair is left; the table says why", file=sys.stderr)
        raise typer.Exit(1)


def _show(told: Mapping[str, Any], finder: "PairFinder") -> None:
    counts: Mapping[str, Mapping[str, int]] = told["contents"]["counts"]
    values: Mapping[str, Mapping[str, float]] = told["contents"]["values"]
    rows = [
        [f"{name} {value}", count]
        for name in ("level", "reason", "layer", "basis")
        for value, count in counts.get(name, {}).items()
    ]
    console.table(f"{told['rows']} pairs of {told['contents']['distinct_task_id']} tasks", ["of", "pairs"], rows)
    measured = ("margin", "confidence")
    rows = [[name, *(values[name][key] for key in ("min", "median", "max"))] for name in measured if name in values]
    if rows:
        console.table("How surely", ["figure", "least", "median", "most"], rows)
    show_refused("Pairs left out", finder.refusals.as_dict())
    show_refused(f"Episodes left out, of {told['episodes']}", finder.intake.refusals.as_dict(), told["leaks"])


def show_refused(title: str, counts: Mapping[str, int], leaks: Mapping[str, str] | None = None) -> None:
    """Print what was left out by reason, and the leaks by name."""
    if counts:
        console.table(title, ["reason", "count"], list(counts.items()))
    if leaks:
        console.table("Too near to the evaluation", ["task ~ evaluation task", "by"], list(leaks.items()))
