"""Packed bodies, which a few bytes can make very large."""

import zlib

__all__ = ["NotPacked", "TooLarge", "gunzip"]


class NotPacked(ValueError):
    """Raised for bytes that are not what they are said to be."""


class TooLarge(ValueError):
    """Raised for a body that is larger than allowed once unpacked."""


def gunzip(body: bytes, limit: int) -> bytes:
    """Unpack. Raises TooLarge for what would be more than `limit` bytes, NotPacked for what is not gzip."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise NotPacked(f"not gzip: {error}") from None
    if len(unpacked) > limit:
        raise TooLarge(f"more than {limit} bytes when unpacked")
    if not unpacker.eof:
        raise NotPacked("not gzip: torn")
    return unpacked
