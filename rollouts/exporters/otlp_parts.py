"""OTLP's data model as JSON has it: ids in hexadecimal, 64-bit numbers as text, enums as numbers."""

import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, cast

from ..events import AnyEvent
from ..payloads import clean
from .parts import compact, nanos

__all__ = ["SIGNALS", "Ids", "attributes", "log_record", "ours", "point", "span", "wrap"]

SIGNALS: Mapping[str, tuple[str, str, str]] = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}
"""Names of the nested lists of each signal."""


class Ids:
    """The ids of one episode's trace and spans: the same each time it is exported."""

    def __init__(self, run_id: str, episode_id: str) -> None:
        self._name = f"{run_id}\0{episode_id}"
        self.trace = sha256(f"trace\0{self._name}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self.root = self.span("episode")

    def span(self, what: int | str) -> str:
        """The id of the span of an event, by its number, or of something else, by its name."""
        return sha256(f"span\0{self._name}\0{what}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def ours(kind: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that the conventions have no name for."""
    return {f"trajhub.{kind}.{key}": value for key, value in known.items()}


def attributes(known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes; None is left out, what is no plain value or list of texts is told as JSON."""
    return [{"key": str(clean(key)), "value": _value(item)} for key, item in known.items() if item is not None]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)} if -(1 << 63) <= value < 1 << 63 else {"stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": _number(value)}
    if isinstance(value, str):
        return {"stringValue": clean(value)}
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in cast("list[Any]", value)):
        return {"arrayValue": {"values": [_value(item) for item in cast("list[str]", value)]}}
    return {"stringValue": compact(value)}


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def span(
    ids: Ids, span_id: str, parent: str | None, name: str, kind: int, times: tuple[int, int], known: Mapping[str, Any]
) -> dict[str, Any]:
    """A span; `kind` is 1 (internal) or 3 (client), `times` are nanoseconds."""
    begun, over = times
    told: dict[str, Any] = {"traceId": ids.trace, "spanId": span_id}
    if parent is not None:
        told["parentSpanId"] = parent
    return told | {
        "name": clean(name),
        "kind": kind,
        "startTimeUnixNano": str(begun),
        "endTimeUnixNano": str(max(begun, over)),
        "attributes": attributes(known),
    }


def log_record(
    ids: Ids, span_id: str, event: AnyEvent, name: str, known: Mapping[str, Any], body: str | None = None
) -> dict[str, Any]:
    """An event, which OTLP tells as a log record with a name; an error's severity is 17, any other's 9."""
    severity = 17 if event.event_type == "error" else 9
    told: dict[str, Any] = {
        "timeUnixNano": str(nanos(event.t_end)),
        "observedTimeUnixNano": str(nanos(event.t_end)),
        "severityNumber": severity,
        "severityText": "ERROR" if severity == 17 else "INFO",
        "eventName": name,
        "attributes": attributes(known),
        "traceId": ids.trace,
        "spanId": span_id,
    }
    return told if body is None else told | {"body": {"stringValue": clean(body)}}


def point(times: tuple[int, int], value: float | int, known: Mapping[str, Any]) -> dict[str, Any]:
    """A data point of a metric."""
    begun, over = times
    number = {"asInt": str(value)} if isinstance(value, int) else {"asDouble": _number(value)}
    return {
        "startTimeUnixNano": str(begun),
        "timeUnixNano": str(max(begun, over)),
        **number,
        "attributes": attributes(known),
    }


def wrap(signal: str, resource: Mapping[str, Any], scope: Mapping[str, str], items: list[Any]) -> dict[str, Any]:
    """What an export request of `signal` holds."""
    outer, inner, leaf = SIGNALS[signal]
    scoped = {"scope": dict(scope), leaf: items}
    return {outer: [{"resource": {"attributes": attributes(resource)}, inner: [scoped]}]}
