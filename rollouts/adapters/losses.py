"""What each format says that our log has no place of its own for.

An adapter's module declares it as `LOSES`: the field, in the words of the format, and why. Nothing of it is dropped
unseen: it is told otherwise, kept in a note, or repeats what another field says.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from .base import Adapter
from .registry import adapters

__all__ = ["losses", "losses_of"]


def losses_of(adapter: Adapter) -> Mapping[str, str]:
    """What one format loses, and why; empty where its module declares nothing."""
    declared: Any = getattr(import_module(type(adapter).__module__), "LOSES", None)
    return cast("Mapping[str, str]", declared) if isinstance(declared, Mapping) else {}


def losses() -> dict[str, Mapping[str, str]]:
    """What every format loses, by its name."""
    return {name: losses_of(adapter) for name, adapter in sorted(adapters().adapters.items())}
