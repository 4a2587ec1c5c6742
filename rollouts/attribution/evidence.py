"""What a rule points at."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Evidence"]


class Evidence(BaseModel):
    """An event, and what it says that matters."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    seq: int | None
    """Number of the event in its log; None for something that is missing from the log."""
    event_type: str | None
    step: int | None = None
    told: str
    """At most 300 characters of it."""

    @classmethod
    def of(cls, seq: int | None, event_type: str | None, told: str, step: int | None = None) -> "Evidence":
        """Evidence whose text is cut where it is long."""
        short = told if len(told) <= _LONGEST else f"{told[: _LONGEST - 1]}…"
        return cls(seq=seq, event_type=event_type, step=step, told=short)


_LONGEST = 300
