"""A receiver of OTLP on this machine: HTTP and gRPC, with a token, durable before it answers."""

import socket
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

__all__ = ["OtlpReceiver"]

Protocol = Literal["http/protobuf", "http/json", "grpc"]


class OtlpReceiver:
    """Listens in threads of its own, between `start` and `close` or as a context manager."""

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
    ) -> None:
        """`token` None: anybody on this machine may send. `grpc_port` None: no gRPC."""
        raise NotImplementedError

    @property
    def http_url(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT` with http/protobuf and http/json."""
        raise NotImplementedError

    @property
    def grpc_target(self) -> str:
        """`host:port`."""
        raise NotImplementedError

    @property
    def headers(self) -> dict[str, str]:
        """What a sender must add to each request."""
        raise NotImplementedError

    def environment(self, protocol: Protocol = "http/protobuf") -> dict[str, str]:
        """The `OTEL_…` variables that make an SDK send here."""
        raise NotImplementedError

    def start(self) -> Self:
        """Begin to listen. Raises InfrastructureError when a port is taken, UsageError when the file is in use."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop listening; what was accepted is on disk. May be called again."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
