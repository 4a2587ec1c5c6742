"""Errors of the proxy in the words of each API, so that an agent takes them for what they are."""

import json
from typing import Any, Literal, NamedTuple

from ..upstream import Api

__all__ = ["Problem", "error_body"]


class Problem(NamedTuple):
    """What an agent is told."""

    status: int
    body: bytes
    headers: dict[str, str]


Kind = Literal["denied", "unauthorized", "budget", "bad_request", "unreachable", "timeout", "full"]

_STATUS: dict[Kind, int] = {
    "denied": 403,
    "unauthorized": 401,
    "bad_request": 400,
    "unreachable": 502,
    "timeout": 504,
    "full": 503,
}
_OUT_OF_MONEY: dict[Api, int] = {"openai": 429, "anthropic": 402, "gemini": 429}
_OPENAI: dict[Kind, str] = {
    "denied": "permission_denied",
    "unauthorized": "invalid_api_key",
    "budget": "insufficient_quota",
    "bad_request": "invalid_request_error",
}
_ANTHROPIC: dict[Kind, str] = {
    "denied": "permission_error",
    "unauthorized": "authentication_error",
    "budget": "billing_error",
    "bad_request": "invalid_request_error",
    "timeout": "timeout_error",
}
_GEMINI: dict[Kind, str] = {
    "denied": "PERMISSION_DENIED",
    "unauthorized": "UNAUTHENTICATED",
    "budget": "RESOURCE_EXHAUSTED",
    "bad_request": "INVALID_ARGUMENT",
    "timeout": "DEADLINE_EXCEEDED",
}


def error_body(api: Api | None, kind: Kind, message: str, status: int | None = None) -> Problem:
    """The answer to a request that the proxy itself ends. A spent budget says that trying again is of no use."""
    if status is None:
        status = _OUT_OF_MONEY[api or "openai"] if kind == "budget" else _STATUS[kind]
    headers = {"content-type": "application/json"}
    if kind in ("budget", "denied", "unauthorized", "bad_request"):
        headers["x-should-retry"] = "false"
    return Problem(status, json.dumps(_BODIES[api or "openai"](kind, message, status)).encode(), headers)


def _openai(kind: Kind, message: str, status: int) -> dict[str, Any]:
    name = _OPENAI.get(kind, "api_error")
    return {"error": {"message": message, "type": name, "param": None, "code": name}}


def _anthropic(kind: Kind, message: str, status: int) -> dict[str, Any]:
    said = f"Your credit balance is too low: {message}" if kind == "budget" else message
    return {"type": "error", "error": {"type": _ANTHROPIC.get(kind, "api_error"), "message": said}}


def _gemini(kind: Kind, message: str, status: int) -> dict[str, Any]:
    error: dict[str, Any] = {"code": status, "message": message, "status": _GEMINI.get(kind, "UNAVAILABLE")}
    if kind == "budget":
        # A quota of the day is what clients give up on; others they wait for.
        violation = {"quotaId": "BudgetPerDay", "description": message}
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}]
    return {"error": error}


_BODIES = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}
