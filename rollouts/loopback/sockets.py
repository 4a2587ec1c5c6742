"""Sockets that only this machine reaches, and the token that tells its programs apart."""

import ipaddress
import socket
from hmac import compare_digest

from ...errors import InfrastructureError, UsageError

__all__ = ["address_of", "bearer", "listen_on_loopback", "same_secret"]


def listen_on_loopback(host: str, port: int, *, backlog: int = 512) -> socket.socket:
    """A listening socket. Raises UsageError for an address that others reach, InfrastructureError for a taken port."""
    _check_loopback(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(backlog)
    except OSError as error:
        listening.close()
        raise InfrastructureError(f"cannot listen on {host}:{port}: {error.strerror}; choose another port") from error
    return listening


def address_of(listening: socket.socket) -> str:
    """`host:port` of a listening socket. Raises UsageError when others than this machine reach it."""
    host, port = listening.getsockname()[:2]
    _check_loopback(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_loopback(host: str) -> None:
    try:
        inside = ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise UsageError(f"{host} is not an address of this machine alone; use 127.0.0.1 or ::1")


def bearer(header: str | None) -> str | None:
    """The token of an `Authorization: Bearer …` header."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def same_secret(given: str | None, wanted: str) -> bool:
    """Whether a token is the right one, in a time that tells nothing of it."""
    return given is not None and compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())
