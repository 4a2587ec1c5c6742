"""A receiver of OTLP on this machine: HTTP and gRPC, with a token, durable before it answers."""

import socket
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

from ...errors import MissingExtra
from ..loopback import HttpServer, Journal, Limits, listen_on_loopback
from .reading import OTLP

try:
    from .exports import Export
    from .grpc_server import GrpcServer
    from .http import HttpExports
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in ("google", "grpc", "h11", "opentelemetry"):
        raise
    message = f"receiving telemetry needs {error.name}: pip install 'agent-trajectory-hub[trace]'"
    raise MissingExtra(message) from error

__all__ = ["OtlpReceiver", "Protocol"]

Protocol = Literal["http/protobuf", "http/json", "grpc"]

_LARGEST = 1 << 25
_FULL = 1 << 35


class OtlpReceiver:
    """Appends every export to `folder/otlp.jsonl`, one line each, and answers when it is on disk.

    Listens in threads of its own, between `start` and `close` or as a context manager. A line holds when the export
    came (`received`), its `signal`, its id (`export`), how many `records` it has, what was `rejected`, and `data`: the
    export as OTLP/JSON. Read it with `read_otlp`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        token: str | None,
        http_port: int = 0,
        grpc_port: int | None = 0,
        host: str = "127.0.0.1",
        http_socket: socket.socket | None = None,
        grpc_socket: socket.socket | None = None,
        largest_export: int = _LARGEST,
        largest_file: int = _FULL,
        fsync: bool = True,
    ) -> None:
        """Sockets that listen already are taken instead of ports. `token` None: anybody on this machine may send;
        `grpc_port` None: no gRPC, unless there is a socket for it. Exports of more than `largest_export` bytes
        (unpacked), and all that come when the file has `largest_file` bytes, are refused.

        Raises UsageError for an address that others reach and for a folder in use, InfrastructureError for a port in
        use.
        """
        self.path = folder / OTLP
        self.token = token
        self._journal = Journal(self.path, fsync=fsync, max_bytes=largest_file)
        self._counting = Lock()
        self.records = 0
        """Records taken so far, by this receiver."""
        exports = HttpExports(self._keep, token, largest_export)
        limits = Limits(body_bytes=largest_export)
        sockets = list[socket.socket]()
        try:
            http = http_socket or listen_on_loopback(host, http_port)
            sockets.append(http)
            self._http = HttpServer(http, exports.handle, admit=exports.admit, limits=limits, name="trajhub-otlp")
            self._grpc: GrpcServer | None = None
            if grpc_socket is not None or grpc_port is not None:
                inner = grpc_socket or listen_on_loopback(host, grpc_port or 0)
                sockets.append(inner)
                self._grpc = GrpcServer(inner, self._keep, token, largest_export)
        except BaseException:
            self._journal.close()
            for one in sockets:
                one.close()
            raise

    @property
    def http_url(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT` with http/protobuf and http/json."""
        return f"http://{self._http.address}"

    @property
    def grpc_target(self) -> str:
        """`host:port`; empty without gRPC."""
        return self._grpc.address if self._grpc is not None else ""

    @property
    def headers(self) -> dict[str, str]:
        """What a sender must add to each request."""
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}

    def environment(self, protocol: Protocol = "http/protobuf") -> dict[str, str]:
        """The `OTEL_…` variables that make an SDK send here."""
        endpoint = f"http://{self.grpc_target}" if protocol == "grpc" else self.http_url
        pairs = ",".join(f"{name}={quote(value)}" for name, value in self.headers.items())
        variables = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        return {**variables, "OTEL_EXPORTER_OTLP_HEADERS": pairs} if pairs else variables

    def start(self) -> Self:
        """Begin to listen."""
        self._http.start()
        if self._grpc is not None:
            self._grpc.start()
        return self

    def close(self) -> None:
        """Stop listening; what was accepted is on disk. May be called again."""
        self._http.close()
        if self._grpc is not None:
            self._grpc.close()
        self._journal.close()

    def _keep(self, export: Export) -> "tuple[Export, Future[None] | None]":
        if not export.line:
            return export, None
        if self._journal.full:
            return export.refused(f"{self.path.name} has reached its largest size"), None
        with self._counting:
            self.records += export.records
        return export, self._journal.append(export.line)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
