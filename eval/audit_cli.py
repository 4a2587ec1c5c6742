"""`trajhub audit`."""

from pathlib import Path
from typing import Annotated

import typer

from .. import console

__all__ = ["audit"]

_Paths = list[Path]


def audit(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for audit.md, .html and .json; default: the run.")
    ] = None,
    tasks: Annotated[str | None, typer.Option("--tasks", help="Task source; default: the run's own.")] = None,
    pairs: Annotated[_Paths | None, typer.Option("--pairs", help="Pairs or dataset made from the run.")] = None,
    calibration: Annotated[
        _Paths | None, typer.Option("--calibration", help="calibration.json; default: the run's own.")
    ] = None,
    effect: Annotated[
        _Paths | None, typer.Option("--effect", help="Manifest of a training or evaluation that used the data.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Also fail when a link is not shown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write one report on the chain of trust: tasks, execution, reward, preference, effect. Exit 1 if contradicted."""
    from ..envs.sources import load_tasks
    from ..rollouts.files import write_texts
    from ..rollouts.trajectory import episode_folders
    from .audit.evidence import Dataset, Evidence
    from .audit.link import State
    from .audit.report import audit as make
    from .audit.report import audit_page
    from .checks.run import tasks_of_run

    found = run / "calibration" / "calibration.json"
    calibrations = calibration or ([found] if found.exists() else [])
    evidence = Evidence(calibrations, [Dataset(path) for path in pairs or ()], effect or ())
    known = {task.instance_id: task for task in load_tasks(tasks)} if tasks else tasks_of_run(run)
    with console.progress("Checking", len(episode_folders(run))) as tick:
        report = make(run, known, evidence, each=tick, source=tasks)
    folder = output or run
    write_texts(folder, audit_page(report).texts("audit") | {"audit.json": report.model_dump_json(indent=2) + "\n"})
    if as_json:
        console.emit_json(report.model_dump(mode="json"))
    else:
        rows = [(link.name, link.question, str(link.state), link.said[0]) for link in report.links]
        console.table(f"Audit of {run}", ("link", "question", "state", "evidence"), rows)
        console.next_steps(folder / "audit.html", *report.links[1].commands)
    missing = strict and any(link.state is not State.SHOWN for link in report.links)
    if not report.ok or missing:
        raise typer.Exit(1)
