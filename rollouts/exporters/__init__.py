"""Exports of recorded episodes to other formats: one module per format, and the protocol for plug-ins."""

from typing import TYPE_CHECKING

from ...lazy import lazy

if TYPE_CHECKING:
    from .base import Exporter, NoOptions, NotExported, RecordedEpisode, Sink, Target
    from .engine import ExportReport, export

__all__ = ["ExportReport", "Exporter", "NoOptions", "NotExported", "RecordedEpisode", "Sink", "Target", "export"]

__getattr__ = lazy(
    __name__,
    {
        "base": ["Exporter", "NoOptions", "NotExported", "RecordedEpisode", "Sink", "Target"],
        "engine": ["ExportReport", "export"],
    },
)
