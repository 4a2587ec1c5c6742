"""`trajhub size`: how large a cluster has to be."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ... import console

if TYPE_CHECKING:
    from .sizing import Demand, Sizes

__all__ = ["size"]


def size(
    tasks: int = typer.Option(500, "--tasks", min=1, help="Tasks, each with an image of its own."),
    seeds: int = typer.Option(8, "--seeds", min=1, help="Episodes per task."),
    episodes: int | None = typer.Option(None, "--episodes", min=1, help="Total episodes, instead of --seeds."),
    hours: float = typer.Option(24.0, "--hours", min=0.01, help="Hours available."),
    run: Annotated[
        Path | None, typer.Option("--run", help="A run whose episodes are typical of those to come.")
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option("-c", "--config", help="FILE.yaml or key=value over configs/scaling.yaml; repeatable."),
    ] = None,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Estimate the containers, cores, GPUs, disk and registry traffic that episodes need, from measured constants."""
    from ..config import read_overrides
    from .sizing import Demand, episode_of, load_sizing
    from .sizing import size as compute

    values = read_overrides(config or [])
    if run is not None:
        values["episode"] = {**episode_of(run), **values.get("episode", {})}
    settled = load_sizing(values)
    demand = Demand(tasks=tasks, episodes=episodes or tasks * seeds, hours=hours)
    sizes = compute(demand, settled)
    if as_json:
        console.emit_json({**sizes.as_dict(), "episodes": demand.episodes, "config": settled.model_dump()})
    else:
        _show(demand, sizes)


def _show(demand: "Demand", sizes: "Sizes") -> None:
    from .sizing import ROWS

    title = f"{demand.episodes} episodes of {demand.tasks} tasks in {demand.hours:g} hours"
    console.table(title, ("what", "how much"), [(label, show(sizes)) for label, show in ROWS.items()])
    print("constants: configs/scaling.yaml; an episode of your own agent's: --run RUN")
