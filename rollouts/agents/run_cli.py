"""`trajhub run`: command-line agents as black boxes in tasks' sandboxes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ... import console
from ...errors import ConfigError
from ..rollout_cli import cost_plan, do_run, finish

if TYPE_CHECKING:
    from ...envs.task import Task
    from ..config import RolloutConfig
    from .policy import AgentPolicy

__all__ = ["run"]


def run(
    agent: Annotated[str | None, typer.Argument(help="Name of a recipe (see --list), or a recipe FILE.yaml.")] = None,
    tasks: Annotated[str | None, typer.Option("--tasks", help="Task repo, dataset name, or file of tasks.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the run; one there is resumed.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="MODEL@URL, or MODEL at the public service of the agent's API.")
    ] = None,
    command: Annotated[
        str | None, typer.Option("--command", help="Shell command to run in the repository, instead of the recipe's.")
    ] = None,
    file: Annotated[
        list[str] | None, typer.Option("--file", help="PATH=LOCAL: give the agent a file, such as CLAUDE.md=mine.md.")
    ] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Episodes for each task.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="The first seed.")] = None,
    max_workers: Annotated[int | None, typer.Option("--max-workers", min=1, help="Episodes at once.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many tasks.")] = None,
    task_filter: Annotated[str | None, typer.Option("--filter", help="Only tasks whose id matches this glob.")] = None,
    grade: Annotated[bool | None, typer.Option("--grade/--no-grade", help="Judge each final patch.")] = None,
    config: Annotated[
        list[str] | None, typer.Option("-c", "--config", help="FILE.yaml or key=value; repeatable, later ones win.")
    ] = None,
    list_agents: Annotated[bool, typer.Option("--list", help="List the recipes there are.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done and may be spent.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    docker_host: Annotated[str | None, typer.Option("--docker-host", help="Address of the Docker API.")] = None,
) -> None:
    """Run a command-line agent inside tasks' sandboxes, and record everything. The same command resumes a run."""
    if list_agents:
        _list(as_json)
        return
    if agent is None:
        raise ConfigError("which agent? `trajhub run --list` names them; a recipe of your own is given as FILE.yaml")
    options = _given(
        tasks=tasks, seeds=seeds, seed=seed, workers=max_workers, limit=limit, filter=task_filter, grade=grade
    )
    extra = _given(command=command, files=_files(file) if file else None)
    settled, chosen = _settle(agent, config or [], options, extra, model)
    if dry_run:
        _plan(settled, chosen, docker_host)
        return
    policy = _prepare(settled, chosen, docker_host)
    folder = out or _fresh(policy.name)
    interrupted = do_run(
        folder,
        settled,
        chosen,
        policy,
        [docker_host] if docker_host else None,
        quiet=as_json,
        command=f"trajhub run {agent}",
    )
    finish(folder, as_json, interrupted)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _settle(
    agent: str, items: list[str], options: dict[str, Any], recipe: dict[str, Any], model: str | None
) -> "tuple[RolloutConfig, list[Task]]":
    from ...envs.default_tasks import default_tasks
    from ...envs.sources import load_tasks
    from ..config import check_budget, choose, load_config, read_overrides, resolve
    from .recipe import load_recipe

    values = read_overrides(items) | options
    known: dict[str, Any] = values.get("agent") or {}
    changes: dict[str, Any] = {**(known.get("recipe") or {}), **recipe}
    resolved = load_recipe(agent, changes).model_dump(mode="json")
    values["agent"] = {**known, **_address(model), "recipe": resolved}
    values["policy"] = f"agent:{resolved['name']}"
    values.setdefault("tasks", None)
    if values["tasks"] is None:
        values["tasks"] = str(default_tasks())
    settled = resolve(load_config(values))
    chosen = choose(settled, load_tasks(settled.tasks))
    check_budget(settled, settled.agent.model if settled.agent is not None else None)
    return settled, chosen


def _address(model: str | None) -> dict[str, str]:
    from ...rewards.service.config import split_address

    if model is None:
        return {}
    if "@http" not in model:
        return {"model": model}
    name, url = split_address(model)
    return {"model": name, "base_url": url}


def _files(items: list[str]) -> dict[str, str]:
    found = dict[str, str]()
    for item in items:
        path, equals, local = item.partition("=")
        try:
            found[path] = Path(local if equals else path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--file {item}: cannot read {local or path} as text: {error}") from None
    return found


def _prepare(config: "RolloutConfig", tasks: "list[Task]", host: str | None) -> "AgentPolicy":
    from ...envs.engine import Engine
    from .start import agent_of, check_agent, prepare_agent

    check_agent(config)
    engine = Engine(host)
    try:
        with console.progress(f"Installing {agent_of(config).recipe.title}", None) as tick:
            return prepare_agent(config, tasks, engine, lambda note: tick(0, note=note))
    finally:
        engine.close()


def _plan(config: "RolloutConfig", tasks: "list[Task]", host: str | None) -> None:
    from ...envs.engine import Engine
    from .start import agent_of, missing_house, unprepared_agent

    agent = agent_of(config)
    engine = Engine(host)
    try:
        missing = missing_house(engine, agent)
    finally:
        engine.close()
    told = cost_plan(config, tasks, unprepared_agent(config))
    console.emit_json({**told, "to_install": missing, "model_at": agent.url if agent.model else None})


def _fresh(name: str) -> Path:
    from time import strftime

    return Path("runs") / f"{name}-{strftime('%Y%m%d-%H%M%S')}"


def _list(as_json: bool) -> None:
    from .recipe import known_recipes, load_recipe

    found = [load_recipe(name) for name in known_recipes()]
    if as_json:
        console.emit_json([recipe.model_dump(mode="json") for recipe in found])
        return
    rows = [(one.name, one.title, one.version or "-", one.api, one.transcripts[0].adapter if one.transcripts else None)
            for one in found]  # fmt: skip
    console.table("Agents", ("name", "agent", "version", "API", "transcript read by"), rows)
    console.next_steps(Path(__file__).parents[2] / "configs" / "agents", "trajhub run NAME --tasks ... --dry-run")
