"""`trajhub trace receive`: telemetry of any agent on this machine, kept in a folder."""

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ... import console
from ..interrupt_cli import interruptible

if TYPE_CHECKING:
    from .receiver import OtlpReceiver

__all__ = ["receive", "telemetry"]

_AGENTS = {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_TRACES_EXPORTER": "otlp",
}


def receive(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for otlp.jsonl; an existing one is continued.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="HTTP port; 0: a free one.")] = 4318,
    grpc_port: Annotated[int, typer.Option("--grpc-port", min=0, max=65535, help="gRPC port; 0: a free one.")] = 4317,
    token: Annotated[
        str | None,
        typer.Option("--token", envvar="TRAJHUB_TOKEN", help="Token that senders must give; default: a new one."),
    ] = None,
    open_to_all: Annotated[bool, typer.Option("--no-token", help="Accept anybody on this machine.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON once it listens.")] = False,
) -> None:
    """Receive OpenTelemetry (OTLP over HTTP and gRPC) on this machine, until Ctrl-C. Nothing answered is lost."""
    from secrets import token_urlsafe

    from .receiver import OtlpReceiver

    secret = None if open_to_all else token or token_urlsafe(24)
    stopping = threading.Event()
    with interruptible("closing the receiver", stopping.set):
        with OtlpReceiver(out, token=secret, http_port=port, grpc_port=grpc_port) as receiver:
            _announce(receiver, as_json)
            while not stopping.wait(1):
                pass
        print(f"trajhub: {receiver.records} records received", file=sys.stderr)
    console.next_steps(receiver.path, f"trajhub trace telemetry {out}")


def _announce(receiver: "OtlpReceiver", as_json: bool) -> None:
    http, grpc = receiver.environment("http/protobuf"), receiver.environment("grpc")
    if as_json:
        console.emit_json({"file": str(receiver.path), "http": http, "grpc": grpc})
    else:
        print(f"Listening at {receiver.http_url} (HTTP) and {receiver.grpc_target} (gRPC). For an agent:")
        for name, value in {**_AGENTS, **http}.items():
            print(f"export {name}='{value}'")
    sys.stdout.flush()


def telemetry(
    path: Annotated[Path, typer.Argument(help="Folder of a receiver, or its file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count what a receiver has received, by sender, signal and name."""
    from .reading import OtlpReader
    from .summary import summarise

    reader = OtlpReader(path)
    rows = summarise(reader)
    odd = {"repeated": reader.repeated, "rejected": reader.rejected, "torn_bytes": reader.torn}
    if as_json:
        shown = [dict(zip(("sender", "signal", "name", "records"), row, strict=True)) for row in rows]
        console.emit_json({"file": str(reader.path), "exports": reader.exports, **odd, "records": shown})
    else:
        console.table(f"Telemetry in {reader.path}", ("sender", "signal", "name", "records"), rows)
        print(f"{reader.exports} exports; {reader.repeated} records came again and count once")
        for why, number in reader.rejected.items():
            print(f"rejected: {number} x {console.safe(why)}")
    for problem in reader.problems:
        print(f"trajhub: {console.safe(problem)}", file=sys.stderr)
    console.next_steps(reader.path)
