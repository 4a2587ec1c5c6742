"""`trajhub doctor`: is everything there that episodes need?"""

import typer

from .. import console

__all__ = ["doctor"]


def doctor(
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    network: bool = typer.Option(True, "--network/--no-network", help="Also check the package index and the registry."),
    docker_host: str | None = typer.Option(None, "--docker-host", help="Address of the Docker API."),
) -> None:
    """Check this machine and say how to fix what is missing. Exit code 3 when a requirement is not met."""
    from .doctor import examine

    checks = examine(docker_host, network=network)
    usable = not any(check.required and check.status == "fail" for check in checks)
    if as_json:
        console.emit_json({"usable": usable, "checks": [check.as_dict() for check in checks]})
    else:
        rows = [(check.name, check.status, check.found, check.mend) for check in checks]
        console.table("This machine", ("check", "status", "found", "how to mend"), rows)
    if not usable:
        raise typer.Exit(3)
