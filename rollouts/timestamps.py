"""Time stamps as records hold them: UTC, ISO 8601, microseconds."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

from pydantic import PlainSerializer

__all__ = ["Timestamp", "iso", "now"]


def now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)


@lru_cache(maxsize=1024)  # the end of one event is often the start of the next
def iso(moment: datetime) -> str:
    """A time stamp as records hold it."""
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="microseconds")[:26] + "Z"


Timestamp = Annotated[datetime, PlainSerializer(iso, return_type=str, when_used="json")]
"""UTC, written as ISO 8601 with exactly six digits of the second."""
