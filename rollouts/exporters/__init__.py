"""Recorded episodes in formats of others: one file a format, and the protocol by which others plug in."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import Exporter, NoOptions, NotExported, RecordedEpisode, Sink, Target
    from .engine import ExportReport, export

__all__ = ["ExportReport", "Exporter", "NoOptions", "NotExported", "RecordedEpisode", "Sink", "Target", "export"]

_PLACES = {
    "ExportReport": "engine",
    "Exporter": "base",
    "NoOptions": "base",
    "NotExported": "base",
    "RecordedEpisode": "base",
    "Sink": "base",
    "Target": "base",
    "export": "engine",
}


def __getattr__(name: str) -> Any:
    # The command line imports this package before it knows whether it is needed.
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
