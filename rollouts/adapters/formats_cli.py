"""`trajhub trace formats`: whose records can be read, and what of them our log has no place for."""

from typing import Annotated

import typer

from ...console import emit_json, table
from ...errors import UsageError

__all__ = ["formats"]


def formats(
    name: Annotated[
        str | None, typer.Argument(metavar="[FORMAT]", help="Only this format, with what it loses.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the formats that can be ingested; for one, the fields without a place of their own in a log, and why."""
    from .losses import losses_of
    from .registry import adapters

    found = adapters()
    if name is not None and name not in found.adapters:
        raise UsageError(f"no format is called {name}; there are {', '.join(sorted(found.adapters))}")
    chosen = {key: one for key, one in sorted(found.adapters.items()) if name in (None, key)}
    if as_json:
        known = {
            key: {"title": one.title, "version": one.version, "loses": dict(losses_of(one))}
            for key, one in chosen.items()
        }
        emit_json({"formats": known, "broken": dict(found.broken)})
        return
    if name is not None:
        table(chosen[name].title, ["field", "what becomes of it"], losses_of(chosen[name]).items())
    else:
        rows = [[key, one.title, one.version, len(losses_of(one)) or None] for key, one in chosen.items()]
        table("Formats", ["name", "what it is", "version", "fields lost"], rows)
        for broken, why in found.broken.items():
            typer.echo(f"cannot be used: {broken}: {why}")
    typer.echo("Next:    trajhub trace ingest PATH -o RUN")
