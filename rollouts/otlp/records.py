"""What telemetry says, as data: log records, spans and points of metrics."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

__all__ = ["LogRecord", "MetricPoint", "Scope", "Signal", "SpanRecord", "Telemetry", "moment"]

Signal = Literal["logs", "traces", "metrics"]


def moment(unix_nano: int | None) -> datetime | None:
    """A time in UTC, to the microsecond; None for none, and for what no calendar holds."""
    if not unix_nano:
        return None
    try:
        return datetime.fromtimestamp(unix_nano // 1_000_000_000, UTC).replace(
            microsecond=unix_nano // 1000 % 1_000_000
        )
    except (OverflowError, ValueError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Scope:
    """The library that a record came through."""

    name: str = ""
    version: str = ""
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    resource: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the sender says of itself, for example `service.name`."""
    scope: Scope = field(default_factory=Scope)
    received: datetime
    """When its export came in, by this machine's clock."""
    export: str
    """Id of its export: equal for an export that was sent twice."""
    index: int
    """Position in its export; with `export` the identity of the record."""
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    """Fields that this version does not know, as they came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord(_Record):
    """One log record, which is how agents send events."""

    event_name: str = ""
    """Of the record, or its attribute `event.name`, which is where most agents put it."""
    body: Any = None
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    time_unix_nano: int | None = None
    observed_unix_nano: int | None = None
    severity: int = 0
    severity_text: str = ""
    trace_id: str = ""
    """32 hexadecimal digits; empty for none."""
    span_id: str = ""
    """16 hexadecimal digits; empty for none."""
    flags: int = 0

    @property
    def time(self) -> datetime | None:
        """When it happened; else when it was observed; None when the sender did not say."""
        return moment(self.time_unix_nano) or moment(self.observed_unix_nano)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRecord(_Record):
    """One span."""

    name: str
    trace_id: str
    span_id: str
    parent_span_id: str = ""
    kind: int = 0
    start_unix_nano: int | None = None
    end_unix_nano: int | None = None
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    events: tuple[dict[str, Any], ...] = ()
    """Of each `name`, `time_unix_nano`, `attributes`."""
    links: tuple[dict[str, Any], ...] = ()
    """Of each `trace_id`, `span_id`, `attributes`."""
    status_code: int = 0
    """0 unset, 1 ok, 2 error."""
    status_message: str = ""
    trace_state: str = ""
    flags: int = 0

    @property
    def start(self) -> datetime | None:
        """When it began."""
        return moment(self.start_unix_nano)

    @property
    def end(self) -> datetime | None:
        """When it ended."""
        return moment(self.end_unix_nano)

    @property
    def duration_ms(self) -> float | None:
        """From start to end; None where one is not known."""
        if not self.start_unix_nano or not self.end_unix_nano:
            return None
        return (self.end_unix_nano - self.start_unix_nano) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint(_Record):
    """One point of one metric."""

    name: str
    unit: str = ""
    description: str = ""
    kind: Literal["gauge", "sum", "histogram", "exponential_histogram", "summary", "unknown"]
    temporality: Literal["delta", "cumulative"] | None = None
    """Whether it counts since the point before it, or since its start; as sent, never converted."""
    monotonic: bool | None = None
    value: int | float | None = None
    """Of a gauge or a sum; the sum of a histogram or a summary."""
    count: int | None = None
    """Of a histogram or a summary."""
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    """Everything else of the point, as OTLP/JSON has it: buckets, bounds, quantiles, exemplars."""
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    start_unix_nano: int | None = None
    time_unix_nano: int | None = None
    flags: int = 0

    @property
    def start(self) -> datetime | None:
        """Since when it counts."""
        return moment(self.start_unix_nano)

    @property
    def time(self) -> datetime | None:
        """When it was read."""
        return moment(self.time_unix_nano)


Telemetry = LogRecord | SpanRecord | MetricPoint
