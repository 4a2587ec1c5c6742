"""A listening socket inside a container's network: how a container without network reaches one port of this process.

A socket belongs to the network namespace of the thread that made it, wherever it is used later. A throw-away thread
enters the container's namespace, makes the socket there and ends; no other thread ever leaves its own network.
"""

import ctypes
import os
import socket
import threading
from pathlib import Path

from ...errors import InfrastructureError, UsageError

__all__ = ["listen_in_container"]

_CLONE_NEWNET = 0x40000000


def listen_in_container(pid: int, port: int, host: str = "127.0.0.1", *, backlog: int = 512) -> socket.socket:
    """A socket that listens on `host:port` (0: a free one) in the network namespace of process `pid` of this machine.

    Needs CAP_SYS_ADMIN. Raises UsageError for a process in this process's own network, InfrastructureError when there
    is no such process, it may not be entered, or the port is taken.
    """
    found: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            found.append(_listen_inside(namespace, port, host, backlog))
        except OSError as error:
            found.append(error)

    try:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        message = f"cannot enter the network of process {pid}: {error.strerror}; is it a process of this machine?"
        raise InfrastructureError(message) from error
    try:
        if os.fstat(namespace).st_ino == Path("/proc/self/ns/net").stat().st_ino:
            raise UsageError(f"process {pid} shares this machine's network; start its container with --network none")
        maker = threading.Thread(target=make, name="trajhub-namespace")
        maker.start()
        maker.join()
    finally:
        os.close(namespace)
    made = found[0]
    if isinstance(made, OSError):
        message = f"cannot listen on {host}:{port} in the network of process {pid}: {made.strerror}"
        raise InfrastructureError(message) from made
    return made


def _listen_inside(namespace: int, port: int, host: str, backlog: int) -> socket.socket:
    """For a thread that ends afterwards: it stays in that network. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)} (entering it needs CAP_SYS_ADMIN)")
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(backlog)
    except OSError:
        listening.close()
        raise
    return listening
