"""Bounded capture of a stream that may be endless: head, tail, length and sha256, in constant memory."""

import hashlib

__all__ = ["BoundedOutput"]


class BoundedOutput:
    """Keeps the first and the last `limit // 2` bytes of what is fed to it, and counts and hashes all of it."""

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._hash = hashlib.sha256()
        self.total = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream. Linear in their number, whatever came before."""
        self.total += len(data)
        self._hash.update(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail += data[-self._half :]
            if len(self._tail) > 4 * self._half:
                del self._tail[: -self._half]

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of everything fed so far."""
        return self._hash.hexdigest()

    def value(self) -> bytes:
        """Everything, or head and tail with a notice of how much lies between them."""
        tail = bytes(self._tail[-self._half :])
        left_out = self.total - len(self._head) - len(tail)
        if left_out == 0:
            return bytes(self._head) + tail
        return bytes(self._head) + b"\n[... %d bytes left out ...]\n" % left_out + tail
