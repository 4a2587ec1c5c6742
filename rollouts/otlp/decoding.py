"""Records of telemetry from OTLP/JSON as the receiver keeps it."""

import base64
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from .records import LogRecord, MetricPoint, Scope, Signal, SpanRecord, Telemetry

__all__ = ["attributes_of", "records_of"]

_Common = dict[str, Any]
_LOG = frozenset(
    "timeUnixNano observedTimeUnixNano severityNumber severityText body attributes droppedAttributesCount flags traceId"
    " spanId eventName".split()
)
_SPAN = frozenset(
    "traceId spanId parentSpanId name kind startTimeUnixNano endTimeUnixNano attributes events links status traceState"
    " flags droppedAttributesCount droppedEventsCount droppedLinksCount".split()
)
_METRIC = frozenset("name description unit metadata gauge sum histogram exponentialHistogram summary".split())
_POINT = frozenset("attributes startTimeUnixNano timeUnixNano asInt asDouble count sum flags".split())
_TEMPORALITY: dict[int, Literal["delta", "cumulative"]] = {1: "delta", 2: "cumulative"}


def records_of(signal: Signal, data: Mapping[str, Any], received: datetime, export: str) -> Iterator[Telemetry]:
    """The records of one export, in order."""
    names = {
        "logs": ("resourceLogs", "scopeLogs", "logRecords"),
        "traces": ("resourceSpans", "scopeSpans", "spans"),
        "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
    }[signal]
    index = 0
    for resource in data.get(names[0], ()):
        attributes = attributes_of(resource.get("resource", {}))
        for scope in resource.get(names[1], ()):
            common: _Common = {"resource": attributes, "scope": _scope(scope), "received": received, "export": export}
            for item in scope.get(names[2], ()):
                for record in _READERS[signal](item, common, index):
                    yield record
                    index += 1


def _scope(holder: Mapping[str, Any]) -> Scope:
    scope = holder.get("scope", {})
    return Scope(scope.get("name", ""), scope.get("version", ""), attributes_of(scope))


def attributes_of(holder: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as a dict; of a name that is there twice the last counts."""
    return {pair.get("key", ""): _value(pair.get("value", {})) for pair in holder.get("attributes", ())}


def _value(value: Mapping[str, Any]) -> Any:
    for kind, part in value.items():
        convert = _VALUES.get(kind)
        if convert is not None:
            return convert(part)
    return None


_VALUES: dict[str, Callable[[Any], Any]] = {
    "stringValue": str,
    "intValue": int,
    "boolValue": bool,
    "doubleValue": float,
    "bytesValue": base64.b64decode,
    "arrayValue": lambda part: [_value(item) for item in part.get("values", ())],
    "kvlistValue": lambda part: {pair.get("key", ""): _value(pair.get("value", {})) for pair in part.get("values", ())},
}


def _nanos(holder: Mapping[str, Any], name: str) -> int | None:
    return int(holder.get(name, 0)) or None


def _extra(holder: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in holder.items() if name not in known}


def _logs(item: Mapping[str, Any], common: _Common, index: int) -> Iterator[LogRecord]:
    attributes = attributes_of(item)
    yield LogRecord(
        **common,
        index=index,
        event_name=item.get("eventName", "") or str(attributes.get("event.name", "")),
        body=_value(item.get("body", {})),
        attributes=attributes,
        time_unix_nano=_nanos(item, "timeUnixNano"),
        observed_unix_nano=_nanos(item, "observedTimeUnixNano"),
        severity=item.get("severityNumber", 0),
        severity_text=item.get("severityText", ""),
        trace_id=item.get("traceId", ""),
        span_id=item.get("spanId", ""),
        flags=item.get("flags", 0),
        extra=_extra(item, _LOG),
    )


def _spans(item: Mapping[str, Any], common: _Common, index: int) -> Iterator[SpanRecord]:
    status = item.get("status", {})
    yield SpanRecord(
        **common,
        index=index,
        name=item.get("name", ""),
        trace_id=item.get("traceId", ""),
        span_id=item.get("spanId", ""),
        parent_span_id=item.get("parentSpanId", ""),
        kind=item.get("kind", 0),
        start_unix_nano=_nanos(item, "startTimeUnixNano"),
        end_unix_nano=_nanos(item, "endTimeUnixNano"),
        attributes=attributes_of(item),
        events=tuple(map(_event, item.get("events", ()))),
        links=tuple(map(_link, item.get("links", ()))),
        status_code=status.get("code", 0),
        status_message=status.get("message", ""),
        trace_state=item.get("traceState", ""),
        flags=item.get("flags", 0),
        extra=_extra(item, _SPAN),
    )


def _event(item: Mapping[str, Any]) -> dict[str, Any]:
    time = _nanos(item, "timeUnixNano")
    return {"name": item.get("name", ""), "time_unix_nano": time, "attributes": attributes_of(item)}


def _link(item: Mapping[str, Any]) -> dict[str, Any]:
    ids = {"trace_id": item.get("traceId", ""), "span_id": item.get("spanId", "")}
    return {**ids, "attributes": attributes_of(item)}


_METRIC_KINDS: dict[str, Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]] = {
    "gauge": "gauge",
    "sum": "sum",
    "histogram": "histogram",
    "exponentialHistogram": "exponential_histogram",
    "summary": "summary",
}


def _points(item: Mapping[str, Any], common: _Common, index: int) -> Iterator[MetricPoint]:
    if not _METRIC_KINDS.keys() & item.keys():
        extra = _extra(item, _METRIC)
        yield MetricPoint(**common, index=index, name=item.get("name", ""), kind="unknown", extra=extra)
    for name, kind in _METRIC_KINDS.items():
        part = item.get(name, {})
        for number, point in enumerate(part.get("dataPoints", ()), index):
            yield MetricPoint(
                **common,
                index=number,
                name=item.get("name", ""),
                unit=item.get("unit", ""),
                description=item.get("description", ""),
                kind=kind,
                temporality=_TEMPORALITY.get(part.get("aggregationTemporality", 0)),
                monotonic=part.get("isMonotonic", False) if kind == "sum" else None,
                value=_number(point),
                count=int(point["count"]) if "count" in point else None,
                data=_extra(point, _POINT),
                attributes=attributes_of(point),
                start_unix_nano=_nanos(point, "startTimeUnixNano"),
                time_unix_nano=_nanos(point, "timeUnixNano"),
                flags=point.get("flags", 0),
                extra=_extra(item, _METRIC),
            )


def _number(point: Mapping[str, Any]) -> int | float | None:
    if "asInt" in point:
        return int(point["asInt"])
    value = point.get("asDouble", point.get("sum"))
    return None if value is None else float(value)


_READERS: dict[Signal, Callable[[Mapping[str, Any], _Common, int], Iterator[Telemetry]]] = {
    "logs": _logs,
    "traces": _spans,
    "metrics": _points,
}
