"""Telemetry of agents: a receiver of OTLP over HTTP and gRPC, and a reader of what it wrote."""

from .reading import OTLP, read_otlp
from .receiver import OtlpReceiver
from .records import LogRecord, MetricPoint, Scope, Signal, SpanRecord, Telemetry

__all__ = [
    "OTLP",
    "LogRecord",
    "MetricPoint",
    "OtlpReceiver",
    "Scope",
    "Signal",
    "SpanRecord",
    "Telemetry",
    "read_otlp",
]
