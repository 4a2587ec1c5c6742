"""Which headers go on to a service and back to an agent, and which are kept."""

from collections.abc import Iterable

__all__ = ["given_key", "to_agent", "to_service", "told_of_answer", "told_of_request", "without_key"]

Headers = Iterable[tuple[str, str]]

_HOP = frozenset(
    "connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade"
    " http2-settings".split()
)
_OURS = frozenset(
    "host content-length content-encoding accept-encoding expect authorization x-api-key api-key x-goog-api-key cookie"
    " forwarded via".split()
)
_NOT_BACK = frozenset("set-cookie alt-svc strict-transport-security content-encoding content-length".split())
_ASKED = frozenset(
    "user-agent anthropic-version anthropic-beta openai-beta traceparent session_id session-id conversation_id"
    " originator x-app idempotency-key".split()
)
_ASKED_BEGIN = ("x-stainless-", "x-session", "x-claude", "x-codex", "x-client-request")
_TOLD = frozenset("content-type retry-after request-id x-request-id x-should-retry openai-processing-ms server".split())
_TOLD_BEGIN = ("x-ratelimit-", "anthropic-ratelimit-")
_LONGEST = 512


def to_service(headers: Headers) -> list[tuple[str, str]]:
    """The agent's headers that a service is sent; never a key, never what belongs to the connection."""
    found = list(headers)
    named = {name.strip().lower() for key, value in found if key == "connection" for name in value.split(",")}
    drop = _HOP | _OURS | named
    return [(name, value) for name, value in found if name not in drop and not name.startswith("x-forwarded-")]


def to_agent(headers: Headers) -> list[tuple[str, str]]:
    """The service's headers that an agent is sent."""
    return [(name.lower(), value) for name, value in headers if name.lower() not in _HOP | _NOT_BACK]


def told_of_request(headers: Headers) -> dict[str, str]:
    """What tells who asked: agent, number of the try, session, trace."""
    return {k: v[:_LONGEST] for k, v in headers if k in _ASKED or k.startswith(_ASKED_BEGIN)}


def told_of_answer(headers: Headers) -> dict[str, str]:
    """What tells how the service fared."""
    return {k: v[:_LONGEST] for k, v in headers if k in _TOLD or k.startswith(_TOLD_BEGIN)}


def given_key(headers: Headers, query: str) -> str | None:
    """The key that an agent gave, in any of the ways of the APIs."""
    found = dict(headers)
    scheme, _, token = found.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    for name in ("x-api-key", "x-goog-api-key", "api-key"):
        if name in found:
            return found[name]
    return next((part[4:] for part in query.split("&") if part.startswith("key=")), None)


def without_key(query: str) -> str:
    """A query without the key that Gemini's clients may put there."""
    return "&".join(part for part in query.split("&") if part and not part.startswith("key="))
