"""All checks of a recorded run, one episode in memory at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...envs.task import Task
from ...errors import TaskError
from ...rewards.config import load_config
from ...rewards.rubric import Rubric
from ...rollouts.chain import seal_of
from ...rollouts.manifest import task_digest
from ...rollouts.rule_log import episode_scores
from ...rollouts.rule_scores import plain_scoring
from ...rollouts.run_dir import MANIFEST, read_manifest
from ...rollouts.run_model import RunManifest
from ...rollouts.trajectory import Trajectory, episode_folders
from . import log_checks, measure_checks, patch_checks, reward_checks
from .content import Statistics, duplicates, secrets
from .finding import CheckReport, Finding, tally
from .record import Record, read_record

__all__ = ["RUN_CHECKS", "check_run", "tasks_of_run"]

RUN_CHECKS: Mapping[str, str] = {
    "manifest": "run.json is what its model says",
    "schema": "every line of a log is an event",
    "chain": "no line was changed, removed or added since it was written",
    "sequence": "numbers and times only go up",
    "identity": "every event belongs to its episode and run",
    "answers": "every call and request has its answer",
    "completeness": "every episode begins, ends, and counts right",
    "phases": "phases begin where the steps say",
    "patch": "the final patch is the one on disk",
    "verdict": "the verdict is about the final patch",
    "edits": "the patch is the diff of the recorded edits",
    "arithmetic": "rewards follow from the recorded rules",
    "recomputed": "the rules say again what is recorded",
    "rescored": "the scores beside the logs are what the rules say",
    "tokens": "counts of tokens are possible and add up",
    "times": "nothing is answered before it was asked",
    "duplicates": "no two episodes are the same",
    "secrets": "nothing recorded is a credential",
}
"""Every check of a run, and what holds when it finds nothing."""


def check_run(
    run: Path,
    tasks: Mapping[str, Task] | str,
    *,
    seal: str | None = None,
    each: Callable[[], None] = lambda: None,
) -> CheckReport:
    """Examine a run. `tasks` are needed to apply the rules again; a string says why there are none.

    `seal` is the figure that was published for this run. `each` is called after every episode. Raises UsageError when
    `run` is not a run.
    """
    findings = list[Finding]()
    manifest = _manifest(run, findings)
    statistics, digests, heads = Statistics(), dict[str, list[str]](), list[tuple[str, str | None]]()
    rubric = Rubric(load_config(dict(manifest.rubric) if manifest.rubric else None))
    weights = reward_checks.weights_of(rubric.config) if manifest.rubric else None
    if isinstance(tasks, str):
        findings.append(Finding.note("recomputed", run.name, f"not checked: {tasks}"))
    scores, scoring = episode_scores(run), plain_scoring()
    for folder in episode_folders(run):
        record = read_record(folder)
        findings += _examine(record, manifest, weights)
        findings += measure_checks.rescored(record, scores(folder.name), scoring)
        findings += _recompute(record, manifest, rubric, tasks)
        heads.append((record.name, record.chain.head))
        if record.trajectory is not None:
            statistics.add(record.trajectory)
            if record.trajectory.steps:
                digests.setdefault(_digest(record.trajectory), []).append(record.name)
        each()
    findings += duplicates(digests)
    found = seal_of(heads)
    if seal is not None and seal != found:
        findings.append(Finding.error("chain", run.name, f"the seal is {found}, not {seal}: episodes were exchanged"))
    return CheckReport(
        subject=str(run),
        items=len(heads),
        checks=tally(RUN_CHECKS, findings),
        findings=tuple(findings),
        seal=found,
        statistics=statistics.figures(),
    )


def tasks_of_run(run: Path) -> Mapping[str, Task] | str:
    """The tasks that a run was made of, as far as they are the same; a sentence when there are none."""
    from ...envs.sources import load_tasks

    manifest = read_manifest(run)
    config: dict[str, Any] = manifest.get("config") or {}
    source = str(config.get("tasks") or "")
    if not source:
        return "run.json names no task source"
    try:
        found = load_tasks(source, ids=list(manifest.get("tasks", ())))
    except TaskError as error:
        return f"its tasks cannot be loaded: {error}"
    return {task.instance_id: task for task in found}


def _manifest(run: Path, findings: list[Finding]) -> RunManifest:
    raw = read_manifest(run)
    try:
        return RunManifest.model_validate(raw)
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            where = ".".join(map(str, problem["loc"]))
            findings.append(Finding.error("manifest", MANIFEST, f"{where}: {problem['msg']}"))
        return RunManifest(run_id=str(raw.get("run_id", run.name)), created="")


def _examine(record: Record, manifest: RunManifest, weights: Mapping[str, float] | None) -> Iterator[Finding]:
    makers: Sequence[Callable[[Record], Iterator[Finding]]] = (
        log_checks.schema,
        log_checks.chain,
        log_checks.sequence,
        partial(log_checks.identity, manifest=manifest),
        log_checks.answers,
        log_checks.completeness,
        log_checks.phases,
        patch_checks.patch,
        patch_checks.verdict,
        patch_checks.edits,
        partial(reward_checks.arithmetic, weights=weights),
        measure_checks.tokens,
        measure_checks.times,
        secrets,
    )
    for make in makers:
        yield from make(record)


def _recompute(
    record: Record, manifest: RunManifest, rubric: Rubric, tasks: Mapping[str, Task] | str
) -> Iterator[Finding]:
    if record.trajectory is None or isinstance(tasks, str):
        return
    name = record.trajectory.header.task_id
    task = tasks.get(name)
    if task is None:
        yield Finding.note("recomputed", record.name, f"not checked: task {name} is not among the tasks given")
    elif (said := manifest.tasks.get(name)) is not None and said != task_digest(task):
        yield Finding.note("recomputed", record.name, f"not checked: task {name} is not the one that was recorded")
    else:
        yield from reward_checks.recomputed(record, rubric, task)


def _digest(found: Trajectory) -> str:
    """Equal for episodes of one task in which the same was done and seen; of other agents' records, of any task, since
    the same session is often told under several names.
    """
    digest = sha256(found.header.task_id.encode() if found.start.origin is None else b"")
    for step in found.steps:
        for text in (step.action, step.observation):
            digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
