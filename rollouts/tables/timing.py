"""How far the times of an episode can be trusted, and what follows for its figures."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .. import payloads
from ..events import AnyEvent
from .clock import micros, milliseconds

__all__ = ["Timing"]


@dataclass(frozen=True, slots=True)
class Timing:
    """See `payloads.Origin.timing`; episodes of our own are `recorded`."""

    kind: Literal["recorded", "durations", "none"]
    own: bool
    """Recorded here, so that a duration of zero is one; a foreign record that has no duration reads as zero."""

    @classmethod
    def of(cls, start: payloads.EpisodeStart) -> "Timing":
        """That of an episode."""
        origin = start.origin
        return cls("recorded" if origin is None else origin.timing, origin is None)

    @property
    def clocked(self) -> bool:
        """Whether times of events are real."""
        return self.kind == "recorded"

    def moment(self, moment: datetime) -> datetime | None:
        """A time, where times are real."""
        return moment if self.clocked else None

    def duration(self, began: datetime, event: AnyEvent) -> float | None:
        """How long something took that ended with `event`, in milliseconds; None where nobody knows."""
        if self.kind == "none":
            return None
        took = event.duration_ms
        if took <= 0 and self.clocked:
            took = milliseconds(micros(event.t_end) - micros(began))
        return took if took > 0 or self.own else None
