"""A receiver that is killed while agents send: what it said it had is there, once."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry._logs import LogRecord as SdkRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import LogRecordExportResult, SimpleLogRecordProcessor
from trajectory_hub.rollouts.otlp import LogRecord, OtlpReader

TOKEN = "the-token-of-this-run"


def free_ports() -> tuple[int, int]:
    """Two below those that the kernel gives away: while nobody listens there, no client may come to own them."""
    found = list[int]()
    while len(found) < 2:
        with suppress(OSError), socket.create_server(("127.0.0.1", random.randrange(20_000, 32_000))) as one:
            found.append(one.getsockname()[1])
    return found[0], found[1]


class Killable:
    """`trajhub trace receive` as a process of its own."""

    def __init__(self, folder: Path, ports: tuple[int, int]) -> None:
        command = [sys.executable, "-m", "trajectory_hub", "trace", "receive", "-o", str(folder), "--token", TOKEN]
        command += ["--port", str(ports[0]), "--grpc-port", str(ports[1]), "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        lines = ""
        while not lines.rstrip().endswith("}\n}"):
            line = self.process.stdout.readline()
            assert line, self.process.communicate()[1]
            lines += line
        self.told: dict[str, Any] = json.loads(lines)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> str:
        self.process.send_signal(signal.SIGINT)
        errors = self.process.communicate(timeout=100)[1]
        assert self.process.returncode == 0, errors
        return errors


class Sender(threading.Thread):
    """Sends records one by one until told to stop; a real exporter, which tries again by itself."""

    def __init__(self, exporter: Any, name: str) -> None:
        super().__init__(daemon=True)
        self.exporter, self.label = exporter, name
        self.acknowledged = list[str]()
        self.unsure = list[str]()
        self.stopping = False

    def run(self) -> None:
        provider = LoggerProvider(shutdown_on_exit=False)
        told = self

        class Told(SimpleLogRecordProcessor):
            """Knows what the exporter said of each record."""

            def on_emit(self, log_record: Any) -> None:
                body = str(log_record.log_record.body)
                good = told.exporter.export([log_record]) is LogRecordExportResult.SUCCESS
                (told.acknowledged if good else told.unsure).append(body)

        provider.add_log_record_processor(Told(self.exporter))
        logger, number = provider.get_logger("sender"), 0
        while not self.stopping:
            logger.emit(SdkRecord(timestamp=time.time_ns(), body=f"{self.label}-{number}"))
            number += 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_when_the_receiver_is_killed(tmp_path: Path) -> None:
    ports = free_ports()
    receiver = Killable(tmp_path, ports)
    headers = {"authorization": f"Bearer {TOKEN}"}
    http, grpc = f"http://127.0.0.1:{ports[0]}/v1/logs", f"127.0.0.1:{ports[1]}"
    exporters = [HttpLogs(endpoint=http, headers=headers, timeout=30) for _ in range(2)]
    exporters += [GrpcLogs(endpoint=grpc, insecure=True, headers=tuple(headers.items()), timeout=30) for _ in range(2)]
    senders = [Sender(exporter, f"s{number}") for number, exporter in enumerate(exporters)]
    for sender in senders:
        sender.start()
    for _ in range(3):
        before = [len(sender.acknowledged) for sender in senders]
        wait_for_more(senders, before)
        receiver.kill()
        receiver = Killable(tmp_path, ports)
    wait_for_more(senders, [len(sender.acknowledged) for sender in senders])
    for sender in senders:
        sender.stopping = True
    for sender in senders:
        sender.join(120)
    assert "Results: " in receiver.end()
    reader = OtlpReader(tmp_path)
    found = Counter(str(record.body) for record in reader if isinstance(record, LogRecord))
    acknowledged = {body for sender in senders for body in sender.acknowledged}
    unsure = {body for sender in senders for body in sender.unsure}
    assert len(acknowledged) > 50
    assert acknowledged <= found.keys()
    assert found.keys() <= acknowledged | unsure
    assert set(found.values()) == {1}
    assert reader.problems == []


def wait_for_more(senders: list[Sender], before: list[int]) -> None:
    """Every sender got some more through."""
    deadline = time.monotonic() + 120
    while any(len(sender.acknowledged) < old + 5 for sender, old in zip(senders, before, strict=True)):
        assert time.monotonic() < deadline, [len(sender.acknowledged) for sender in senders]
        time.sleep(0.02)


def test_the_command_says_how_to_send_and_what_came(tmp_path: Path) -> None:
    receiver = Killable(tmp_path, (0, 0))
    told = receiver.told["http"]
    name, _, value = told["OTEL_EXPORTER_OTLP_HEADERS"].partition("=")
    record = {"attributes": [{"key": "event.name", "value": {"stringValue": "codex.tool_result"}}]}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    url = told["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/logs"
    answer = httpx.post(url, json=body, headers={name: value.replace("%20", " ")})
    assert answer.status_code == 200
    assert "1 records received" in receiver.end()
    command = [sys.executable, "-m", "trajectory_hub", "trace", "telemetry", str(tmp_path), "--json"]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True, env=dict(os.environ)).stdout)
    assert shown["records"] == [{"sender": "", "signal": "logs", "name": "codex.tool_result", "records": 1}]
