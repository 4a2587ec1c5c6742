"""One export as it is received: what is taken of it, what is not, and the line that keeps it."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, cast

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace
from pydantic_core import PydanticSerializationError, to_json

from ..timestamps import now
from .encoding import Normaliser, encode
from .records import Signal

__all__ = ["SIGNALS", "Export", "Form", "Malformed", "read_export"]

Form = Literal["protobuf", "json"]
_LONGEST_MESSAGE = 1000


class Malformed(ValueError):
    """Raised for an export of which nothing can be read."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a signal's exports are made of."""

    request: type[Message]
    response: type[Message]
    path: tuple[str, str, str]
    """Names of the lists of resources, of scopes, and of what is in a scope."""
    records: frozenset[str]
    """Types of what counts as a record."""
    rejected: str
    """The field of the answer that counts what was not taken."""
    method: str
    """Of the gRPC service."""

    def lists(self, data: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
        """What the scopes of an export hold."""
        resources, scopes, records = self.path
        for resource in data.get(resources, ()):
            for scope in resource.get(scopes, ()):
                if records in scope:
                    yield scope[records]


def _types(package: str, *names: str) -> frozenset[str]:
    return frozenset(f"opentelemetry.proto.{package}.v1.{name}" for name in names)


_SERVICE = "/opentelemetry.proto.collector."
SIGNALS: dict[Signal, Shape] = {
    "logs": Shape(
        logs.ExportLogsServiceRequest,
        logs.ExportLogsServiceResponse,
        ("resourceLogs", "scopeLogs", "logRecords"),
        _types("logs", "LogRecord"),
        "rejected_log_records",
        f"{_SERVICE}logs.v1.LogsService/Export",
    ),
    "traces": Shape(
        trace.ExportTraceServiceRequest,
        trace.ExportTraceServiceResponse,
        ("resourceSpans", "scopeSpans", "spans"),
        _types("trace", "Span"),
        "rejected_spans",
        f"{_SERVICE}trace.v1.TraceService/Export",
    ),
    "metrics": Shape(
        metrics.ExportMetricsServiceRequest,
        metrics.ExportMetricsServiceResponse,
        ("resourceMetrics", "scopeMetrics", "metrics"),
        _types("metrics", "NumberDataPoint", "HistogramDataPoint", "ExponentialHistogramDataPoint", "SummaryDataPoint"),
        "rejected_data_points",
        f"{_SERVICE}metrics.v1.MetricsService/Export",
    ),
}


@dataclass(frozen=True, slots=True)
class Export:
    """An export that was read. `line` is empty when there was nothing in it."""

    signal: Signal
    line: bytes
    records: int
    rejected: int = 0
    message: str = ""

    def answer(self, form: Form) -> bytes:
        """What the sender is told, in the form that it speaks."""
        answer: Any = SIGNALS[self.signal].response()
        if self.rejected:
            setattr(answer.partial_success, SIGNALS[self.signal].rejected, self.rejected)
            answer.partial_success.error_message = self.message[:_LONGEST_MESSAGE]
        return answer.SerializeToString() if form == "protobuf" else json.dumps(encode(answer)).encode()

    def refused(self, why: str) -> "Export":
        """The same export, when nothing of it can be kept."""
        return Export(self.signal, b"", 0, self.records + self.rejected, why)


def read_export(signal: Signal, body: bytes, form: Form, via: str) -> Export:
    """Read an export. Raises Malformed when it is none. Records that break the protocol are counted, the rest is kept.

    Its id is the SHA-256 of signal and bytes: an export that a sender repeats has it again.
    """
    data, rejected, unknown = _from_protobuf(signal, body) if form == "protobuf" else _from_json(signal, body)
    if signal == "traces":
        _leave_out_nameless(data, rejected)
    records, lost = _count(signal, data), rejected.total()
    if not lost and not any(SIGNALS[signal].lists(data)):
        return Export(signal, b"", 0)
    line: dict[str, Any] = {
        "received": now().isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "signal": signal,
        "export": sha256(signal.encode() + b"\n" + body).hexdigest()[:32],
        "via": via,
        "records": records,
    }
    if lost:
        line["rejected"] = dict(rejected)
    line["data"] = data
    if unknown:
        # The names of its unknown fields are not in a protobuf message; all of it is kept for who knows them.
        line["protobuf"] = base64.b64encode(body).decode()
    text = _dump(line) + b"\n"
    return Export(signal, text, records, lost, "; ".join(f"{number} x {why}" for why, number in rejected.items()))


def _dump(line: dict[str, Any]) -> bytes:
    try:
        return to_json(line)
    except PydanticSerializationError:  # half characters, which JSON can write and UTF-8 cannot
        return json.dumps(line, separators=(",", ":")).encode()


def _from_protobuf(signal: Signal, body: bytes) -> tuple[dict[str, Any], Counter[str], bool]:
    message = SIGNALS[signal].request()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise Malformed(f"not a protobuf message of {signal}: {error}") from None
    size = message.ByteSize()
    message.DiscardUnknownFields()
    return encode(message), Counter(), message.ByteSize() != size


def _from_json(signal: Signal, body: bytes) -> tuple[dict[str, Any], Counter[str], bool]:
    shape = SIGNALS[signal]
    normaliser = Normaliser(shape.records)
    try:
        data = normaliser.message(json.loads(body), cast("Any", shape.request.DESCRIPTOR))
    except (ValueError, RecursionError) as error:  # also what is not UTF-8
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Malformed(f"not OTLP/JSON of {signal}: {said}") from None
    return data, normaliser.rejected, False


def _leave_out_nameless(data: dict[str, Any], rejected: Counter[str]) -> None:
    """A span without ids is none."""
    for spans in SIGNALS["traces"].lists(data):
        good = [span for span in spans if len(span.get("traceId", "")) == 32 and len(span.get("spanId", "")) == 16]
        if len(good) != len(spans):
            rejected["a span without traceId of 16 and spanId of 8 bytes"] += len(spans) - len(good)
            spans[:] = good


def _count(signal: Signal, data: dict[str, Any]) -> int:
    lists = SIGNALS[signal].lists(data)
    if signal != "metrics":
        return sum(map(len, lists))
    return sum(len(_points(metric)) for metrics in lists for metric in metrics)


def _points(metric: dict[str, Any]) -> list[Any]:
    kinds = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
    parts: list[dict[str, Any]] = [metric[kind] for kind in kinds if kind in metric]
    return [point for part in parts for point in part.get("dataPoints", ())]
