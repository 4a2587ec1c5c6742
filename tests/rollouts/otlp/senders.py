"""Agents' telemetry, sent by OpenTelemetry's own SDK as each agent documents its events."""

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from trajectory_hub.rollouts.otlp import OtlpReceiver

SESSION = {"session.id": "6f1c0d9e-0000-4000-8000-000000000001", "user.id": "a" * 64, "terminal.type": "xterm"}
CLAUDE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("claude_code.user_prompt", {"prompt_length": 42, "prompt.id": "p1", "event.sequence": 0}),
    (
        "claude_code.api_request",
        {
            "model": "claude-sonnet-4-20250514",
            "cost_usd": 0.0123,
            "duration_ms": 2400,
            "input_tokens": 12,
            "output_tokens": 345,
            "cache_read_tokens": 9007199254740993,
            "cache_creation_tokens": 0,
            "request_id": "req_011",
            "event.sequence": 1,
        },
    ),
    (
        "claude_code.tool_result",
        {"tool_name": "Bash", "tool_use_id": "toolu_1", "success": "true", "duration_ms": 31, "event.sequence": 2},
    ),
)
CODEX: tuple[tuple[str, dict[str, Any]], ...] = (
    ("codex.conversation_starts", {"provider_name": "openai", "approval_policy": "never"}),
    ("codex.sse_event", {"event.kind": "response.completed", "input_token_count": 900, "output_token_count": 41}),
    ("codex.tool_result", {"tool_name": "shell", "call_id": "call_1", "duration_ms": "88", "success": "true"}),
)
GEMINI: tuple[tuple[str, dict[str, Any]], ...] = (
    ("gemini_cli.config", {"model": "gemini-2.5-pro", "sandbox_enabled": False}),
    ("gemini_cli.api_response", {"model": "gemini-2.5-pro", "input_token_count": 77, "status_code": 200}),
    ("gemini_cli.tool_call", {"function_name": "read_file", "duration_ms": 5, "success": True}),
)

Senders = Mapping[str, Callable[[OtlpReceiver], tuple[Any, Any, Any]]]


def _http(receiver: OtlpReceiver) -> tuple[Any, Any, Any]:
    url = receiver.http_url
    more: dict[str, Any] = {"headers": receiver.headers, "compression": Compression.Gzip}
    deltas = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
    return (
        HttpLogs(endpoint=f"{url}/v1/logs", **more),
        HttpSpans(endpoint=f"{url}/v1/traces", **more),
        HttpMetrics(endpoint=f"{url}/v1/metrics", preferred_temporality=deltas, **more),
    )


def _grpc(receiver: OtlpReceiver) -> tuple[Any, Any, Any]:
    more: dict[str, Any] = {
        "endpoint": receiver.grpc_target,
        "insecure": True,
        "headers": tuple(receiver.headers.items()),
    }
    deltas = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
    return GrpcLogs(**more), GrpcSpans(**more), GrpcMetrics(preferred_temporality=deltas, **more)


EXPORTERS: Senders = {"http": _http, "grpc": _grpc}


class Agent:
    """An agent's SDK, which sends each event when it happens."""

    def __init__(self, service: str, receiver: OtlpReceiver, protocol: str) -> None:
        logs, spans, metrics = EXPORTERS[protocol](receiver)
        resource = Resource.create({"service.name": service, "service.version": "1.0"})
        self._logs, self._traces = LoggerProvider(resource=resource), TracerProvider(resource=resource)
        self._logs.add_log_record_processor(SimpleLogRecordProcessor(logs))
        self._traces.add_span_processor(SimpleSpanProcessor(spans))
        reader = PeriodicExportingMetricReader(metrics, export_interval_millis=3_600_000)
        self._metrics = MeterProvider([reader], resource=resource)
        self.logger = self._logs.get_logger(service, "2.0")
        self.tracer = self._traces.get_tracer(service, "2.0")
        self.meter = self._metrics.get_meter(service, "2.0")

    def event(self, name: str, attributes: Mapping[str, Any], time_ns: int) -> None:
        self.logger.emit(
            LogRecord(timestamp=time_ns, body=name, attributes={**SESSION, "event.name": name, **attributes})
        )

    def send_metrics(self) -> None:
        self._metrics.force_flush()

    def close(self) -> None:
        for provider in (self._logs, self._traces, self._metrics):
            provider.shutdown()
