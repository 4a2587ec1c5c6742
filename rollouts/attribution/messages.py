"""What the messages of errors mean: statuses and phrases of services, engines and agents, as kinds of failure.

The phrases are those of the OpenAI, Anthropic and Gemini APIs, of httpx, requests, LiteLLM and Node's fetch, of Docker
and of the kernel, as their errors are worded.
"""

import re
from collections.abc import Sequence

from .kinds import Kind

__all__ = ["environment_kind", "program_broken", "service_kind", "status_in", "write_refused"]

_STATUS = re.compile(r"(?:HTTP|status(?: code)?|error code|API Error)[:= ]+(\d{3})\b|^(\d{3})\b", re.IGNORECASE)

Patterns = Sequence[tuple[Kind, re.Pattern[str]]]


def _table(*rows: tuple[Kind, str]) -> Patterns:
    return [(kind, re.compile(text, re.IGNORECASE)) for kind, text in rows]


_SERVICE = _table(
    (
        Kind.CONTEXT_OVERFLOW,
        r"context.?(length|window)|maximum context|prompt is too long|too many tokens|exceed.{0,30}context",
    ),
    (Kind.RATE_LIMITED, r"rate.?limit|too many requests|quota|usage limit|RESOURCE_EXHAUSTED|credit balance"),
    (Kind.UNAUTHORIZED, r"authenticat|unauthori[sz]ed|invalid.{0,12}key|refused the key|permission.?denied|forbidden"),
    (
        Kind.BAD_ANSWER,
        r"not JSON|lacks what was asked|malformed (answer|response)|invalid (JSON )?response|empty response",
    ),
    (Kind.SERVICE_TIMEOUT, r"time.?out|timed out|deadline exceeded|did not answer in time"),
    (Kind.SERVER_ERROR, r"overloaded|server error|internal error|bad gateway|service unavailable|UNAVAILABLE"),
    (
        Kind.CONNECTION,
        r"connect|disconnect|reset by peer|broken pipe|hung up|ECONN\w+|EPIPE|ENOTFOUND|name resolution|"
        r"RemoteProtocol|ReadError|WriteError|IncompleteRead|premature|fetch failed|cut off",
    ),
)

_ENVIRONMENT = _table(
    (
        Kind.IMAGE_MISSING,
        r"ImageMissing|no such image|image .{0,200}(not found|is not on this engine|missing)|pull access denied|"
        r"manifest unknown",
    ),
    (Kind.DISK_FULL, r"DiskFull|no space left|ENOSPC|disk quota exceeded|cannot write .{0,200}free some room"),
    (Kind.OUT_OF_MEMORY, r"OOMKilled|cannot allocate memory|ENOMEM|host.{0,30}out of memory|MemoryError"),
    (
        Kind.ENGINE_UNAVAILABLE,
        r"EngineUnavailable|ClusterUnavailable|cannot connect to the docker daemon|docker api|daemon running|"
        r"\b(no|not)\b.{0,40}docker engine|docker\.sock",
    ),
    (Kind.SANDBOX_LOST, r"SandboxLost|sandbox|container|runtime|no such exec"),
    (
        Kind.NETWORK,
        r"name resolution|network is unreachable|could not resolve|proxy error|ConnectTimeout|ConnectionError",
    ),
)

_PROGRAMS = re.compile(
    r"error while loading shared libraries|exec format error|cannot execute binary file|illegal instruction|"
    r"version `GLIBC\w*_[\d.]+' not found",
    re.IGNORECASE,
)
_WRITES = re.compile(r"permission denied|read-only file system|operation not permitted", re.IGNORECASE)


def status_in(message: str) -> int | None:
    """The HTTP status that a message names; None when it names none."""
    found = _STATUS.search(message)
    return int(found[1] or found[2]) if found else None


def service_kind(message: str, status: int | None = None) -> Kind:
    """What a failure of a model's service was."""
    code = status or status_in(message)
    if (by_code := _by_status(code, message)) is not None:
        return by_code
    return _first(_SERVICE, message) or (Kind.REFUSED if code and 400 <= code < 500 else Kind.CONNECTION)


def _by_status(code: int | None, message: str) -> Kind | None:
    if code == 429:
        return Kind.RATE_LIMITED
    if code in (401, 403):
        return Kind.UNAUTHORIZED
    if code in (408, 504):
        return Kind.SERVICE_TIMEOUT
    if code is not None and code >= 500:
        return Kind.SERVER_ERROR
    if code is not None and 400 <= code < 500:
        known = _first(_SERVICE, message)
        return known if known in (Kind.CONTEXT_OVERFLOW, Kind.RATE_LIMITED) else Kind.REFUSED
    return None


def environment_kind(message: str) -> Kind:
    """What a failure of the environment was."""
    return _first(_ENVIRONMENT, message) or Kind.ENVIRONMENT_BROKEN


def program_broken(message: str) -> bool:
    """Whether the kernel or the loader says that a program cannot be run in this image."""
    return _PROGRAMS.search(message) is not None


def write_refused(message: str) -> bool:
    """Whether the kernel refused to write."""
    return _WRITES.search(message) is not None


def _first(table: Patterns, message: str) -> Kind | None:
    return next((kind for kind, pattern in table if pattern.search(message)), None)
