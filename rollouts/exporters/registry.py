"""Which exporters there are: ours, and those that installed packages declare under `trajectory_hub.exporters`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ...errors import UsageError
from ..adapters.registry import FAULTS
from .base import Exporter

__all__ = ["BUILTIN", "GROUP", "Registry", "exporters"]

GROUP = "trajectory_hub.exporters"
"""The entry-point group."""

BUILTIN: Mapping[str, str] = {
    "atif": "trajectory_hub.rollouts.exporters.atif:EXPORTER",
    "chrome": "trajectory_hub.rollouts.exporters.chrome:EXPORTER",
    "nebius-openhands": "trajectory_hub.rollouts.exporters.nebius:OPENHANDS",
    "nebius-swe-agent": "trajectory_hub.rollouts.exporters.nebius:SWE_AGENT",
    "otlp": "trajectory_hub.rollouts.exporters.otlp:EXPORTER",
    "predictions": "trajectory_hub.rollouts.exporters.predictions:EXPORTER",
    "trl": "trajectory_hub.training.trace_export:EXPORTER",
}
"""Ours, as `pyproject.toml` declares them: a checkout that is not installed has no entry points."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The exporters that can be used."""

    exporters: Mapping[str, Exporter]
    """By name."""
    broken: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why one cannot be used, by the name of its entry point."""

    def get(self, name: str) -> Exporter:
        """The exporter of that name. Raises UsageError that names those there are."""
        if name in self.exporters:
            return self.exporters[name]
        if name in self.broken:
            raise UsageError(f"the exporter {name} cannot be used: {self.broken[name]}")
        raise UsageError(f"there is no format {name!r} to export to; there are {', '.join(sorted(self.exporters))}")


@cache
def exporters() -> Registry:
    """All exporters, loaded once a process."""
    found = dict[str, Exporter]()
    broken = dict[str, str]()
    own = {name: value for name, value in BUILTIN.items()}
    for name, value in own.items():
        _take(name, lambda value=value: _load(value), found, broken)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        if own.get(entry.name) == entry.value:
            continue
        if entry.name in found:
            broken[f"{entry.name} ({entry.value})"] = "another exporter has that name already"
            continue
        _take(entry.name, entry.load, found, broken)
    return Registry(found, broken)


def _load(value: str) -> Any:
    module, _, attribute = value.partition(":")
    root = __name__.removesuffix(".rollouts.exporters.registry")
    return getattr(import_module(module.replace("trajectory_hub", root, 1)), attribute)


def _take(name: str, load: Any, found: dict[str, Exporter], broken: dict[str, str]) -> None:
    try:
        exporter = load()
    except FAULTS as error:
        broken[name] = f"{type(error).__name__}: {error}"
        return
    if not isinstance(exporter, Exporter) or isinstance(exporter, type):
        broken[name] = "its entry point names no exporter; it must name an instance of one"
    elif exporter.name != name:
        broken[name] = f"it calls itself {exporter.name!r}; the entry point must have the same name"
    else:
        found[name] = exporter
