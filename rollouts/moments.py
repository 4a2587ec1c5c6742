"""Moments as records hold them: UTC, ISO 8601, microseconds."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainSerializer

__all__ = ["Timestamp", "now"]


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


Timestamp = Annotated[datetime, PlainSerializer(_iso, return_type=str, when_used="json")]
"""UTC, written as ISO 8601 with exactly six digits of the second."""
