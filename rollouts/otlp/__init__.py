"""Telemetry of agents: a receiver of OTLP over HTTP and gRPC, and a reader of what it wrote."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .reading import OTLP, OtlpReader, read_otlp
    from .receiver import OtlpReceiver
    from .records import LogRecord, MetricPoint, Scope, Signal, SpanRecord, Telemetry

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

_PLACES = {"OTLP": "reading", "OtlpReader": "reading", "OtlpReceiver": "receiver", "read_otlp": "reading"}


def __getattr__(name: str) -> Any:
    # Reading needs none of the packages that receiving does, and the command line needs neither at once.
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES.get(name, 'records')}", __name__), name)
