"""`trajhub clean`: remove what killed processes left on the engine."""

import typer

from .. import console

__all__ = ["clean"]


def clean(
    everything: bool = typer.Option(
        False, "--all", help="Also containers whose process still runs, or ran on another machine."
    ),
    images: bool = typer.Option(False, "--images", help="Also copies of images made to hide a repository's future."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be removed."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    docker_host: str | None = typer.Option(None, "--docker-host", help="Address of the Docker API."),
) -> None:
    """Remove orphaned sandboxes: containers of ours whose process was killed."""
    from .engine import LABEL, Engine
    from .prepare import PREPARED

    engine = Engine(docker_host)
    boxes = engine.containers() if everything else engine.orphans()
    rows = [(box["Id"][:12], box["Image"], box["Status"], box["Labels"][LABEL]) for box in boxes]
    copies = [tag for image in engine.client.images.list(PREPARED) for tag in image.tags] if images else []
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
