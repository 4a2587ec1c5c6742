"""Recorded episodes in formats of others: one file a format, and the protocol by which others plug in."""

from .base import Exporter, NoOptions, NotExported, RecordedEpisode, Sink, Target
from .engine import ExportReport, export

__all__ = ["ExportReport", "Exporter", "NoOptions", "NotExported", "RecordedEpisode", "Sink", "Target", "export"]
