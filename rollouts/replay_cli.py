"""`trajhub replay`: did it really happen like that?"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console

if TYPE_CHECKING:
    from ..envs.engine import Engine
    from .replay.report import EpisodeReplay
    from .replay.run import RunReplay
    from .replay.summary import ReplaySummary

__all__ = ["replay"]

_WIDTH = 160
_TESTS = 20
_CHANCE = {True: "otherwise: chance", False: "the same", None: "-"}


def replay(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    episode: Annotated[str | None, typer.Option("--episode", help="Episode id, or the beginning of one.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N episodes.")] = None,
    task_filter: Annotated[str | None, typer.Option("--filter", help="Only tasks whose id matches this glob.")] = None,
    max_workers: Annotated[int, typer.Option("--max-workers", min=1, help="Episodes at once.")] = 2,
    tasks: Annotated[str | None, typer.Option("--tasks", help="Task source; default: the run's own.")] = None,
    grade: Annotated[bool, typer.Option("--grade/--no-grade", help="Judge the patches again.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Accept tasks or images other than those recorded.")] = False,
    repeats: Annotated[
        int, typer.Option("--repeats", min=0, help="Times to replay again what diverged, to tell chance apart.")
    ] = 2,
    again: Annotated[bool, typer.Option("--again", help="Also replay episodes that were replayed before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be replayed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    docker_host: Annotated[str | None, typer.Option("--docker-host", help="Address of the Docker API.")] = None,
) -> None:
    """Repeat every recorded action in fresh sandboxes and compare step by step. Run it again to resume."""
    from ..envs.engine import Engine
    from .replay.run import RunReplay, choose_episodes, tasks_of, unlike_recorded
    from .replay.summary import summarise_replays
    from .run_dir import read_manifest

    read_manifest(run)
    folders = choose_episodes(run, episode, task_filter, limit)
    known = tasks_of(run, folders, tasks)
    engine = Engine(docker_host, run_id=f"replay-{run.resolve().name}")
    try:
        unlike = unlike_recorded(run, known.values(), engine, force=force)
        work = RunReplay(run, engine, folders, known, forced=unlike, grade=grade, again=again, repeats=repeats)
        if dry_run:
            _show_plan(work, as_json)
            return
        _do(work, engine, run, max_workers)
    finally:
        engine.close()
    summary = summarise_replays(work.rows)
    _show(run, summary, work.rows, as_json, full=episode is not None)
    if summary.diverged:
        raise typer.Exit(1)
    if summary.not_replayed:
        raise typer.Exit(3)


def _do(work: "RunReplay", engine: "Engine", run: Path, workers: int) -> None:
    from ..envs.grading import abandon

    if work.empty:
        print(f"nothing happened in {len(work.empty)} episodes: {', '.join(work.empty[:5])}", file=sys.stderr)
    if work.kept:
        print(f"{work.kept} episodes were replayed before; {len(work.jobs)} to do", file=sys.stderr)
    with console.progress("replaying", len(work.jobs)) as tick:
        try:
            work.run(workers, lambda row: tick(note=f"{row.episode_id}: {row.match or row.problem}"))
        except KeyboardInterrupt:
            abandon(engine)
            print("trajhub: interrupted; what was replayed is kept, the same command goes on", file=sys.stderr)
            # Workers may be waiting for commands that no longer run anywhere.
            os._exit(130)


def _show_plan(work: "RunReplay", as_json: bool) -> None:
    names = [job.folder.name for job in work.jobs]
    if as_json:
        console.emit_json({"to_replay": names, "kept": work.kept})
        return
    console.table(
        "Would be replayed", ("episode", "task"), [(job.folder.name, job.task.instance_id) for job in work.jobs]
    )
    print(f"{len(names)} to replay, {work.kept} replayed before")


def _show(run: Path, summary: "ReplaySummary", rows: "list[EpisodeReplay]", as_json: bool, *, full: bool) -> None:
    from .replay.store import REPLAYS

    if as_json:
        console.emit_json({"run": str(run), **summary.model_dump(mode="json")})
    else:
        show_summary(f"Replay of {run}", summary)
        for row in rows if full else ():
            _show_steps(row)
    hint = [f"trajhub replay {run} --episode {item.episode_id}" for item in summary.diverged[:1] if not full]
    console.next_steps(run / REPLAYS, *hint)


def show_summary(title: str, summary: "ReplaySummary") -> None:
    """Print shares, normalisers, and what diverged."""
    columns = ("what", "identical", "equivalent", "diverged", "of")
    shown = [[item.what, *(_with_share(item, match) for match in columns[1:4]), item.total] for item in summary.shares]
    wrong, checked = summary.rewards_diverged, summary.rewards_checked
    shown.append(["rewards", _count(checked - wrong, checked), "-", _count(wrong, checked), checked])
    console.table(title, columns, shown)
    if summary.normalisers:
        console.table("Equivalent after", ("normaliser", "steps"), list(summary.normalisers.items()))
    if summary.diverged:
        rows = [(item.episode_id, item.place, item.hint, _CHANCE[item.chance]) for item in summary.diverged]
        console.table("Diverged first at", ("episode", "where", "looks like", "again"), rows)
        classes = [(item.where, item.field, item.hint, item.episodes, item.chance) for item in summary.classes]
        console.table("By class", ("where", "field", "looks like", "episodes", "by chance"), classes)
        tests = [name for item in summary.classes for name in item.tests]
        if tests:
            console.table("Tests that ended differently", ("test",), [(name,) for name in tests[:_TESTS]])
    if summary.not_replayed:
        console.table("Not replayed", ("episode", "why"), list(summary.not_replayed.items()))
    for note in summary.notes:
        print(console.safe(note))


def _with_share(item: Any, match: str) -> str:
    return _count(getattr(item, match), item.total)


def _count(part: int, total: int) -> str:
    return f"{part} ({part / total:.1%})" if total else "0"


def _show_steps(row: "EpisodeReplay") -> None:
    print(f"\nEpisode {console.safe(row.episode_id)}: {row.match or console.safe(row.problem)}")
    parts = [(f"[{step.step}] {step.tool}", step) for step in row.steps]
    named = (("start", row.start), ("patch", row.patch), ("verdict", row.verdict), ("end", row.end))
    found: list[tuple[str, Any]] = [*parts, *((name, part) for name, part in named if part is not None)]
    for name, part in found:
        hint = f" ({part.hint})" if getattr(part, "hint", None) else ""
        print(f"{part.match:>10}  {console.safe(name)}{hint}")
        for item in part.differences:
            after = f" after {', '.join(item.normalisers)}" if item.normalisers else ""
            print(f"            {console.safe(item.field)}: {item.match}{after}")
            for line in item.diff.split("\n") if item.diff else ():
                print(f"              {console.safe(line)[:_WIDTH]}")
