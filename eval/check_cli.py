"""`trajhub check`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..errors import UsageError

if TYPE_CHECKING:
    from .checks.finding import CheckReport

__all__ = ["check"]


def check(
    subject: Annotated[Path, typer.Argument(help="Folder of a run, or of an exported dataset.")],
    tasks: Annotated[
        str | None, typer.Option("--tasks", help="Task source for applying the rules again; default: the run's own.")
    ] = None,
    seal: Annotated[
        str | None, typer.Option("--seal", help="Seal published for this run; any other is an error.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings, too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Findings to show for each check.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Examine a run or a dataset without executing anything; exit code 1 when something is wrong."""
    from .checks.finding import Severity

    report = _examine(subject, tasks, seal)
    failed = not report.ok or (strict and report.count(Severity.WARNING) > 0)
    if as_json:
        console.emit_json(report.model_dump(mode="json") | {"ok": not failed})
    else:
        _show(report, limit)
        following = (*_replays(subject), f"trajhub audit {subject}")
        console.next_steps(subject, *(following if report.seal else (f"trajhub audit RUN --pairs {subject}",)))
    if failed:
        raise typer.Exit(1)


def _replays(run: Path) -> tuple[str, ...]:
    """How to replay a run; nothing where a command-line agent acted by tools of its own."""
    from ..rollouts.run_dir import MANIFEST, read_manifest

    config: dict[str, Any] = (read_manifest(run).get("config") or {}) if (run / MANIFEST).exists() else {}
    told = "" if config.get("tasks") else " --tasks TASKS"  # recorded from Python, where only tasks are given
    return () if config.get("agent") else (f"trajhub replay {run}{told}",)


def _examine(subject: Path, tasks: str | None, seal: str | None) -> "CheckReport":
    from ..envs.sources import load_tasks
    from ..rollouts.run_dir import MANIFEST
    from ..rollouts.trajectory import episode_folders
    from .checks.run import check_run, tasks_of_run

    if not subject.exists():
        raise UsageError(f"there is no {subject}")
    if not (subject / MANIFEST).exists():
        from .checks.dataset import check_dataset

        return check_dataset(subject)
    known = {task.instance_id: task for task in load_tasks(tasks)} if tasks else tasks_of_run(subject)
    with console.progress("Checking", len(episode_folders(subject))) as tick:
        return check_run(subject, known, seal=seal, each=tick)


def _show(report: "CheckReport", limit: int) -> None:
    from .checks.finding import Severity

    rows = [(name, count or "ok") for name, count in report.checks.items()]
    console.table(f"{report.subject}: {report.items} items", ("check", "findings"), rows)
    for severity in Severity:
        for name in report.checks:
            found = [one for one in report.findings if one.check == name and one.severity is severity]
            said: dict[str, list[str]] = {}
            for one in found:
                said.setdefault(one.message, []).append(one.where)
            for message, places in list(said.items())[:limit]:
                more = f" and {len(places) - 1} more" if len(places) > 1 else ""
                print(f"{severity} {name}: {console.safe(places[0])}{more}: {console.safe(message)}")
            if len(said) > limit:
                print(f"{severity} {name}: and {len(said) - limit} others (--limit, --json)")
    if report.seal is not None:
        print(f"seal {report.seal}")
    counts = ", ".join(f"{report.count(severity)} {severity}s" for severity in Severity)
    print(f"{'OK' if report.ok else 'NOT OK'}: {counts}")
