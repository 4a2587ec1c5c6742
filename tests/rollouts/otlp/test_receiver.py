"""The receiver, sent to by OpenTelemetry's own exporters and by hand."""

import base64
import gzip
import json
import resource
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb
from trajectory_hub.errors import DiskFull, InfrastructureError, UsageError
from trajectory_hub.rollouts.loopback import Journal
from trajectory_hub.rollouts.otlp import LogRecord, MetricPoint, OtlpReader, OtlpReceiver, SpanRecord, read_otlp

from .senders import CLAUDE, CODEX, EXPORTERS, GEMINI, SESSION, Agent

TOKEN = "a-token-of-this-run"
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
TRACE_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
JSON = {"content-type": "application/json"}
PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[OtlpReceiver]:
    with OtlpReceiver(tmp_path, token=TOKEN, largest_export=1 << 20) as running:
        yield running


def post(receiver: OtlpReceiver, signal: str, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(
        f"{receiver.http_url}/v1/{signal}", content=content, headers={**JSON, **receiver.headers, **named}
    )


def logs(*records: Any) -> dict[str, Any]:
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}


def spans(*records: Any) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(records)}]}]}


@pytest.mark.parametrize("protocol", list(EXPORTERS))
@pytest.mark.parametrize(
    ("service", "events"), [("claude-code", CLAUDE), ("codex_exec", CODEX), ("gemini-cli", GEMINI)]
)
def test_events_of_agents_come_back_as_they_were_sent(
    receiver: OtlpReceiver, tmp_path: Path, protocol: str, service: str, events: tuple[tuple[str, dict[str, Any]], ...]
) -> None:
    agent = Agent(service, receiver, protocol)
    base = 1_763_000_000_123_456_789
    for number, (name, attributes) in enumerate(events):
        agent.event(name, attributes, base + number)
    agent.close()
    found = [record for record in read_otlp(tmp_path) if isinstance(record, LogRecord)]
    assert [(r.event_name, r.body, r.time_unix_nano) for r in found] == [
        (name, name, base + number) for number, (name, _) in enumerate(events)
    ]
    for record, (name, attributes) in zip(found, events, strict=True):
        assert record.attributes == {**SESSION, "event.name": name, **attributes}
        assert record.resource["service.name"] == service
        assert record.scope.name == service
        assert record.scope.version == "2.0"
        assert record.time is not None
        assert record.time.isoformat() == "2025-11-13T02:13:20.123456+00:00"


@pytest.mark.parametrize("protocol", list(EXPORTERS))
def test_ids_of_spans_are_those_of_the_sender(receiver: OtlpReceiver, tmp_path: Path, protocol: str) -> None:
    agent = Agent("claude-code", receiver, protocol)
    start = agent.tracer.start_as_current_span
    with start("claude_code.interaction") as outer, start("claude_code.tool", attributes={"n": 1}) as inner:
        inner.add_event("started", {"attempt": 1})
    agent.close()
    by_name = {record.name: record for record in read_otlp(tmp_path) if isinstance(record, SpanRecord)}
    parent, child = by_name["claude_code.interaction"], by_name["claude_code.tool"]
    assert parent.trace_id == child.trace_id == f"{outer.get_span_context().trace_id:032x}"
    assert child.parent_span_id == parent.span_id == f"{outer.get_span_context().span_id:016x}"
    assert child.span_id == f"{inner.get_span_context().span_id:016x}"
    assert child.attributes == {"n": 1}
    assert child.events[0]["attributes"] == {"attempt": 1}
    assert child.duration_ms is not None
    assert child.duration_ms >= 0


@pytest.mark.parametrize("protocol", list(EXPORTERS))
def test_deltas_stay_deltas(receiver: OtlpReceiver, tmp_path: Path, protocol: str) -> None:
    agent = Agent("claude-code", receiver, protocol)
    tokens = agent.meter.create_counter("claude_code.token.usage", "tokens")
    latency = agent.meter.create_histogram("gemini_cli.tool.call.latency", "ms")
    tokens.add(5, {"type": "input"})
    latency.record(12.5)
    agent.send_metrics()
    tokens.add(7, {"type": "input"})
    agent.send_metrics()
    agent.close()
    points = [record for record in read_otlp(tmp_path) if isinstance(record, MetricPoint)]
    sums = [point for point in points if point.name == "claude_code.token.usage"]
    assert [(p.value, p.kind, p.temporality, p.monotonic) for p in sums] == [
        (5, "sum", "delta", True),
        (7, "sum", "delta", True),
    ]
    (histogram,) = (point for point in points if point.kind == "histogram")
    assert (histogram.value, histogram.count, histogram.temporality) == (12.5, 1, "delta")
    assert sum(map(int, histogram.data["bucketCounts"])) == 1


def test_json_keeps_ids_large_integers_and_what_is_not_known(receiver: OtlpReceiver, tmp_path: Path) -> None:
    record = {
        "traceId": TRACE.upper(),
        "spanId": SPAN,
        "timeUnixNano": "1763000000123456789",
        "attributes": [
            {"key": "big", "value": {"intValue": "9223372036854775807"}},
            {"key": "small", "value": {"intValue": 7}},
            {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"doubleValue": "NaN"}]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": False}}]}}},
            {"key": "raw", "value": {"bytesValue": base64.b64encode(b"\0\xff").decode()}},
        ],
        "fieldOfTomorrow": {"deep": [1, {"x": "\ud800"}]},
    }
    assert post(receiver, "logs", logs(record)).json() == {}
    (found,) = read_otlp(tmp_path)
    assert isinstance(found, LogRecord)
    assert (found.trace_id, found.span_id, found.time_unix_nano) == (TRACE, SPAN, 1763000000123456789)
    assert found.attributes.pop("list")[1] != found.attributes.get("list")
    assert found.attributes == {"big": 2**63 - 1, "small": 7, "map": {"k": False}, "raw": b"\0\xff"}
    assert found.extra == {"fieldOfTomorrow": {"deep": [1, {"x": "\ud800"}]}}


def test_base64_ids_and_names_of_other_libraries_are_understood(receiver: OtlpReceiver, tmp_path: Path) -> None:
    odd = {
        "trace_id": base64.b64encode(bytes.fromhex(TRACE)).decode(),
        "span_id": base64.b64encode(bytes.fromhex(SPAN)).decode(),
        "name": "chat",
        "kind": "SPAN_KIND_CLIENT",
        "start_time_unix_nano": 5,
    }
    sent = {"resource_spans": [{"scope_spans": [{"spans": [odd]}]}]}
    assert post(receiver, "traces", sent).json() == {}
    (found,) = read_otlp(tmp_path)
    assert isinstance(found, SpanRecord)
    assert (found.trace_id, found.span_id, found.kind, found.start_unix_nano) == (TRACE, SPAN, 3, 5)


def test_what_cannot_be_taken_is_counted_and_the_rest_is_kept(receiver: OtlpReceiver, tmp_path: Path) -> None:
    good = {"traceId": TRACE, "spanId": SPAN, "name": "good"}
    answer = post(receiver, "traces", spans(good, {"name": "no ids"}, {**good, "traceId": "xyz"}, 17))
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "3"
    assert "hexadecimal" in answer.json()["partialSuccess"]["errorMessage"]
    reader = OtlpReader(tmp_path)
    assert [record.name for record in reader if isinstance(record, SpanRecord)] == ["good"]
    assert sum(reader.rejected.values()) == 3


def test_protobuf_answers_partial_success_too(receiver: OtlpReceiver) -> None:
    request = trace_pb.ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"short", span_id=b"12345678", name="x")
    answer = post(receiver, "traces", request.SerializeToString(), **PROTOBUF)
    told = trace_pb.ExportTraceServiceResponse.FromString(answer.content)
    assert told.partial_success.rejected_spans == 1
    assert "traceId" in told.partial_success.error_message
    channel: Any = grpc.insecure_channel(receiver.grpc_target)
    with channel:
        read: Any = trace_pb.ExportTraceServiceResponse.FromString
        export = channel.unary_unary(TRACE_METHOD, response_deserializer=read)
        metadata = tuple(receiver.headers.items())
        assert export(request.SerializeToString(), metadata=metadata).partial_success.rejected_spans == 1


def test_unknown_fields_of_protobuf_are_kept(receiver: OtlpReceiver, tmp_path: Path) -> None:
    request = logs_pb.ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)
    body = request.SerializeToString() + b"\xba\x3e\x03new"  # field 999, of a later version
    assert post(receiver, "logs", body, **PROTOBUF).status_code == 200
    line = json.loads((tmp_path / "otlp.jsonl").read_text())
    assert base64.b64decode(line["protobuf"]) == body
    assert len(list(read_otlp(tmp_path))) == 1


@pytest.mark.parametrize(
    ("path", "method", "headers", "body", "status"),
    [
        ("/v1/logs", "POST", {"authorization": "Bearer wrong"}, b"{}", 401),
        ("/v1/logs", "POST", {"authorization": ""}, b"{}", 401),
        ("/v1/profiles", "POST", {}, b"{}", 404),
        ("/v1/logs", "GET", {}, b"", 405),
        ("/v1/logs", "POST", {"content-type": "text/plain"}, b"{}", 415),
        ("/v1/logs", "POST", {"content-encoding": "zstd"}, b"{}", 415),
        ("/v1/logs", "POST", {}, b"{", 400),
        ("/v1/logs", "POST", {}, b"[" * 100_000, 400),
        ("/v1/logs", "POST", {}, b'{"resourceLogs": 3}', 400),
        ("/v1/logs", "POST", PROTOBUF, b"\xff\xff\xff", 400),
        ("/v1/logs", "POST", {"content-encoding": "gzip"}, b"{}", 400),
        ("/v1/logs", "POST", {"content-encoding": "gzip"}, gzip.compress(b"{}")[:-4], 400),
        ("/v1/logs", "POST", {}, b" " * ((1 << 20) + 1), 413),
        ("/v1/logs", "POST", {"content-encoding": "gzip"}, gzip.compress(b" " * (1 << 26)), 413),
    ],
)
def test_what_is_no_export_is_refused(
    receiver: OtlpReceiver, tmp_path: Path, path: str, method: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    every = {**JSON, **receiver.headers, **headers}
    answer = httpx.request(method, receiver.http_url + path, content=body, headers=every)
    assert answer.status_code == status
    assert (tmp_path / "otlp.jsonl").read_bytes() == b""
    assert post(receiver, "logs", logs({"timeUnixNano": 1})).status_code == 200


@pytest.mark.parametrize(
    ("token", "body", "code"),
    [
        ("wrong", b"", grpc.StatusCode.UNAUTHENTICATED),
        (TOKEN, b"\xff\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
        (TOKEN, b" " * ((1 << 20) + 1), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_grpc_refuses_alike(receiver: OtlpReceiver, token: str, body: bytes, code: grpc.StatusCode) -> None:
    channel: Any = grpc.insecure_channel(receiver.grpc_target)
    with channel:
        export = channel.unary_unary(TRACE_METHOD)
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            with pytest.raises(grpc.RpcError) as caught:
                export(body, metadata=(("authorization", f"Bearer {token}"),), compression=compression, timeout=10)
            assert caught.value.code() == code  # pyright: ignore


def test_the_same_export_sent_twice_counts_once(receiver: OtlpReceiver, tmp_path: Path) -> None:
    for body in (logs({"timeUnixNano": 1}), logs({"timeUnixNano": 1}), logs({"timeUnixNano": 2})):
        post(receiver, "logs", body)
    reader = OtlpReader(tmp_path)
    assert [record.time_unix_nano for record in reader if isinstance(record, LogRecord)] == [1, 2]
    assert (reader.repeated, reader.exports) == (1, 2)


def test_a_torn_last_line_is_left_out_and_then_cut_off(tmp_path: Path) -> None:
    with OtlpReceiver(tmp_path, token=None) as first:
        post(first, "logs", logs({"timeUnixNano": 1}))
    file = tmp_path / "otlp.jsonl"
    file.write_bytes(file.read_bytes() + b'{"received":"2026-01-01T00:00:00Z","sig')
    reader = OtlpReader(tmp_path)
    assert len(list(reader)) == 1
    assert reader.torn == 39
    with OtlpReceiver(tmp_path, token=None) as second:
        post(second, "logs", logs({"timeUnixNano": 2}))
    reader = OtlpReader(tmp_path)
    assert len(list(reader)) == 2
    assert (reader.torn, reader.problems) == (0, [])


def test_a_damaged_line_is_named(receiver: OtlpReceiver, tmp_path: Path) -> None:
    post(receiver, "logs", logs({"timeUnixNano": 1}))
    file = tmp_path / "otlp.jsonl"
    file.write_bytes(b'{"data": 1}\nnoise\n' + file.read_bytes())
    reader = OtlpReader(file)
    assert len(list(reader)) == 1
    assert [problem.split(":")[1] for problem in reader.problems] == ["1", "2"]


def test_a_full_folder_is_told_as_rejected(tmp_path: Path) -> None:
    with OtlpReceiver(tmp_path, token=None, largest_file=100) as receiver:
        assert post(receiver, "logs", logs({"timeUnixNano": 1})).json() == {}
        told = post(receiver, "logs", logs({"timeUnixNano": 2}, {"timeUnixNano": 3})).json()["partialSuccess"]
    assert told["rejectedLogRecords"] == "2"
    assert "largest size" in told["errorMessage"]
    assert len(list(read_otlp(tmp_path))) == 1


def test_no_room_is_no_loss(tmp_path: Path) -> None:
    """What does not fit is told to whoever wrote it; what was there stays, and it goes on when there is room."""
    journal = Journal(tmp_path / "lines")
    journal.append(b"first\n").result()
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    try:
        with pytest.raises(DiskFull):
            journal.append(b"x" * 8192 + b"\n").result()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    journal.append(b"second\n").result()
    journal.close()
    assert (tmp_path / "lines").read_bytes() == b"first\nsecond\n"


def test_only_this_machine_is_listened_to(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this machine alone"):
        OtlpReceiver(tmp_path, token=None, host="0.0.0.0")
    with socket.create_server(("0.0.0.0", 0)) as open_to_all, pytest.raises(UsageError, match="this machine alone"):
        OtlpReceiver(tmp_path, token=None, http_socket=open_to_all)


def test_a_folder_and_a_port_have_one_receiver(receiver: OtlpReceiver, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another process"):
        OtlpReceiver(tmp_path, token=None)
    port = int(receiver.http_url.rpartition(":")[2])
    with pytest.raises(InfrastructureError, match="another port"):
        OtlpReceiver(tmp_path / "other", token=None, http_port=port)


def test_environment_is_what_an_sdk_reads(receiver: OtlpReceiver) -> None:
    assert receiver.environment("grpc") == {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{receiver.grpc_target}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{TOKEN}",
    }
    assert receiver.environment()["OTEL_EXPORTER_OTLP_ENDPOINT"] == receiver.http_url


def test_reading_takes_constant_memory(tmp_path: Path) -> None:
    with OtlpReceiver(tmp_path, token=None, grpc_port=None) as receiver:
        record = {"timeUnixNano": 1, "body": {"stringValue": "x" * 2000}}
        with httpx.Client() as client:
            for number in range(40):
                body = json.dumps(logs({**record, "timeUnixNano": number}, *[record] * 99))
                client.post(f"{receiver.http_url}/v1/logs", content=body, headers=JSON)
    assert (tmp_path / "otlp.jsonl").stat().st_size > 8_000_000
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_otlp(tmp_path)) == 4000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000
