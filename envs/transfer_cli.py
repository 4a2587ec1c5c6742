"""`trajhub tasks pull` and `push`: images of tasks, between this engine and a registry."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from .. import console

if TYPE_CHECKING:
    from .engine import Engine
    from .transfer import Transfer

__all__ = ["pull", "push"]


def pull(
    tasks: str = typer.Argument(help="A task repo, a dataset, or a .json, .jsonl or .parquet file."),
    registry: str | None = typer.Option(
        None, "--from", help="Registry that has the images, as HOST:PORT/PREFIX; default: each image's own."
    ),
    limit: int | None = typer.Option(None, "--limit", min=1, help="At most this many tasks."),
    pattern: str = typer.Option("*", "--filter", help="Only ids matching this pattern."),
    max_workers: int = typer.Option(4, "--max-workers", min=1, help="Images at once."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    docker_host: str | None = typer.Option(None, "--docker-host", help="Address of the Docker API."),
) -> None:
    """Pull the images of tasks that this engine does not have yet."""
    from .transfer import pull_images

    def move(engine: "Engine", images: list[str], done: "Callable[[Transfer], None]") -> "list[Transfer]":
        return pull_images(engine, images, registry=registry, workers=max_workers, done=done)

    _move(tasks, pattern, limit, docker_host, "fetched", move, as_json=as_json)


def push(
    tasks: str = typer.Argument(help="A task repo, a dataset, or a .json, .jsonl or .parquet file."),
    registry: str = typer.Option(..., "--to", help="Registry, as HOST:PORT/PREFIX; port and prefix may be left out."),
    limit: int | None = typer.Option(None, "--limit", min=1, help="At most this many tasks."),
    pattern: str = typer.Option("*", "--filter", help="Only ids matching this pattern."),
    max_workers: int = typer.Option(4, "--max-workers", min=1, help="Images at once."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    docker_host: str | None = typer.Option(None, "--docker-host", help="Address of the Docker API."),
) -> None:
    """Push the images of tasks from this engine to a registry, for other machines to `pull`."""
    from .transfer import push_images

    def move(engine: "Engine", images: list[str], done: "Callable[[Transfer], None]") -> "list[Transfer]":
        return push_images(engine, images, registry, workers=max_workers, done=done)

    _move(tasks, pattern, limit, docker_host, "sent", move, as_json=as_json)


def _move(
    source: str,
    pattern: str,
    limit: int | None,
    docker_host: str | None,
    did: str,
    move: "Callable[[Engine, list[str], Callable[[Transfer], None]], list[Transfer]]",
    *,
    as_json: bool,
) -> None:
    from fnmatch import fnmatchcase

    from .engine import Engine
    from .sources import load_tasks

    chosen = [task for task in load_tasks(source) if fnmatchcase(task.instance_id, pattern)][:limit]
    images = sorted({task.require_image() for task in chosen})
    with console.progress("images", len(images)) as tick:
        moved = move(Engine(docker_host), images, lambda one: tick(1, note=one.image))
    if as_json:
        keys = ("image", "outcome", "bytes", "why")
        console.emit_json([{key: getattr(one, key) for key in keys} for one in moved])
    else:
        _show(moved, did)
    if any(one.outcome == "failed" for one in moved):
        raise typer.Exit(3)


def _show(moved: "list[Transfer]", did: str) -> None:
    count = {outcome: sum(one.outcome == outcome for one in moved) for outcome in ("moved", "present", "failed")}
    failed = [(one.image, one.why) for one in moved if one.outcome == "failed"]
    if failed:
        console.table("Failed", ("image", "why"), failed)
    size = sum(one.bytes for one in moved) / 1e6
    print(f"{count['moved']} images {did} ({size:.1f} MB), {count['present']} were there, {count['failed']} failed")
