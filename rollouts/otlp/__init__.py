"""Telemetry of agents: a receiver of OTLP over HTTP and gRPC, and a reader of what it wrote."""

from typing import TYPE_CHECKING, Any

from .reading import OTLP, OtlpReader, read_otlp
from .records import LogRecord, MetricPoint, Scope, Signal, SpanRecord, Telemetry

if TYPE_CHECKING:
    from .receiver import OtlpReceiver

__all__ = [
    "OTLP",
    "LogRecord",
    "MetricPoint",
    "OtlpReader",
    "OtlpReceiver",
    "Scope",
    "Signal",
    "SpanRecord",
    "Telemetry",
    "read_otlp",
]


def __getattr__(name: str) -> Any:
    # Reading needs none of the packages that receiving does.
    if name == "OtlpReceiver":
        from .receiver import OtlpReceiver

        return OtlpReceiver
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
