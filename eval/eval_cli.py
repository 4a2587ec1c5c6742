"""`trajhub eval`."""

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..rollouts.interrupt_cli import interruptible

if TYPE_CHECKING:
    from ..rollouts.runner import Runner
    from .evaluation import EvalConfig, Evaluation, Subject

__all__ = ["evaluate"]

_SUBJECT = "A checkpoint's folder or a model's name, a policy, or predictions (one file a seed, commas between)."
_Texts = list[str]


def evaluate(
    subject: Annotated[str, typer.Argument(help=_SUBJECT)],
    tasks: Annotated[
        str | None, typer.Option("--tasks", help="Task repo, file, or dataset by name; default: verified.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the run; one that exists is resumed.")
    ] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Episodes per task.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="The first seed.")] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Server that is already running, http://HOST:PORT/v1.")
    ] = None,
    max_workers: Annotated[int | None, typer.Option("--max-workers", min=1, help="Episodes at once.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N tasks.")] = None,
    task_filter: Annotated[str | None, typer.Option("--filter", help="Only tasks whose id matches this glob.")] = None,
    missing_unresolved: Annotated[
        bool, typer.Option("--missing-unresolved", help="Count tasks without a prediction as not resolved.")
    ] = False,
    config: Annotated[
        _Texts | None, typer.Option("-c", "--config", help="FILE.yaml or key=value; repeatable, later ones win.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved configuration and the cost ceiling.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    docker_host: Annotated[str | None, typer.Option("--docker-host", help="Address of the Docker API.")] = None,
) -> None:
    """Evaluate a checkpoint, a policy or predictions with the trusted grader. Run it again to resume."""
    from ..rollouts.config import read_overrides
    from .evaluation import load_eval_config, subject_of

    options = {
        "tasks": tasks,
        "seeds": seeds,
        "seed": seed,
        "url": url,
        "workers": max_workers,
        "limit": limit,
        "filter": task_filter,
    }
    given = {name: value for name, value in options.items() if value is not None}
    settled, what = load_eval_config(read_overrides(config or []) | given), subject_of(subject)
    if dry_run:
        _show_plan(what, settled)
        return
    run = out or _fresh_folder(what)
    found, stopped = _run(run, what, settled, docker_host, missing_unresolved, quiet=as_json)
    _finish(run, found, as_json)
    if stopped or not found.finished:
        print(f"trajhub: not everything is done; the same command with -o {run} resumes", file=sys.stderr)
        if found.missing is not None:
            print(console.safe(found.missing, keep_newlines=True), file=sys.stderr)
        raise typer.Exit(130 if stopped else 3)


def _fresh_folder(subject: "Subject") -> Path:
    from time import strftime

    name = Path(subject.files[0]).stem if subject.kind == "predictions" else Path(subject.text.partition("@")[0]).name
    return Path("runs") / f"eval-{name.replace(':', '-')}-{strftime('%Y%m%d-%H%M%S')}"


def _run(
    run: Path, subject: "Subject", config: "EvalConfig", host: str | None, missing: bool, *, quiet: bool
) -> "tuple[Evaluation, bool]":
    """Do it; whether it was interrupted."""
    from .evaluation.evaluate import EVALUATION, Evaluation, chosen_tasks, evaluate, settled_rollout

    rollout = settled_rollout(subject, config)
    tasks, stopping = chosen_tasks(rollout), threading.Event()
    predictions = subject.kind == "predictions"

    @contextmanager
    def watch(runner: "Runner") -> Generator[None]:
        from ..rollouts.live_cli import watching

        if runner.kept and not quiet:
            print(f"Resuming {run}: {runner.kept} episodes done, {runner.total} to do", file=sys.stderr)
        with watching(runner, quiet=quiet):
            yield

    bar = console.progress("Grading", len(tasks) * rollout.seeds) if predictions else nullcontext(lambda: None)
    try:
        with interruptible("ending what is under way", stopping.set if predictions else None), bar as tick:
            found = evaluate(
                run,
                subject,
                config,
                tasks=tasks,
                missing_unresolved=missing,
                host=host,
                watch=watch,
                each=tick,
                stopping=stopping,
            )
    except KeyboardInterrupt:
        return Evaluation.model_validate_json((run / EVALUATION).read_text(encoding="utf-8")), True
    return found, stopping.is_set()


def _show_plan(subject: "Subject", config: "EvalConfig") -> None:
    from ..rollouts.budget import cost_ceiling
    from .evaluation.evaluate import chosen_tasks, settled_rollout

    rollout = settled_rollout(subject, config)
    tasks = chosen_tasks(rollout)
    asked = subject.kind == "model" or subject.text.startswith(("chat:", "vllm:"))
    model = subject.text.partition(":")[2].rpartition("@")[0] or subject.text
    serves = subject.kind == "model" and config.url is None
    price = rollout.prices.price(config.server(subject.text).served_name if serves else model) if asked else None
    episodes = len(tasks) * rollout.seeds
    console.emit_json(
        {
            "subject": {"kind": subject.kind, "text": subject.text, "sha256": subject.sha256},
            "served": config.server(subject.text).model_dump(mode="json") if serves else None,
            "config": rollout.model_dump(mode="json", exclude={"prices"}),
            "tasks": [task.instance_id for task in tasks],
            "images": sorted({task.image for task in tasks if task.image}),
            "episodes": episodes,
            "cost_ceiling_usd": cost_ceiling(rollout.budget, price, episodes) if asked and not serves else 0.0,
            "note": _note(asked, serves),
        }
    )


def _note(asked: bool, serves: bool) -> str:
    if serves:
        return "the model is served here: no request is paid for; images that are missing are pulled"
    if asked:
        return "a ceiling of null: nothing bounds the cost; set budget.cost_usd, budget.run_cost_usd or budget.tokens"
    return "no model is asked; images that are missing are pulled"


def _finish(run: Path, found: "Evaluation", as_json: bool) -> None:
    if as_json:
        console.emit_json({"run": str(run), **found.model_dump(mode="json")})
    elif found.figures is not None:
        _show(found)
    following = [f"trajhub gate BASE {run}", f"trajhub runs show {run}"]
    console.next_steps(run, *(following if found.figures is not None else following[1:]))


def _show(found: "Evaluation") -> None:
    from .gate.show import share

    side: Any = found.figures
    rows = [(f"pass@{rate.k}", share(rate.at), f"pass^{rate.k}", share(rate.all), rate.tasks) for rate in side.passes]
    console.table(f"Evaluation of {found.subject}", ("", "any of k", "", "all of k", "tasks"), rows)
    low, high = share(side.pass_1.low), share(side.pass_1.high)
    print(
        f"resolved {side.resolved} of {side.counted}: pass@1 {share(side.pass_1.value)}, 95% interval {low} to {high}"
    )
    left_out = ", ".join(f"{count} {name}" for name, count in side.excluded.items())
    print(f"not counted: {left_out or 'none'} of {side.episodes}")
    print(f"predictions for the official harness: {', '.join(found.predictions)}")
