"""`trajhub grade`: judge final patches."""

import os
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import emit_json, next_steps, progress, table

if TYPE_CHECKING:
    from .grader import GraderConfig
    from .task import Task
    from .verdict import Verdict

__all__ = ["grade"]

Tasks = Annotated[str, typer.Argument(help="Task repo folder, dataset name or alias, or a local file.")]
Predictions = Annotated[str, typer.Argument(help="Predictions (.json, .jsonl), or `reference`.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder for verdicts and report.")]
Workers = Annotated[int, typer.Option("--max-workers", "-j", min=1, help="Patches at once.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Grade at most this many.")]
Filter = Annotated[str, typer.Option("--filter", help="Glob over instance ids.")]
Split = Annotated[str | None, typer.Option(help="Split of the dataset or task repo.")]
MappingFile = Annotated[Path | None, typer.Option(help="File that completes tasks (see docs/tasks.md).")]
RunScripts = Annotated[Path | None, typer.Option(help="SWE-bench Pro's run_scripts folder.")]
Timeout = Annotated[float, typer.Option(help="Seconds the tests of one patch may take.")]
Canaries = Annotated[bool, typer.Option(help="Check resolved patches in a second run, with canary tests.")]
Redo = Annotated[bool, typer.Option(help="Grade again what already has a verdict.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


def grade(
    tasks: Tasks,
    predictions: Predictions,
    output: Output = Path("grades"),
    max_workers: Workers = 2,
    limit: Limit = None,
    pattern: Filter = "*",
    split: Split = None,
    mapping: MappingFile = None,
    run_scripts: RunScripts = None,
    timeout: Timeout = 1800.0,
    canaries: Canaries = True,
    redo: Redo = False,
    json: Json = False,
) -> None:
    """Grade final patches in fresh containers with the tasks' own tests; no patch can decide its own verdict.

    Exit status: 0 every patch was judged, 2 usage, 3 some could not be judged (they are not counted).
    """
    from .grader import GraderConfig
    from .grading import report, write_report
    from .predictions import read_predictions
    from .sources import load_tasks

    found = load_tasks(tasks, split=split, mapping=mapping, run_scripts=run_scripts)
    patches = read_predictions(predictions, found)
    chosen = [task for task in found if fnmatchcase(task.instance_id, pattern)]
    wanted = [task.instance_id for task in chosen if task.instance_id in patches][:limit]
    known = {task.instance_id for task in found}
    # An id that no task has is a mistake to be told, not a patch to be filtered away.
    patches = {name: patch for name, patch in patches.items() if name in wanted or name not in known}
    config = GraderConfig(timeout=timeout, canaries=canaries)
    verdicts = _verdicts(chosen, patches, output, config, max_workers, redo)
    content = report(verdicts, chosen)
    write_report(content, output)
    if json:
        emit_json(content)
    else:
        _print(verdicts)
        apart = len(content["not_counted_ids"])
        print(f"resolved {content['resolved']} of {content['counted']} counted; {apart} could not be judged")
        next_steps(output, f"cat {output}/<task>/verdict.json")
    if content["not_counted_ids"]:
        raise typer.Exit(3)


def _verdicts(
    tasks: "Sequence[Task]",
    patches: dict[str, str | None],
    output: Path,
    config: "GraderConfig",
    workers: int,
    redo: bool,
) -> "list[Verdict]":
    from .engine import Engine
    from .grader import Grader
    from .grading import VERDICT_FILE, abandon, grade_all

    if redo:
        for name in patches:
            (output / name / VERDICT_FILE).unlink(missing_ok=True)
    engine = Engine()
    with progress("grading", len(patches)) as tick:
        try:
            return grade_all(
                Grader(engine, config),
                tasks,
                patches,
                output,
                workers=workers,
                done=lambda verdict: tick(note=f"{verdict.instance_id}: {verdict.reason}"),
            )
        except KeyboardInterrupt:
            abandon(engine)
            print("trajhub: interrupted; verdicts so far are kept, the same command goes on", file=sys.stderr)
            # Workers may be waiting for tests that no longer run anywhere.
            os._exit(130)


def _print(verdicts: "list[Verdict]") -> None:
    columns = ("task", "verdict", "blame", "set aside", "canaries", "seconds", "detail")
    rows = [
        (v.instance_id, v.reason, v.failure, len(v.set_aside), v.canaries.state, v.duration_s, v.detail[:60])
        for v in verdicts
    ]
    table("Verdicts", columns, rows)
