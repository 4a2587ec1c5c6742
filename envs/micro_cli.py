"""`trajhub tasks micro`: small repair tasks made on the spot, with their images."""

from pathlib import Path
from typing import Annotated

import typer

from .. import console

__all__ = ["micro"]


def micro(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write; it gets one task repo per split.")],
    train: Annotated[int, typer.Option("--train", min=0, help="Training tasks.")] = 100,
    dev: Annotated[int, typer.Option("--dev", min=0, help="Validation tasks, for choosing settings.")] = 20,
    held_out: Annotated[int, typer.Option("--eval", min=0, help="Held-out tasks.")] = 20,
    modules: Annotated[int, typer.Option("--modules", min=1, help="Tasks that share a repository.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same tasks.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show one task and make none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    docker_host: Annotated[str | None, typer.Option("--docker-host", help="Address of the Docker API.")] = None,
) -> None:
    """Make micro tasks: one-line bugs of twelve kinds in packages of invented words, none shared by two splits."""
    from .micro.build import MicroConfig, build_micro, micro_packages

    config = MicroConfig(train=train, dev=dev, eval=held_out, modules=modules, seed=seed)
    if dry_run:
        _show_one(config.model_dump(), modules, seed, as_json=as_json)
        return
    from .engine import Engine

    engine = Engine(docker_host)
    try:
        with console.progress("images", micro_packages(config)) as tick:
            done = build_micro(output, config, engine, advance=tick)
    finally:
        engine.close()
    counts = {split: getattr(config, split) for split in done}
    if as_json:
        console.emit_json({"folders": {split: str(folder) for split, folder in done.items()}, "tasks": counts})
    else:
        console.table("Micro tasks", ["split", "tasks", "folder"], [(s, counts[s], done[s]) for s in done])
    console.next_steps(output, *(f"trajhub tasks list {folder} --limit 5" for folder in list(done.values())[:1]))


def _show_one(config: dict[str, int], modules: int, seed: int, *, as_json: bool) -> None:
    from .micro.packages import make_packages

    task = next(make_packages("train", modules, modules=modules, seed=seed)).modules[0]
    told = {"config": config, "statement": task.statement, "path": task.path, "source": task.source()}
    if as_json:
        console.emit_json(told)
    else:
        print(f"{console.safe(task.statement)}\n\n{console.safe(task.source(), keep_newlines=True)}")
