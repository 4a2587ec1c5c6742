"""Records of other agents as our events: one module per format, and the protocol for plug-ins."""

from .base import Adapter, Foreign, ForeignEpisode, Sample, Timed, Unread

__all__ = ["Adapter", "Foreign", "ForeignEpisode", "Sample", "Timed", "Unread"]
