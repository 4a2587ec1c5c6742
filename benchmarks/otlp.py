"""How many events a second the receiver takes and has on disk, and that a restart loses none.

    python -m trajectory_hub.benchmarks.otlp [--events 20000] [--rounds 5] [--senders 4] [--json FILE]

The events are `claude_code.api_request` with 14 attributes, 512 in an export, as OpenTelemetry's batch processor sends
them. Of three ways rounds are interleaved: HTTP and gRPC into the receiver, which is a process of its own and answers
when an export is on disk; and `parse`, the floor: the same exports through opentelemetry-proto's parser and appended
to a file in one process, without network, conversion to JSON or fsync. Then a receiver is killed with SIGKILL several
times while exports are sent, and events acknowledged are compared with events read back.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from ..rollouts.otlp import LogRecord, OtlpReader

__all__ = ["main", "measure", "restarts"]

_BATCH = 512
_METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
_TOKEN = "token-of-the-benchmark"
_HEADERS = {"content-type": "application/x-protobuf", "authorization": f"Bearer {_TOKEN}"}
_METADATA = (("authorization", f"Bearer {_TOKEN}"),)
_KILLS = 3
_ATTRIBUTES: dict[str, str | int | float] = {
    "event.name": "claude_code.api_request",
    "session.id": "6f1c0d9e-0000-4000-8000-000000000001",
    "user.id": "a" * 64,
    "terminal.type": "xterm",
    "prompt.id": "2f1c0d9e-0000-4000-8000-000000000001",
    "model": "claude-sonnet-4-20250514",
    "cost_usd": 0.0123,
    "duration_ms": 2400,
    "input_tokens": 12,
    "output_tokens": 345,
    "cache_read_tokens": 18000,
    "cache_creation_tokens": 250,
    "request_id": "req_011CSqwertyuiop",
}


def _export(first: int, count: int) -> bytes:
    request = logs.ExportLogsServiceRequest()
    holder = request.resource_logs.add()
    holder.resource.attributes.add(key="service.name").value.string_value = "claude-code"
    scope = holder.scope_logs.add()
    for number in range(first, first + count):
        record = scope.log_records.add(time_unix_nano=1_763_000_000_000_000_000 + number)
        record.body.string_value = "claude_code.api_request"
        for key, value in _ATTRIBUTES.items():
            _set(record.attributes.add(key=key), value)
        _set(record.attributes.add(key="event.sequence"), number)
    return request.SerializeToString()


def _set(pair: KeyValue, value: str | int | float) -> None:
    kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
    setattr(pair.value, kind, value)


class _Receiver:
    """`trajhub trace receive` in a process of its own."""

    def __init__(self, folder: Path, ports: tuple[int, int] = (0, 0)) -> None:
        command = [sys.executable, "-m", "trajectory_hub", "trace", "receive", "-o", str(folder), "--token", _TOKEN]
        command += ["--port", str(ports[0]), "--grpc-port", str(ports[1]), "--json"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        text = ""
        while not text.endswith("}\n}\n"):
            text += self._process.stdout.readline()
        told = json.loads(text)
        self.http: str = told["http"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
        self.grpc: str = told["grpc"]["OTEL_EXPORTER_OTLP_ENDPOINT"].removeprefix("http://")

    @property
    def ports(self) -> tuple[int, int]:
        """Of HTTP and gRPC."""
        return int(self.http.rpartition(":")[2]), int(self.grpc.rpartition(":")[2])

    def end(self, number: int = signal.SIGINT) -> None:
        """End it."""
        self._process.send_signal(number)
        self._process.communicate()


def _over_http(receiver: _Receiver) -> Callable[[bytes], None]:
    client = httpx.Client(headers=_HEADERS, timeout=30)
    return lambda body: client.post(f"{receiver.http}/v1/logs", content=body).raise_for_status() and None


def _over_grpc(receiver: _Receiver) -> Callable[[bytes], None]:
    channel: Any = grpc.insecure_channel(receiver.grpc)
    export = channel.unary_unary(_METHOD)
    return lambda body: export(body, metadata=_METADATA, timeout=30) and None


def _send_all(exports: list[bytes], senders: list[Callable[[bytes], None]]) -> None:
    """Each sender sends its share, one export after another."""

    def share(place: int) -> None:
        for body in exports[place :: len(senders)]:
            senders[place](body)

    work = [threading.Thread(target=share, args=(place,)) for place in range(len(senders))]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()


def _floor(exports: list[bytes], path: Path) -> None:
    with path.open("ab") as file:
        for body in exports:
            logs.ExportLogsServiceRequest.FromString(body)
            file.write(body)


def measure(events: int, rounds: int, senders: int) -> dict[str, Any]:
    """Medians of interleaved rounds in events a second; events sent and read back."""
    exports = [_export(first, _BATCH) for first in range(0, events, _BATCH)]
    count, rates = len(exports) * _BATCH, {"http": list[float](), "grpc": list[float](), "parse": list[float]()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        receiver = _Receiver(folder / "received")
        ways: dict[str, Callable[[], None]] = {
            "http": lambda: _send_all(exports, [_over_http(receiver) for _ in range(senders)]),
            "grpc": lambda: _send_all(exports, [_over_grpc(receiver) for _ in range(senders)]),
            "parse": lambda: _floor(exports, folder / "floor"),
        }
        for way, work in list(ways.items()) * (rounds + 1):
            start = time.perf_counter()
            work()
            rates[way].append(count / (time.perf_counter() - start))
        receiver.end()
        start = time.perf_counter()
        reader = OtlpReader(folder / "received")
        distinct = sum(1 for _ in reader)
        read_rate = (distinct + reader.repeated) / (time.perf_counter() - start)
    medians = {f"{way}_events_per_s": round(statistics.median(found[1:])) for way, found in rates.items()}
    sent = count * (rounds + 1) * 2
    return {
        **medians,
        "read_events_per_s": round(read_rate),
        "sent": sent,
        "read_back": distinct + reader.repeated,
        "rounds": rounds,
    }


def restarts() -> dict[str, int]:
    """Kill a receiver while two senders send batches of 16, which they repeat until they are acknowledged."""
    with tempfile.TemporaryDirectory() as name:
        receiver = _Receiver(Path(name))
        ports, stop, acknowledged = receiver.ports, threading.Event(), set[int]()

        def send(way: Callable[[_Receiver], Callable[[bytes], None]], first: int) -> None:
            number, client = first, way(receiver)
            while not stop.is_set():
                try:
                    client(_export(number, 16))
                except (httpx.HTTPError, grpc.RpcError):
                    time.sleep(0.05)
                    continue
                acknowledged.update(range(number, number + 16))
                number += 16

        threads = [
            threading.Thread(target=send, args=(_over_http, 0)),
            threading.Thread(target=send, args=(_over_grpc, 1 << 30)),
        ]
        for thread in threads:
            thread.start()
        for _ in range(_KILLS):
            time.sleep(1)
            receiver.end(signal.SIGKILL)
            receiver = _Receiver(Path(name), ports)
        time.sleep(2)
        stop.set()
        for thread in threads:
            thread.join()
        receiver.end()
        reader = OtlpReader(Path(name))
        found = [int(record.attributes["event.sequence"]) for record in reader if isinstance(record, LogRecord)]
    return {
        "restarts": _KILLS,
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - set(found)),
        "twice": len(found) - len(set(found)),
        "sent_again_and_left_out": reader.repeated,
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Throughput and durability of the OTLP receiver.")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    figures = dict[str, Any]()
    for work in (lambda: measure(options.events, options.rounds, options.senders), restarts):
        found = work()
        figures |= found
        for name, value in found.items():
            print(f"{name:<26} {value:>12,}", flush=True)
    print(f"{'load average':<26} {os.getloadavg()[0]:>12.1f}   on {os.cpu_count()} cores")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
