"""The one framed channel of a sandbox: requests to its resident shell over an attached exec stream.

Frames are those of Docker's attach protocol
(https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach): one byte of
stream number, three of padding, four of length, big-endian. What the requests are is told in `resident.sh`.
"""

import os
import socket
import ssl
import struct
import time
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from .output import BoundedOutput

__all__ = ["Channel", "ChannelLost", "ChannelTimeout", "Reply", "raw_socket"]

_CHUNK = 1 << 18
_STDOUT = 1
_PATIENCE = 30.0
"""Seconds within which a resident shell takes what it is sent, and answers what costs it nothing."""
_IN_USE = 0.05
"""Seconds after a command for which its channel counts as in use."""


class ChannelLost(ConnectionError):
    """Raised when the resident shell, its container or the daemon is gone."""


class ChannelTimeout(TimeoutError):
    """Raised when the resident shell does not answer in time; the channel is no longer usable."""


class Socket(Protocol):
    """What a channel needs of a socket (plain or TLS)."""

    def recv(self, bufsize: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def settimeout(self, value: float | None, /) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Reply:
    """The answer to one request, while it arrives."""

    nonce: bytes
    output: BoundedOutput
    status: str | None = None
    io: tuple[int, int] | None = None
    """Bytes the command, and all it waited for, read from and wrote to storage."""
    _ended: bool = False
    _held: bytes = b""

    def take(self, data: bytes) -> None:
        """Bytes of the stream. What follows the answer belongs to nobody and is dropped."""
        data = self._held + data
        if not self._ended:
            end = data.find(self.nonce)
            self._ended = end >= 0
            certain = end if end >= 0 else max(len(data) - len(self.nonce) + 1, 0)
            self.output.feed(data[:certain])
            data = data[certain:]
        if self._ended and b"\n" in data:
            line, _, data = data.partition(b"\n")
            self._answer(line[len(self.nonce) + 1 :].decode("ascii", "replace"))
        self._held = data

    def _answer(self, line: str) -> None:
        if self.status is None:
            self.status, *io = line.split(" ")
            self.io = (int(io[0]), int(io[1])) if len(io) == 2 and io[0].isdigit() and io[1].isdigit() else None
        self._ended = self.status != "lost"  # a lost command will be killed, which is answered once more

    def abandon(self) -> None:
        """No more will come: what was held back while looking for the nonce is output."""
        if not self._ended:
            self.output.feed(self._held)
        self._held = b""


class Channel:
    """Requests to a resident shell, one at a time. Not thread-safe, like the sandbox that owns it."""

    spare: ClassVar[int] = len(os.sched_getaffinity(0))
    """While fewer other channels of this process than this are in use, commands go to the process that is kept ready.
    To keep one ready costs an exec more: worth it while a core is idle, and a loss when all are busy."""
    _used: ClassVar[dict[int, float]] = {}
    """When each channel was last given a command."""

    def __init__(self, sock: Socket, *, ready_timeout: float = 30.0) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._probed = False
        # The shell is asked, and does not tell by itself: what arrives together with the head of the engine's answer
        # stays in a buffer of the HTTP client's, where nobody looks.
        self._synchronise(ready_timeout)

    def close(self) -> None:
        """Close the stream; the resident shell ends with it."""
        self._used.pop(id(self), None)
        self._sock.close()

    def command(self, text: bytes, output_limit: int) -> Reply:
        """Send a command; `wait` for its reply."""
        return self._request(self._kept(b"r"), b"%d" % (text.count(b"\n") + 1), text + b"\n", output_limit)

    def program(self, words: list[str], output_limit: int) -> Reply:
        """Send a program and its arguments, none of which may hold a newline; `wait` for its reply."""
        body = "\n".join(words).encode("utf-8", "surrogateescape") + b"\n"
        return self._request(self._kept(b"x"), b"%d" % len(words), body, output_limit)

    def script(self, text: bytes, output_limit: int) -> Reply:
        """Send a trusted POSIX script, run by a fork of the resident shell; `wait` for its reply."""
        return self._request(b"i", b"%d" % (text.count(b"\n") + 1), text + b"\n", output_limit)

    def store(self, path: bytes, data: bytes) -> Reply:
        """Send a file; `wait` for its reply."""
        count = b"%d %d" % (len(data), path.count(b"\n") + 1)
        return self._request(b"w", count, path + b"\n" + data, 4096)

    def read_small_files(self, paths: list[str], timeout: float) -> str:
        """The lines of small files (of /proc or /sys), each file headed by `@path`, read by the shell itself."""
        body = "\n".join(paths).encode() + b"\n"
        reply = self._request(b"t", b"%d" % len(paths), body, 1 << 20)
        if not self.wait(reply, timeout):
            raise ChannelTimeout("the sandbox's shell does not answer")
        return reply.output.value().decode("utf-8", "replace")

    def kill_all(self, reply: Reply | None, grace: float) -> None:
        """Kill everything that runs in the sandbox, and wait until `reply` (the command under way) is complete."""
        if reply is None:
            reply = Reply(_nonce(), BoundedOutput(1))
        self._send(b"k %s\n" % _halves(reply.nonce))
        if not self.wait(reply, grace):
            raise ChannelTimeout(f"the sandbox's shell did not confirm a kill within {grace:g} s")
        self._synchronise(grace)

    def probe(self, reply: Reply) -> None:
        """Ask whether the watcher of the running command is alive; if not, the status of `reply` becomes `lost`."""
        self._probed = True
        self._send(b"q %s\n" % _halves(reply.nonce))

    def wait(self, reply: Reply, timeout: float) -> bool:
        """Read until `reply` is answered or `timeout` seconds are over; tells whether it is."""
        deadline = time.monotonic() + timeout
        while reply.status is None:
            left = deadline - time.monotonic()
            if left <= 0 or not self._receive(left):
                return False
            self._dispatch(reply)
        return True

    def _kept(self, verb: bytes) -> bytes:
        now, mine = time.monotonic(), id(self)
        others = sum(now - used < _IN_USE for key, used in list(self._used.items()) if key != mine)
        self._used[mine] = now
        return verb.upper() if others < self.spare else verb

    def _request(self, verb: bytes, head: bytes, body: bytes, output_limit: int) -> Reply:
        if self._probed:  # of a command that ended meanwhile it says `lost`, which is no output of the next
            self._synchronise(_PATIENCE)
        self._drop_leftovers()
        reply = Reply(_nonce(), BoundedOutput(output_limit))
        self._send(verb + b" " + _halves(reply.nonce) + b" " + head + b"\n" + body)
        return reply

    def _synchronise(self, timeout: float) -> None:
        self._probed = False
        reply = self._request(b"s", b"", b"", 1)
        if not self.wait(reply, timeout):
            raise ChannelTimeout("the sandbox's shell does not answer")

    def _drop_leftovers(self) -> None:
        """What background processes of earlier commands wrote since is no part of the next command's output."""
        while self._receive(0.0):
            self._dispatch(Reply(b"\0" * 32, BoundedOutput(1)))

    def _send(self, data: bytes) -> None:
        try:
            self._sock.settimeout(_PATIENCE)
            self._sock.sendall(data)
        except TimeoutError:
            raise ChannelTimeout("the sandbox's shell takes no more input") from None
        except OSError as error:
            raise ChannelLost(str(error)) from error

    def _receive(self, timeout: float) -> bool:
        try:
            self._sock.settimeout(timeout)
            data = self._sock.recv(_CHUNK)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError as error:
            raise ChannelLost(str(error)) from error
        if not data:
            raise ChannelLost("the stream ended")
        self._buffer += data
        return True

    def _dispatch(self, reply: Reply) -> None:
        buffer, position = self._buffer, 0
        while len(buffer) - position >= 8:
            stream, length = struct.unpack_from(">BxxxI", buffer, position)
            end = position + 8 + length
            if len(buffer) < end:
                break
            if stream == _STDOUT:
                reply.take(bytes(memoryview(buffer)[position + 8 : end]))
            position = end
        del buffer[:position]


def _nonce() -> bytes:
    return os.urandom(16).hex().encode()


def _halves(nonce: bytes) -> bytes:
    """A nonce as it is sent, which is not how it comes back: see `resident.sh`."""
    return nonce[:16] + b"-" + nonce[16:]


def raw_socket(attached: Any) -> Socket:
    """The plain socket under what the Docker SDK returns for an attached exec, with nothing else holding it."""
    inner: Any = getattr(attached, "_sock", attached)
    if type(inner) is not socket.socket:  # TLS: its state cannot be shared with a second descriptor
        return inner
    own = inner.dup()
    response = getattr(attached, "_response", None)
    (response or attached).close()
    inner.close()
    return own
