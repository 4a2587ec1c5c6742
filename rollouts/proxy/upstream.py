"""A model service behind the proxy."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Api", "Upstream"]

Api = Literal["openai", "anthropic", "gemini"]


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where requests of one API go, and with whose key."""

    api: Api
    base_url: str
    """For example `https://api.anthropic.com` or `http://127.0.0.1:8000/v1`."""
    key_env: str | None = None
    """The variable of this process's environment that holds the key; None: the service wants none."""
    models: tuple[str, ...] = ()
    """Globs of the models that may be asked; empty: all."""
    routes: tuple[str, ...] = ()
    """Allowed besides the API's own, for example `POST /v1/embeddings`."""
    connect_s: float = 10.0
    idle_s: float = 600.0
    """How long the service may be silent, before its first byte and between two."""
    complete_usage: bool = True
    """Streams of chat completions are asked for their usage when the agent did not; it is told of it only if it did."""
