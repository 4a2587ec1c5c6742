"""`trajhub tasks`: build tasks from real packages, look at tasks of any source, validate them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from ..errors import UsageError
from .micro_cli import micro
from .transfer_cli import pull, push

if TYPE_CHECKING:
    from .factory.build import Build, BuildPlan
    from .factory.journal import Outcome
    from .factory.report import BuildReport

__all__ = ["app"]

app = typer.Typer(help="Build, list, show and validate tasks.", no_args_is_help=True)
app.command()(pull)
app.command()(push)
app.command()(micro)

_KINDS = {"injected": ("injected",), "release": ("release",), "all": ("injected", "release")}


@app.command()
def build(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the task repo to write; default: this user's own.")
    ] = None,
    kind: str = typer.Option("all", "--kind", help="injected, release or all."),
    packages: str | None = typer.Option(None, "--packages", help="Only these packages, separated by commas."),
    limit: int | None = typer.Option(None, "--limit", min=1, help="At most this many tasks of each kind."),
    pattern: str = typer.Option(
        "*", "--filter", help="Only candidates matching `package/path::function/operator` or `package/old..new`."
    ),
    seed: int = typer.Option(0, "--seed", help="Seed: which candidates are tried, and in which order."),
    max_workers: int = typer.Option(2, "--max-workers", min=1, help="Packages at once."),
    catalogue: Annotated[
        Path | None, typer.Option("--catalogue", help="Catalogue to use instead of the shipped one.")
    ] = None,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be built."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    docker_host: str | None = typer.Option(None, "--docker-host", help="Address of the Docker API."),
) -> None:
    """Build validated tasks from the catalogue. Run it again to resume: finished work is kept."""
    from .default_tasks import user_tasks
    from .factory.build import Build, plan_build
    from .factory.catalogue import DEFAULT_CATALOGUE, load_catalogue

    if kind not in _KINDS:
        raise UsageError(f"--kind {kind}: it must be one of {', '.join(_KINDS)}")
    chosen = load_catalogue(catalogue or DEFAULT_CATALOGUE).only(packages.split(",") if packages else None)
    kinds = _KINDS[kind]
    plan = plan_build(chosen, kinds=kinds, limit=limit, seed=seed, pattern=pattern)  # pyright: ignore[reportArgumentType]
    if dry_run:
        _show_plan(plan, as_json=as_json)
        return
    from .engine import Engine

    output = output or user_tasks()
    report = _run(Build(Engine(docker_host), plan, output), max_workers)
    path = report.write(output)
    if as_json:
        console.emit_json(report.as_json())
    else:
        _show_report(report)
    for problem in report.problems:
        typer.echo(f"trajhub: {problem}", err=True)
    console.next_steps(path, f"trajhub tasks list {output}", f"trajhub tasks validate {output} --limit 5")
    if report.problems:
        raise typer.Exit(3)


def _show_plan(plan: "BuildPlan", *, as_json: bool) -> None:
    rows = [
        (unit.package.name, unit.kind, "..".join(unit.pair) if unit.pair else unit.package.inject, unit.wanted)
        for unit in plan.units
    ]
    if as_json:
        keys = ("package", "kind", "version", "wanted")
        console.emit_json({"wanted": plan.wanted, "units": [dict(zip(keys, row, strict=True)) for row in rows]})
        return
    console.table(f"{plan.wanted} tasks at most", ("package", "kind", "version", "wanted"), rows)


def _run(work: "Build", max_workers: int) -> "BuildReport":
    """Run a build under a progress bar, or with a line a minute where there is no terminal."""
    import sys
    import time

    from .factory.metered import cpu_seconds
    from .factory.report import BuildReport

    started = time.monotonic()
    before = len(work.journal.outcomes())
    counts = {"accepted": 0, "refused": 0}
    last_line = started
    with console.progress("tasks", work.plan.wanted) as tick:

        def notify(outcome: "Outcome") -> None:
            nonlocal last_line
            counts["accepted" if outcome.accepted else "refused"] += 1
            note = f"{counts['refused']} candidates refused, last: {outcome.package} {outcome.operator}"
            tick(1 if outcome.accepted or outcome.kind == "release" else 0, note=note)
            now = time.monotonic()
            if not sys.stderr.isatty() and now - last_line > 30:
                last_line = now
                left = (now - started) / max(1, counts["accepted"]) * max(0, work.plan.wanted - counts["accepted"])
                done = f"{counts['accepted']} of at most {work.plan.wanted} tasks"
                typer.echo(f"{now - started:.0f} s: {done}, {note}; about {left / 60:.0f} min left", err=True)

        work.notify = notify
        work.run(max_workers)
    return BuildReport(
        outcomes=work.journal.outcomes(),
        given=work.enumerated,
        problems=work.problems,
        wanted=work.plan.wanted,
        seconds=time.monotonic() - started,
        cpu_seconds=cpu_seconds(),
        resumed=before,
    )


def _show_report(report: "BuildReport") -> None:
    columns = ("operator", "candidates", "tried", "accepted", "why the rest was refused")
    injected = [*report.by_operator(), report.total("injected")]
    console.table("Injected bugs", columns, [(t.name, t.given, t.tried, t.accepted, t.why) for t in injected])
    packages = [*report.by_package(), report.total("release")]
    rows = [(t.name, t.tried, t.accepted, t.why) for t in packages]
    console.table("Packages", ("package", "tried", "accepted", "why the rest was refused"), rows)
    made = f"{report.accepted('injected')} injected-bug tasks and {report.accepted('release')} release tasks"
    resumed = f", going on from {report.resumed} outcomes of an earlier run" if report.resumed else ""
    cost = f"{report.cpu_seconds:.1f} s of CPU time in containers"
    print(f"{made} in {report.seconds:.1f} s ({cost}){resumed}")


@app.command("list")
def list_tasks(
    tasks: str = typer.Argument(help="A task repo, a dataset, or a .json, .jsonl or .parquet file."),
    split: str | None = typer.Option(None, "--split", help="Only this split."),
    limit: int | None = typer.Option(None, "--limit", min=1, help="At most this many."),
    pattern: str = typer.Option("*", "--filter", help="Only ids matching this pattern."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List tasks of any source."""
    from fnmatch import fnmatchcase

    from .sources import load_tasks

    chosen = [task for task in load_tasks(tasks, split=split) if fnmatchcase(task.instance_id, pattern)][:limit]
    keys = ("instance_id", "repo", "version", "source", "method", "fail_to_pass", "pass_to_pass", "lacks")
    rows = [
        (
            task.instance_id,
            task.repo,
            task.version,
            task.provenance.source,
            task.provenance.method,
            len(task.FAIL_TO_PASS),
            len(task.PASS_TO_PASS),
            ", ".join(task.missing()),
        )
        for task in chosen
    ]
    if as_json:
        console.emit_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        console.table(f"{len(rows)} tasks", keys, rows)


@app.command()
def show(
    tasks: str = typer.Argument(help="A task repo, a dataset, or a .json, .jsonl or .parquet file."),
    instance_id: str = typer.Argument(help="Id of the task."),
    answer: bool = typer.Option(False, "--answer", help="Also show the reference patch and the deciding tests."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, with everything."),
) -> None:
    """Show one task."""
    from ..errors import TaskNotFound
    from .sources import load_tasks

    task = next((task for task in load_tasks(tasks) if task.instance_id == instance_id), None)
    if task is None:
        raise TaskNotFound(f"{tasks} has no task {instance_id}; `trajhub tasks list {tasks}` lists them")
    if as_json:
        console.emit_json(task.model_dump(mode="json"))
        return
    for name in ("instance_id", "repo", "version", "base_commit", "image", "test_command"):
        print(f"{name}: {console.safe(getattr(task, name))}")
    for name, value in task.provenance.model_dump(exclude_none=True).items():
        if answer or name not in ("method", "function"):
            print(f"provenance.{name}: {console.safe(value)}")
    print(f"\n{console.safe(task.problem_statement, keep_newlines=True)}")
    if answer:
        for title, text in (("Reference patch", task.patch), ("Test patch", task.test_patch)):
            print(f"--- {title} ---\n{console.safe(text, keep_newlines=True)}")
        print("--- Must pass ---", *(console.safe(name) for name in task.FAIL_TO_PASS), sep="\n")


@app.command()
def validate(
    folder: Annotated[Path, typer.Argument(help="A task repo.")],
    limit: int | None = typer.Option(None, "--limit", min=1, help="At most this many."),
    pattern: str = typer.Option("*", "--filter", help="Only ids matching this pattern."),
    runs: int = typer.Option(1, "--runs", min=1, help="Times to run each of the two evaluations."),
    max_workers: int = typer.Option(2, "--max-workers", min=1, help="Tasks at once."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    docker_host: str | None = typer.Option(None, "--docker-host", help="Address of the Docker API."),
) -> None:
    """Evaluate each task in its image, without and with its reference patch. Exit 1 when a task is not valid."""
    from fnmatch import fnmatchcase

    from .engine import Engine
    from .factory.validate import validate_tasks
    from .sources import read_task_repo

    tasks = [task for task in read_task_repo(folder) if fnmatchcase(task.instance_id, pattern)][:limit]
    with console.progress("tasks", len(tasks)) as tick:
        found = validate_tasks(
            Engine(docker_host), folder, tasks, runs=runs, max_workers=max_workers, done=lambda: tick(1)
        )
    rows = [(task.instance_id, found[task.instance_id]) for task in tasks]
    if as_json:
        console.emit_json([{"instance_id": name, "valid": why is None, "reason": why} for name, why in rows])
    else:
        bad = [(name, why) for name, why in rows if why is not None]
        console.table(f"{len(rows) - len(bad)} of {len(rows)} tasks are valid", ("instance_id", "what is wrong"), bad)
    if any(why is not None for _, why in rows):
        raise typer.Exit(1)
