"""What a receiver was sent, counted."""

from collections import Counter
from collections.abc import Iterable

from .records import LogRecord, SpanRecord, Telemetry

__all__ = ["summarise"]


def summarise(records: Iterable[Telemetry]) -> list[tuple[str, str, str, int]]:
    """Sender (`service.name`), signal, name of the event, span or metric, and how many; the most frequent first."""
    counts = Counter(_key(record) for record in records)
    return [(*key, number) for key, number in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _key(record: Telemetry) -> tuple[str, str, str]:
    sender = str(record.resource.get("service.name", ""))
    if isinstance(record, LogRecord):
        return sender, "logs", record.event_name or str(record.body)[:80]
    return sender, "traces" if isinstance(record, SpanRecord) else "metrics", record.name
