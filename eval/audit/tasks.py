"""First link: is the task real?"""

from collections import Counter
from collections.abc import Mapping

from ...envs.task import Task
from ...rollouts.manifest import task_digest
from ...rollouts.run_model import RunManifest
from .link import AuditLink, State, Table

__all__ = ["tasks_link"]

_COLUMNS = ("task", "kind", "origin", "sha256", "licence", "made by", "validation runs", "same as recorded")


def tasks_link(manifest: RunManifest, tasks: Mapping[str, Task] | str, source: str | None) -> AuditLink:
    """Origin, licence, checksum and validation of every task of the run; `source` as in `audit`."""
    question, source = "Is the task real?", source or str((manifest.config or {}).get("tasks", "TASKS"))
    commands = (f"trajhub tasks show {source} ID", f"trajhub tasks validate {source} --limit 10")
    if isinstance(tasks, str):
        said = (f"The run names {len(manifest.tasks)} tasks, but {tasks}.",)
        return AuditLink(name="tasks", question=question, state=State.MISSING, said=said, commands=commands)
    rows, changed, bare = list[tuple[object, ...]](), list[str](), list[str]()
    for name, digest in sorted(manifest.tasks.items()):
        task = tasks.get(name)
        if task is None:
            bare.append(name)
            continue
        same = task_digest(task) == digest
        if not same:
            changed.append(name)
        if not (task.provenance.origin and task.provenance.sha256 and task.provenance.licence):
            bare.append(name)
        rows.append(_row(task, same))
    return AuditLink(
        name="tasks",
        question=question,
        state=State.CONTRADICTED if changed else State.PARTLY if bare or not rows else State.SHOWN,
        said=tuple(_sentences(tasks, manifest, changed, bare)),
        tables=(Table.of("Tasks", _COLUMNS, rows),),
        commands=commands,
    )


def _row(task: Task, same: bool) -> tuple[object, ...]:
    made = task.provenance
    runs = (made.model_extra or {}).get("validation_runs")
    checksum = made.sha256[:16] if made.sha256 else None
    origin = made.source, made.origin, checksum, made.licence, made.method
    return (task.instance_id, *origin, runs, "yes" if same else "NO")


def _sentences(tasks: Mapping[str, Task], manifest: RunManifest, changed: list[str], bare: list[str]) -> list[str]:
    used = [tasks[name] for name in manifest.tasks if name in tasks]
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(task.provenance.source for task in used).items())
    licences = ", ".join(sorted({task.provenance.licence or "not stated" for task in used}))
    said = [f"{len(used)} of {len(manifest.tasks)} tasks are at hand ({kinds or 'none'}). Licences: {licences or '-'}."]
    validated = [task for task in used if (task.provenance.model_extra or {}).get("validation_runs")]
    if validated:
        said.append(
            f"{len(validated)} were validated: with the reference patch the deciding tests pass, without it they fail, "
            "in runs that agree; tests that did not agree are left out by name."
        )
    if changed:
        said.append(f"Not the task that was recorded: {', '.join(changed[:5])}.")
    if bare:
        said.append(f"Without origin, checksum or licence: {', '.join(sorted(set(bare))[:5])}.")
    return said
