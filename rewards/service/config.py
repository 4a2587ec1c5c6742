"""Which service is asked, and how patiently."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ...errors import ConfigError

__all__ = ["ServiceConfig", "split_address"]


class ServiceConfig(BaseModel):
    """A chat model at an OpenAI-compatible service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = ""
    """Root of the API, for example `http://127.0.0.1:8000/v1`."""
    model: str = ""
    api_key_env: str = "TRAJHUB_API_KEY"
    """Environment variable that holds the key; none is sent when it is not set. The key is never recorded."""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int = Field(default=4096, ge=1)
    """Tokens an answer may have."""
    extra_body: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """Further fields of the request, as the service names them."""
    request_timeout: float = Field(default=300, gt=0)
    """Seconds a single request may take."""
    retries: int = Field(default=6, ge=0)
    """Tries after the first one of a request."""
    max_wait: float = Field(default=60, gt=0)
    """Seconds a pause between two tries may be, also when the service asks for more."""

    @field_validator("base_url")
    @classmethod
    def _no_credentials(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.username or parts.password or parts.query:
            raise ValueError("put the key into the environment (api_key_env), not into the URL, which is recorded")
        return value.rstrip("/")


def split_address(address: str) -> tuple[str, str]:
    """Model and URL of `MODEL@URL`. Raises ConfigError."""
    model, _, url = address.rpartition("@")
    if not model or not url.startswith(("http://", "https://")):
        raise ConfigError(f"{address!r} should be MODEL@URL, for example my-model@http://127.0.0.1:8000/v1")
    return model, url
