"""Asking an OpenAI-compatible service: retries, pauses, and errors that say who is to blame.

What may pass by itself (429, 5xx, a time-out, a cut connection, an answer that is no answer) is tried again with
growing pauses, or after the pause the service asks for. What will not pass (a wrong key, an unknown model) stops
the run at once.
"""

import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from ...errors import ConfigError, ServiceError
from .config import ServiceConfig
from .usage import RequestAttempt

__all__ = ["ChatClient", "ContextOverflow", "Refused", "Reply"]

_OVERFLOW = re.compile(r"context[ _]length|maximum context|context window|too many tokens", re.IGNORECASE)
_TRANSIENT = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_SHOWN = 500


class Refused(ServiceError):
    """Raised when a service calls the request itself wrong: asking again would not help."""


class ContextOverflow(Refused):
    """Raised when a conversation no longer fits the model's context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, and what it took to get it."""

    body: Mapping[str, Any]
    failed: tuple[RequestAttempt, ...]
    t_start: datetime
    t_end: datetime
    duration_ms: float
    """Of the try that was answered."""

    @property
    def choice(self) -> Mapping[str, Any]:
        """The first choice."""
        return self.body["choices"][0]


class ChatClient:
    """One service, shared by everybody who asks it. Thread-safe."""

    def __init__(self, config: ServiceConfig) -> None:
        if not config.base_url or not config.model:
            raise ConfigError("a service needs a model and a URL: MODEL@http://HOST:PORT/v1")
        self.config = config
        key = os.environ.get(config.api_key_env) or _openai_key(config.base_url)
        self._key = key
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=config.request_timeout,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=256),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def complete(self, body: Mapping[str, Any], *, deadline: float, cancelled: threading.Event) -> Reply:
        """Ask until there is an answer. Raises ServiceError, ContextOverflow or ConfigError."""
        url = f"{self.config.base_url}/chat/completions"
        return self.ask(url, body, _is_chat_completion, deadline=deadline, cancelled=cancelled)

    def ask(
        self,
        url: str,
        body: Mapping[str, Any],
        is_answer: Callable[[Mapping[str, Any]], bool],
        *,
        deadline: float,
        cancelled: threading.Event,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Post `body` until there is what `is_answer` calls an answer. Raises as `complete`."""
        failed: list[RequestAttempt] = []
        while True:
            start, begun = datetime.now(UTC), time.monotonic()
            timeout = min(self.config.request_timeout, max(0.1, deadline - begun))
            outcome = self._ask(url, body, is_answer, timeout, headers)
            spent = (time.monotonic() - begun) * 1000
            if isinstance(outcome, dict):
                return Reply(
                    body=outcome, failed=tuple(failed), t_start=start, t_end=datetime.now(UTC), duration_ms=spent
                )
            wait = self._wait(len(failed), outcome.retry_after)
            failed.append(RequestAttempt(status=outcome.status, error=outcome.said, duration_ms=spent, waited_s=wait))
            if len(failed) > self.config.retries or time.monotonic() + wait >= deadline:
                raise ServiceError(f"{self.config.base_url} failed {len(failed)} times, last: {outcome.said}")
            if cancelled.wait(wait):
                raise ServiceError("the request was cancelled")

    def _ask(
        self,
        url: str,
        body: Mapping[str, Any],
        is_answer: Callable[[Mapping[str, Any]], bool],
        timeout: float,
        headers: Mapping[str, str] | None,
    ) -> "dict[str, Any] | _Fault":
        try:
            response = self._http.post(url, json=body, timeout=timeout, headers=headers)
        except httpx.UnsupportedProtocol as error:
            raise ConfigError(f"{self.config.base_url!r} is not a URL of an API: {error}") from None
        except httpx.HTTPError as error:
            return _Fault(None, f"{type(error).__name__}: {self._redact(str(error))}")
        if response.status_code == 200:
            return self._answer(response, is_answer)
        said = f"HTTP {response.status_code}: {self._redact(response.text)}"
        if response.status_code in _TRANSIENT:
            return _Fault(response.status_code, said, _retry_after(response))
        raise self._refusal(response.status_code, said)

    def _answer(
        self, response: httpx.Response, is_answer: Callable[[Mapping[str, Any]], bool]
    ) -> "dict[str, Any] | _Fault":
        try:
            value = response.json()
        except ValueError:
            return _Fault(200, f"an answer that is not JSON: {self._redact(response.text)}")
        if not isinstance(value, dict) or not is_answer(cast("dict[str, Any]", value)):
            return _Fault(200, f"an answer that lacks what was asked for: {self._redact(response.text)}")
        return cast("dict[str, Any]", value)

    def _refusal(self, status: int, said: str) -> Exception:
        if status in (401, 403):
            return ConfigError(f"{self.config.base_url} refused the key: {said}. Set {self.config.api_key_env}.")
        if status == 404:
            return ConfigError(f"{self.config.base_url} has no model {self.config.model!r}: {said}")
        if _OVERFLOW.search(said):
            return ContextOverflow(said)
        return Refused(said)

    def _wait(self, tries: int, asked: float | None) -> float:
        if asked is not None:
            return min(asked, self.config.max_wait)
        # Jitter keeps many askers from coming back at the same moment.
        return min(0.5 * 2**tries, self.config.max_wait) * random.uniform(0.5, 1.0)

    def _redact(self, text: str) -> str:
        shown = text.replace(self._key, "***") if self._key else text
        return shown[:_SHOWN]


@dataclass(frozen=True, slots=True)
class _Fault:
    status: int | None
    said: str
    retry_after: float | None = None


def _openai_key(base_url: str) -> str | None:
    # Never send that key to anybody else.
    return os.environ.get("OPENAI_API_KEY") if urlsplit(base_url).hostname == "api.openai.com" else None


def _is_chat_completion(value: Mapping[str, Any]) -> bool:
    choices = value.get("choices")
    return isinstance(choices, list) and bool(choices) and isinstance(choices[0].get("message"), dict)  # pyright: ignore


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
