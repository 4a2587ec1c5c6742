"""`trajhub clean`: remove what killed processes left on the engine."""

import typer

from .. import console

__all__ = ["clean"]


def clean(
    everything: bool = typer.Option(
        False, "--all", help="Also containers whose process still runs, or ran on another machine."
    ),
    images: bool = typer.Option(
        False,
        "--images",
        help="Also what was made for runs and is not in use: images without a repository's future, agents' volumes.",
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be removed."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    docker_host: str | None = typer.Option(None, "--docker-host", help="Address of the Docker API."),
) -> None:
    """Remove orphaned sandboxes: containers of ours whose process was killed."""
    from .engine import LABEL, Engine
    from .prepare import AGENTS, HOUSES, PREPARED

    engine = Engine(docker_host)
    boxes = engine.containers() if everything else engine.orphans()
    rows = [(box["Id"][:12], box["Image"], box["Status"], box["Labels"][LABEL]) for box in boxes]
    kept = (PREPARED, AGENTS) if images else ()
    copies = [name for repository in kept for name in engine.image_names(repository)]
    if not dry_run:
        for box in boxes:
            engine.remove(box["Id"])
        copies = [name for name in copies if engine.remove_image(name)]
    found = engine.volumes(HOUSES) if images else []
    unused = [str(one["Name"]) for one in found if not one["InUse"] and (dry_run or engine.remove_volume(one["Name"]))]
    used = [str(one["Name"]) for one in found if one["Name"] not in unused]
    if as_json:
        keys = ("id", "image", "status", "owner")
        containers = [dict(zip(keys, row, strict=True)) for row in rows]
        told = {"containers": containers, "images": copies, "volumes": unused, "volumes_in_use": used}
        console.emit_json({"removed": not dry_run, **told})
        return
    console.table("Containers " + ("found" if dry_run else "removed"), ("id", "image", "status", "owner"), rows)
    for tag in copies:
        print(f"image {tag}")
    for name in unused:
        print(f"volume {name}")
    for name in used:
        print(f"volume {name}: in use, kept")
