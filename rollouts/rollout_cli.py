"""`trajhub rollout`: policies over tasks and seeds."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..errors import TrajHubError
from .interrupt_cli import interruptible

if TYPE_CHECKING:
    from ..envs.task import Task
    from .config import RolloutConfig
    from .policies.base import Policy
    from .summary import Row, Summary

__all__ = ["cost_plan", "do_run", "episode_table", "finish", "rollout"]

Tasks = Annotated[str | None, typer.Option("--tasks", help="Task repo, dataset name, or file of tasks.")]
PolicyName = Annotated[
    str | None,
    typer.Option(
        "--policy", help="reference | random | scripted:FILE.yaml | chat:MODEL@URL | vllm:MODEL@URL | module:factory"
    ),
]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the run; one that exists is resumed.")]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="Episodes per task.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="The first seed.")]
Workers = Annotated[int | None, typer.Option("--max-workers", min=1, help="Episodes at once.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N tasks.")]
Filter = Annotated[str | None, typer.Option("--filter", help="Only tasks whose id matches this glob.")]
Grade = Annotated[bool | None, typer.Option("--grade/--no-grade", help="Judge each final patch.")]
Config = Annotated[
    list[str] | None, typer.Option("-c", "--config", help="FILE.yaml or key=value; repeatable, later ones win.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and the cost ceiling.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Host = Annotated[
    list[str] | None,
    typer.Option("--docker-host", help="Address of the Docker API; repeatable: episodes are spread over the engines."),
]
Where = Annotated[str | None, typer.Option("--engine", help="local | ray: threads here, or nodes of a Ray cluster.")]


def rollout(
    tasks: Tasks = None,
    policy: PolicyName = None,
    out: Out = None,
    seeds: Seeds = None,
    seed: Seed = None,
    max_workers: Workers = None,
    limit: Limit = None,
    task_filter: Filter = None,
    grade: Grade = None,
    config: Config = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    docker_host: Host = None,
    engine: Where = None,
) -> None:
    """Run a policy on tasks and record every step. Run it again to resume."""
    options = {
        "tasks": tasks,
        "policy": policy,
        "seeds": seeds,
        "seed": seed,
        "workers": max_workers,
        "limit": limit,
        "filter": task_filter,
        "grade": grade,
        "engine": engine,
    }
    settled, chosen, actor = _settle(config or [], {k: v for k, v in options.items() if v is not None})
    try:
        if dry_run:
            console.emit_json(cost_plan(settled, chosen, actor))
            return
        run = out or _fresh_folder(actor.name)
        interrupted = do_run(run, settled, chosen, actor, docker_host, quiet=as_json)
    finally:
        actor.close()
    finish(run, as_json, interrupted)


def _settle(items: list[str], options: dict[str, Any]) -> "tuple[RolloutConfig, list[Task], Policy]":
    from ..envs.default_tasks import default_tasks
    from ..envs.sources import load_tasks
    from .config import check_budget, choose, load_config, read_overrides, resolve
    from .policies.choose import make_policy

    values = read_overrides(items) | options
    if "tasks" not in values:
        values["tasks"] = str(default_tasks())
    settled = resolve(load_config(values))
    chosen = choose(settled, load_tasks(settled.tasks))
    actor = make_policy(settled.policy, settled.chat, settled.vllm)
    check_budget(settled, actor.model)
    return settled, chosen, actor


def _fresh_folder(name: str) -> Path:
    from time import strftime

    return Path("runs") / f"{name}-{strftime('%Y%m%d-%H%M%S')}"


def do_run(
    run: Path,
    config: "RolloutConfig",
    tasks: "list[Task]",
    policy: "Policy",
    hosts: list[str] | None,
    *,
    quiet: bool,
    command: str = "trajhub rollout",
) -> str | None:
    """Do the run; why it stopped early, if it did."""
    from .live_cli import watching
    from .start import opened

    with opened(run, config, policy, tasks, hosts) as runner:
        if runner.kept and not quiet:
            print(f"Resuming {run}: {runner.kept} episodes done, {runner.total} to do", file=sys.stderr)
        try:
            with interruptible("ending the episodes under way"), watching(runner, quiet=quiet):
                runner.run()
        except KeyboardInterrupt:
            return "interrupted"
        except TrajHubError:
            console.next_steps(run, f"{command} ... -o {run}   (once the cause is mended, to resume)")
            raise
        return runner.stopped


def cost_plan(config: "RolloutConfig", tasks: "list[Task]", policy: "Policy") -> dict[str, Any]:
    """What a run would do and may cost, as JSON."""
    from .budget import cost_ceiling

    episodes = len(tasks) * config.seeds
    price = config.prices.price(policy.model)
    ceiling = 0.0 if policy.model is None else cost_ceiling(config.budget, price, episodes)
    return {
        "config": config.model_dump(mode="json", exclude={"prices"}),
        "policy": {"name": policy.name, "version": policy.version, "model": policy.model},
        "tasks": [task.instance_id for task in tasks],
        "episodes": episodes,
        "price_usd_per_million_tokens": price.model_dump() if price else None,
        "cost_ceiling_usd": ceiling,
        "note": _ceiling_note(policy, ceiling),
    }


def _ceiling_note(policy: "Policy", ceiling: float | None) -> str:
    if policy.model is None:
        return "this policy asks no model"
    if ceiling is None:
        return "nothing bounds the cost: set budget.cost_usd, budget.run_cost_usd or budget.tokens"
    return "requests under way when a limit is reached are still paid for"


def finish(run: Path, as_json: bool, interrupted: str | None = None) -> None:
    """Show what came of a run, and exit with 130 after Ctrl-C, with 3 when no episode says anything."""
    from .summary import summarise

    summary = summarise(run)
    if as_json:
        console.emit_json({"run": str(run), **summary.as_dict()})
    else:
        episode_table(f"Run {summary.run_id}", summary.rows)
        for sentence in summary.sentences:
            print(sentence)
    console.next_steps(run, f"trajhub runs show {run}", *_first_episode(run, summary))
    if interrupted:
        print(f"trajhub: {interrupted}; the same command with -o {run} resumes", file=sys.stderr)
        raise typer.Exit(130 if interrupted == "interrupted" else 0)
    if summary.rows and not summary.counted and not {"interrupted", "unfinished"} & set(summary.excluded):
        raise typer.Exit(3)


def _first_episode(run: Path, summary: "Summary") -> list[str]:
    return [f"trajhub runs show {run} --episode {row.episode_id}" for row in summary.rows[:1]]


def episode_table(title: str, rows: "Sequence[Row]", *, full: bool = False) -> None:
    """Print episodes, without the columns that say nothing; `full` adds their ids and process scores."""
    columns = {name: [show(row) for row in rows] for name, show in _COLUMNS.items() if full or name not in _FULL_ONLY}
    kept = {name: cells for name, cells in columns.items() if name == "task" or any(cell is not None for cell in cells)}
    if len({row.seed for row in rows}) < 2:
        kept.pop("seed", None)
    console.table(title, list(kept), list(zip(*kept.values(), strict=True)))


def _figure(digits: int, value: float | None) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


_COLUMNS: "dict[str, Callable[[Row], object]]" = {
    "task": lambda row: row.task,
    "seed": lambda row: row.seed,
    "steps": lambda row: row.steps,
    "reward": lambda row: _figure(3, row.reward),
    "process": lambda row: _figure(3, row.process),
    "outcome": lambda row: row.outcome,
    "failure": lambda row: row.failure,
    "wall s": lambda row: _figure(1, row.wall_s),
    "CPU s": lambda row: _figure(2, row.cpu_s),
    "peak MiB": lambda row: _figure(0, row.peak_mib),
    "USD": lambda row: _figure(4, row.cost_usd),
    "episode": lambda row: row.episode_id,
}
_FULL_ONLY = ("process", "episode")
