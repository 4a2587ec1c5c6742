"""What a server of this machine reads and writes: requests, answers, and the limits of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Head", "Limits", "Refusal", "Request"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server puts up with."""

    head_bytes: int = 1 << 16
    body_bytes: int = 1 << 25
    held_bytes: int = 1 << 28
    """Bodies of all requests that are being read or answered."""
    connections: int = 1024
    head_s: float = 10.0
    """From the first byte of a head to its last."""
    idle_s: float = 120.0
    """Between two requests of a connection."""
    body_s: float = 30.0
    """For a body, and a second more for each 64 KiB that came."""
    send_s: float = 120.0
    """How long whoever asked may leave an answer unread."""


@dataclass(frozen=True, slots=True)
class Head:
    """Method, target and headers of a request."""

    method: str
    target: str
    """As sent: path and query, or whatever was there instead."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""

    def header(self, name: str) -> str | None:
        """The first header of a name in lower case."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came in whole."""

    head: Head
    body: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer in one piece."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
