"""OTLP as protobuf, and its way to a receiver."""

import base64
import time
from collections.abc import Mapping
from typing import Any, cast

from ...errors import MissingExtra, ServiceError
from .otlp_parts import SIGNALS

__all__ = ["encode", "request_of", "send"]

_IDS = frozenset({"traceId", "spanId", "parentSpanId"})
_AGAIN = frozenset({429, 502, 503, 504})
_TRIES = 5
_LONGEST_WAIT = 30.0


def request_of(signal: str, body: Mapping[str, Any]) -> Any:
    """The export request that OTLP/JSON spells, as a message of `opentelemetry-proto`. Raises MissingExtra.

    In OTLP/JSON ids are hexadecimal; protobuf's own JSON reads them as base64, and gives other ids without a word.
    """
    try:
        from google.protobuf import json_format
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError:
        raise MissingExtra("protobuf needs opentelemetry-proto: pip install 'agent-trajectory-hub[trace]'") from None
    kinds = dict(
        zip(SIGNALS, (ExportTraceServiceRequest, ExportLogsServiceRequest, ExportMetricsServiceRequest), strict=True)
    )
    return cast("Any", json_format).ParseDict(_with_bytes(body), kinds[signal]())


def _with_bytes(value: Any) -> Any:
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode() if key in _IDS else _with_bytes(item)
            for key, item in items
        }
    return [_with_bytes(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


def encode(signal: str, body: Mapping[str, Any]) -> bytes:
    """The export request in protobuf, the same bytes each time."""
    return request_of(signal, body).SerializeToString(deterministic=True)


def send(endpoint: str, headers: Mapping[str, str], signal: str, data: bytes) -> None:
    """Hand an encoded request to a receiver over HTTP, trying again where it says so.

    Raises ServiceError when it refuses, cannot be reached, or did not take all of it.
    """
    import httpx

    url, problem = f"{endpoint.rstrip('/')}/v1/{signal}", ""
    sent = {"content-type": "application/x-protobuf", **headers}
    for attempt in range(_TRIES):
        try:
            answer = httpx.post(url, content=data, headers=sent, timeout=30)
        except httpx.HTTPError as error:
            problem, wait = f"{type(error).__name__}: {error}", None
        else:
            if answer.status_code == 200:
                _check_taken(url, signal, answer.content, answer.headers.get("content-type", ""))
                return
            problem, wait = f"HTTP {answer.status_code}: {answer.text[:200]}", answer.headers.get("retry-after")
            if answer.status_code not in _AGAIN:
                break
        if attempt < _TRIES - 1:
            time.sleep(min(_seconds(wait) or 0.2 * 2**attempt, _LONGEST_WAIT))
    raise ServiceError(f"{url} did not take the {signal}: {problem}; what was sent before is there")


def _seconds(told: str | None) -> float | None:
    try:
        return float(told) if told else None
    except ValueError:
        return None


def _check_taken(url: str, signal: str, content: bytes, kind: str) -> None:
    """Raises ServiceError when the receiver says that it took only a part."""
    if not content or "protobuf" not in kind:
        return
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        # The answers of the three signals are the same on the wire.
        partial: Any = cast("Any", ExportTraceServiceResponse).FromString(content).partial_success
    except DecodeError:
        return
    if partial.rejected_spans:
        raise ServiceError(f"{url} refused {partial.rejected_spans} {signal}: {partial.error_message}")
