"""OTLP over gRPC: the three services of the protocol, unary exports."""

import socket
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from ...errors import DiskFull, InfrastructureError
from ..loopback import address_of, bearer, same_secret
from .exports import SIGNALS, Malformed, read_export
from .http import Keep
from .records import Signal
from .relay import Relay

__all__ = ["GrpcServer"]

_WORKERS = 32
"""Exports at once: those that wait for the disk wait together."""


class GrpcServer:
    """Serves a listening socket of this machine, between `start` and `close`.

    grpcio takes no sockets, so it serves one in a private folder, and a relay joins the two. That also makes it serve
    in whatever network the listening socket belongs to.
    """

    def __init__(self, listening: socket.socket, keep: Keep, token: str | None, largest: int) -> None:
        self.address = address_of(listening)
        self._keep, self._token = keep, token
        self._folder = tempfile.TemporaryDirectory(prefix="trajhub-otlp-")
        inner = Path(self._folder.name) / "grpc.sock"
        options = [("grpc.max_receive_message_length", largest), ("grpc.so_reuseport", 0)]
        self._pool = ThreadPoolExecutor(_WORKERS, "trajhub-otlp-grpc")
        self._server = grpc.server(self._pool, options=options, maximum_concurrent_rpcs=4 * _WORKERS)
        self._server.add_generic_rpc_handlers((_Services(self._export),))
        try:
            self._server.add_insecure_port(f"unix:{inner}")
        except RuntimeError as error:
            raise InfrastructureError(f"gRPC cannot listen at {inner}: {error}") from error
        self._relay = Relay(listening, str(inner))

    def start(self) -> None:
        """Begin to serve."""
        self._server.start()
        self._relay.start()

    def close(self) -> None:
        """Stop; exports under way are finished. May be called again."""
        self._server.stop(grace=2).wait()
        self._relay.close()
        self._pool.shutdown()
        self._folder.cleanup()

    def _export(self, signal: Signal, body: bytes, context: Any) -> bytes:
        self._check_token(context)
        try:
            export, written = self._keep(read_export(signal, body, "protobuf", "grpc"))
            if written is not None:
                _wait(written)
        except Malformed as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise
        except DiskFull as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            raise
        return export.answer("protobuf")

    def _check_token(self, context: Any) -> None:
        if self._token is None:
            return
        given = dict(context.invocation_metadata()).get("authorization")
        if not same_secret(bearer(given if isinstance(given, str) else None), self._token):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is missing or wrong")


def _wait(written: "Future[None]") -> None:
    written.result()


class _Services(grpc.GenericRpcHandler):
    """Exports of all signals, as the bytes that came: their hash is the export's id."""

    def __init__(self, export: Any) -> None:
        self._handlers: dict[str, Any] = {
            shape.method: grpc.unary_unary_rpc_method_handler(partial(export, signal))
            for signal, shape in SIGNALS.items()
        }

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a method; None for a method that there is not."""
        return self._handlers.get(handler_call_details.method)
