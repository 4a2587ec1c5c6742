"""Pieces that others may plug in through entry points: ours first, then those of installed packages.

One that cannot be loaded is named and left out; it takes nothing else down.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, Protocol, TypeVar

from ..errors import TrajHubError, UsageError

__all__ = ["FAULTS", "Named", "Plugins", "load_plugins"]

FAULTS = (
    TrajHubError,
    ImportError,
    AttributeError,
    NameError,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AssertionError,
    OSError,
    RuntimeError,
    SyntaxError,
)
"""What code of others raises when it does not work."""


class Named(Protocol):
    """What can be plugged in knows its name."""

    name: str


Plugin = TypeVar("Plugin", bound=Named)


@dataclass(frozen=True)
class Plugins(Generic[Plugin]):
    """Those that can be used."""

    found: Mapping[str, Plugin]
    """By name."""
    broken: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why one cannot be used, by the name of its entry point."""

    def get(self, name: str) -> Plugin:
        """The one of that name. Raises UsageError that names those there are."""
        if name in self.found:
            return self.found[name]
        if name in self.broken:
            raise UsageError(f"the format {name} cannot be used: {self.broken[name]}")
        raise UsageError(f"there is no format {name!r}; there are {', '.join(sorted(self.found))}")


def load_plugins(
    what: str, group: str, builtin: Mapping[str, str], kind: type[Plugin], parts: Sequence[str]
) -> tuple[dict[str, Plugin], dict[str, str]]:
    """Those that can be used, and why others cannot, by name: those of `builtin`, and of an entry-point group.

    `builtin` gives `module:attribute` by name, since a checkout that is not installed has no entry points.
    `kind` is the runtime-checkable protocol that they must have, `parts` its members and `what` its name, for messages.
    """
    found, broken = dict[str, Plugin](), dict[str, str]()
    for name, value in builtin.items():
        _take(what, name, lambda value=value: _load(value), kind, parts, found, broken)
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value)):
        if builtin.get(entry.name) == entry.value:
            continue
        if entry.name in found:
            broken[f"{entry.name} ({entry.value})"] = f"another {what} has that name already"
            continue
        _take(what, entry.name, entry.load, kind, parts, found, broken)
    return found, broken


def _load(value: str) -> Any:
    module, _, attribute = value.partition(":")
    root = __name__.removesuffix(".rollouts.plugins")
    return getattr(import_module(module.replace("trajectory_hub", root, 1)), attribute)


def _take(
    what: str,
    name: str,
    load: Callable[[], Any],
    kind: type[Plugin],
    parts: Sequence[str],
    found: dict[str, Plugin],
    broken: dict[str, str],
) -> None:
    try:
        plugin = load()
    except FAULTS as error:
        broken[name] = f"{type(error).__name__}: {error}"
        return
    if isinstance(plugin, type):
        broken[name] = "its entry point names a class; it must name an instance"
    elif not isinstance(plugin, kind):
        lacks = ", ".join(part for part in parts if not hasattr(plugin, part))
        broken[name] = f"it is no {what}: it lacks {lacks}"
    elif plugin.name != name:
        broken[name] = f"it calls itself {plugin.name!r}; the entry point must have the same name"
    else:
        found[name] = plugin
