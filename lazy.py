"""Packages whose names are imported on first use (PEP 562): importing the package itself costs next to nothing."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

__all__ = ["lazy"]


def lazy(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """A package's `__getattr__`: `names` are what it exports, by the module of the package that defines them."""
    homes = {name: module for module, exported in names.items() for name in exported}

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{homes[name]}", package), name)

    return load
