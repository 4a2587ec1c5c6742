"""`trajhub clean`: remove what killed processes left on the engine."""

import typer

from .. import console

__all__ = ["clean"]


def clean(
    everything: bool = typer.Option(
        False, "--all", help="Also containers whose process still runs, or ran on another machine."
    ),
    images: bool = typer.Option(
        False, "--images", help="Also images made for runs: copies without a repository's future, or with an agent."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be removed."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    docker_host: str | None = typer.Option(None, "--docker-host", help="Address of the Docker API."),
) -> None:
    """Remove orphaned sandboxes: containers of ours whose process was killed."""
    from .engine import LABEL, Engine
    from .prepare import AGENTS, PREPARED

    engine = Engine(docker_host)
    boxes = engine.containers() if everything else engine.orphans()
    rows = [(box["Id"][:12], box["Image"], box["Status"], box["Labels"][LABEL]) for box in boxes]
    kept = (PREPARED, AGENTS) if images else ()
    copies = [tag for name in kept for image in engine.client.images.list(name) for tag in image.tags]
    if not dry_run:
        for box in boxes:
            engine.remove(box["Id"])
        for tag in copies:
            engine.client.images.remove(tag)
    if as_json:
        keys = ("id", "image", "status", "owner")
        containers = [dict(zip(keys, row, strict=True)) for row in rows]
        console.emit_json({"removed": not dry_run, "containers": containers, "images": copies})
        return
    console.table("Containers " + ("found" if dry_run else "removed"), ("id", "image", "status", "owner"), rows)
    for tag in copies:
        print(f"image {tag}")
