"""What the proxy recorded: one line a request."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from ...errors import UsageError
from ...rewards.service.usage import Usage
from ..payloads import Part
from ..timestamps import Timestamp
from .folding import Unfolder

__all__ = ["Exchange", "Fault", "read_exchanges"]

Fault = Literal[
    "denied", "unauthorized", "budget", "bad_request", "unreachable", "timeout", "cut", "client_gone", "interrupted"
]
"""Refused here (the first four); the service could not be reached, was silent for too long, or broke off; the agent
went away; the proxy was closed."""


class Exchange(BaseModel, frozen=True, extra="allow", use_attribute_docstrings=True):
    """One request of an agent, and what became of it. Times of this machine's clock, UTC."""

    id: str
    """Given by the proxy; unique."""
    t_start: Timestamp
    """When the request had come in whole."""
    t_first_byte: Timestamp | None = None
    """When the head of the answer came."""
    t_first_token: Timestamp | None = None
    """When the first piece of content came; of an answer that is no stream, when it had come whole."""
    t_end: Timestamp
    """When the last byte was passed on, or it failed."""
    duration_ms: float
    ttft_ms: float | None = None
    upstream: str | None = None
    """Name of the upstream; None for a request that went nowhere."""
    api: str | None = None
    """`openai.chat`, `openai.completions`, `openai.responses`, `anthropic.messages`, `gemini.generate` …"""
    method: str
    path: str
    query: str = ""
    model: str | None = None
    """As asked for."""
    answer_model: str | None = None
    """As the answer names it."""
    stream: bool = False
    status: int | None = None
    """What the agent was told; None when it was gone or cut off before."""
    request_id: str | None = None
    """The service's id of the request (`request-id`, `x-request-id`)."""
    response_id: str | None = None
    """The id in the answer (`msg_…`, `resp_…`, `chatcmpl-…`)."""
    finish_reason: str | None = None
    usage: Usage = Field(default_factory=Usage)
    cost_usd: float | None = None
    parts: tuple[Part, ...] = ()
    """Pieces of a streamed answer, with their times."""
    fault: Fault | None = None
    """What went wrong here or on the way; an error status of the service is no fault of the way."""
    error: str | None = None
    """What went wrong, in words: of the way, or what the service said."""
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    """Headers of the request that tell who asked: user agent, number of the try, session, trace."""
    answer_headers: dict[str, str] = Field(default_factory=dict[str, str])
    request_bytes: int = 0
    response_bytes: int = 0
    events: int = 0
    """Events of the stream."""
    in_flight: int = 0
    """Other requests under way when it came."""
    secrets: int = 0
    """Places in the bodies where a secret was removed."""
    request: Any = None
    """The body, secrets removed."""
    response: Any = None
    """The answer in the form it has without streaming, secrets removed; of a cut stream, what came."""


def read_exchanges(path: Path) -> Iterator[Exchange]:
    """The requests of a proxy's record in the order in which they ended, bodies put together again.

    A torn last line is left out. Raises UsageError for a file that is no record.
    """
    unfolder = Unfolder()
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; was a proxy recording there?") from error
    with file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                found: dict[str, Any] = json.loads(line)
                bodies = {name: unfolder.unfold(found.get(name)) for name in ("request", "response")}
                yield Exchange.model_validate({**found, **bodies})
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(f"{path}:{number}: not a request that a proxy recorded ({error})") from error
