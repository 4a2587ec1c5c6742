"""Other agents' records, told in our events: one file a format, and the protocol by which others plug in."""

from .base import Adapter, Foreign, ForeignEpisode, Sample, Timed, Unread

__all__ = ["Adapter", "Foreign", "ForeignEpisode", "Sample", "Timed", "Unread"]
