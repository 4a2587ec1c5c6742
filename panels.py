"""Help that shows commands by what they are for, in the order in which one needs them."""

from collections.abc import Callable, Mapping

import typer
from typer.core import TyperGroup

__all__ = ["Panels", "ordered", "register"]

Panels = Mapping[str, Mapping[str, Callable[..., object] | typer.Typer]]
"""Commands and groups of commands by name, under the heading of their panel."""


def ordered(panels: Panels) -> type[TyperGroup]:
    """A group that lists its commands in the order of `panels`, for `typer.Typer(cls=...)`."""
    rank = {name: place for place, name in enumerate(name for panel in panels.values() for name in panel)}

    class Ordered(TyperGroup):
        def list_commands(self, ctx: typer.Context) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
            return sorted(self.commands, key=lambda name: rank.get(name, len(rank)))

    return Ordered


def register(app: typer.Typer, panels: Panels) -> None:
    """Add every command and group of `panels` to `app`."""
    for heading, members in panels.items():
        for name, member in members.items():
            if isinstance(member, typer.Typer):
                app.add_typer(member, name=name, rich_help_panel=heading)
            else:
                app.command(name, rich_help_panel=heading)(member)
