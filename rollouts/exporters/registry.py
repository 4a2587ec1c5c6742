"""Which exporters there are: ours, and those that installed packages declare under `trajectory_hub.exporters`."""

from collections.abc import Mapping
from functools import cache

from ..plugins import Plugins, load_plugins
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
    "trl": "trajectory_hub.training.data_sets.trace_export:EXPORTER",
}
"""Ours, as `pyproject.toml` declares them: a checkout that is not installed has no entry points."""


_PARTS = ("name", "title", "output", "options", "loses", "unread", "open")


class Registry(Plugins[Exporter]):
    """The exporters that can be used."""

    @property
    def exporters(self) -> Mapping[str, Exporter]:
        """By name."""
        return self.found


@cache
def exporters() -> Registry:
    """All exporters, loaded once a process."""
    return Registry(*load_plugins("exporter", GROUP, BUILTIN, Exporter, _PARTS))
