"""`trajhub trace score`: the rules score recorded runs, whoever acted and whoever recorded them."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..errors import UsageError
from .interrupt_cli import interruptible

if TYPE_CHECKING:
    from ..rewards.config import RubricConfig
    from .rule_scoring import RuleRun
    from .rule_summary import RuleSummary

__all__ = ["score"]

Runs = Annotated[list[Path], typer.Argument(help="Folders of runs, recorded here or ingested.", metavar="RUN...")]


def score(
    runs: Runs,
    rubric: Annotated[
        str | None, typer.Option("--rubric", help="File like configs/rubric.yaml: weights of criteria and rules.")
    ] = None,
    tasks: Annotated[
        str | None, typer.Option("--tasks", help="Task source, whose reference patches the rules may then use.")
    ] = None,
    task_filter: Annotated[str | None, typer.Option("--filter", help="Only tasks whose id matches this glob.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N episodes.")] = None,
    max_workers: Annotated[
        int | None, typer.Option("--max-workers", min=1, help="Processes at once; default: one per core.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also rescore episodes whose scores are current.")] = False,
    show: Annotated[
        str | None, typer.Option("--show", help="EPISODE or EPISODE:STEP: score nothing, print scores with evidence.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score the steps of recorded runs by the rules, those of other agents included; logs stay as they are.

    Each score names its rules and quotes what they saw; a rule that a record does not let apply gives none. What was
    scored before, by the same rules from the same log, is kept.
    """
    from .rule_scoring import RuleRun, select

    if show is not None:
        _show(runs, show, as_json)
        return
    patches, config = _patches(tasks), _rubric(rubric, privileged=tasks is not None)
    told, stopped = list[dict[str, Any]](), False
    for run in runs:
        folders = select(run, task_filter, limit)
        if not folders:
            raise UsageError(f"no episode of {run} matches; its tasks are listed by `trajhub runs show {run}`")
        work = RuleRun(run, config, patches, force=force)
        stopped = _work(work, run, folders, max_workers)
        told.append({"run": str(run), "layer": work.layer, "file": str(work.path), **work.summary.as_dict()})
        if not as_json:
            _table(run, work.summary)
        if stopped:
            break
    if as_json:
        console.emit_json(told)
    if stopped:
        print("trajhub: interrupted; the same command goes on where it stopped", file=sys.stderr)
        raise typer.Exit(130)
    named = " ".join(map(str, runs))
    console.next_steps(told[-1]["file"], f"trajhub trace report {named} -o report", f"trajhub check {runs[-1]}")


def _work(work: "RuleRun", run: Path, folders: list[Path], max_workers: int | None) -> bool:
    """Score; whether it was interrupted."""
    waiting = interruptible("waiting for the episodes under way", work.interrupt)
    with waiting, console.progress(f"Scoring {run}", len(folders)) as tick:
        work.score(folders, lambda summary: tick(note=f"{summary.steps} steps"), max_workers)
    return work.interrupted


def _patches(tasks: str | None) -> Mapping[str, str]:
    if tasks is None:
        return {}
    from ..envs.sources import load_tasks

    return {task.instance_id: task.patch for task in load_tasks(tasks) if task.patch}


def _rubric(path: str | None, *, privileged: bool) -> "RubricConfig":
    from ..rewards.config import load_config

    config = load_config(path)
    return config if privileged else config.model_copy(update={"privileged": False})


def _table(run: Path, summary: "RuleSummary") -> None:
    told = summary.as_dict()
    rows = [(name, f"{one['mean']:.3f}", one["scored"]) for name, one in told["criteria"].items()]
    console.table(f"{console.safe(run)}", ("criterion", "mean score", "steps scored"), rows)
    print(
        f"Episodes: {summary.episodes}, {summary.kept} of them scored before; {summary.scored} of {summary.steps} steps"
    )
    if told["mean_reward"] is not None:
        whole = "not known" if told["mean_process"] is None else f"{told['mean_process']:.3f}"
        print(f"Reward:   {told['mean_reward']:.3f} a step on average; process score {whole} an episode")
    for reason, count in summary.unscored.most_common():
        print(f"Not scored: {count} episodes ({reason})")
    for reason, count in summary.no_process.most_common():
        print(f"No process score: {count} episodes ({reason})")
    for problem in summary.problems:
        print(f"Not read: {console.safe(problem)}", file=sys.stderr)


def _show(runs: list[Path], place: str, as_json: bool) -> None:
    from ..rewards.recorded import recorded_layer
    from .score_log import read_scores

    name, _, step = place.rpartition(":") if place.rpartition(":")[2].isdigit() else (place, "", "")
    found = [
        row
        for run in runs
        for row in read_scores(run, recorded_layer())
        if row.episode_id.startswith(name) and (not step or row.step == int(step))
    ]
    if not found:
        raise UsageError(f"no scored step is called {place!r}: name an episode, or how it begins, and :STEP")
    if as_json:
        console.emit_json([row.model_dump(mode="json", exclude_defaults=True) for row in found])
        return
    for row in found:
        reward = "no score" if row.reward is None else f"{row.reward:.3f}"
        print(f"== {console.safe(row.episode_id)} step {row.step}: {reward}{console.safe(_why(row.record))}")
        for criterion, given in row.criteria.items():
            aside = f", set aside by {given.set_aside_by}" if given.set_aside_by else ""
            print(f"{criterion}: {'none' if given.score is None else f'{given.score:.3f}'}{console.safe(aside)}")
            for rule in given.rules:
                print(
                    f"    {rule.score:.2f} x {rule.weight:g} {console.safe(rule.rule)}: {console.safe(rule.evidence)}"
                )


def _why(record: Mapping[str, Any]) -> str:
    told = record.get("unscored") or record.get("no_process")
    return f" ({told})" if told else ""
