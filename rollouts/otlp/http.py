"""OTLP over HTTP: which requests are exports, and what they are told."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Future

from ...errors import DiskFull
from ..loopback import Head, NotPacked, Refusal, Reply, Request, TooLarge, bearer, gunzip, same_secret
from .exports import Export, Form, Malformed, read_export
from .records import Signal

__all__ = ["HttpExports"]

_PATHS: dict[str, Signal] = {"/v1/logs": "logs", "/v1/traces": "traces", "/v1/metrics": "metrics"}
_FORMS: dict[str, Form] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_TYPES = {form: name for name, form in _FORMS.items()}
_LARGE = 1 << 16
"""Bodies that are read beside the loop, so that others are answered meanwhile."""
_INVALID, _EXHAUSTED, _UNAVAILABLE, _UNAUTHENTICATED = 3, 8, 14, 16
"""Codes of google.rpc.Status."""

Keep = Callable[[Export], "tuple[Export, Future[None] | None]"]
"""Begins to write an export; what is answered once that is done."""


class HttpExports:
    """Answers requests of a receiver."""

    def __init__(self, keep: Keep, token: str | None, largest: int) -> None:
        self._keep, self._token, self._largest = keep, token, largest

    def admit(self, head: Head) -> Refusal | None:
        """Refuse by the head alone what is no export, or not from whom it should be."""
        if self._token is not None and not same_secret(bearer(head.header("authorization")), self._token):
            challenge = {"www-authenticate": "Bearer"}
            return _refusal(head, 401, _UNAUTHENTICATED, "the token is missing or wrong", challenge)
        if head.target.partition("?")[0] not in _PATHS:
            return _refusal(head, 404, 5, f"nothing is here; exports go to {', '.join(_PATHS)}")
        if head.method != "POST":
            return _refusal(head, 405, 12, "exports are sent with POST", {"allow": "POST"})
        if _form(head) is None:
            return _refusal(head, 415, _INVALID, f"the content type must be one of {', '.join(_FORMS)}")
        if (head.header("content-encoding") or "identity") not in ("gzip", "identity"):
            return _refusal(head, 415, _INVALID, "the content encoding must be gzip or none")
        return None

    async def handle(self, request: Request, reply: Reply) -> None:
        """Take an export, and answer when it is on disk."""
        await reply.whole(await self._take(request))

    async def _take(self, request: Request) -> Refusal:
        head = request.head
        form = _form(head) or "protobuf"
        try:
            if len(request.body) > _LARGE:
                export = await asyncio.to_thread(self._read, request, form)
            else:
                export = self._read(request, form)
            kept, written = self._keep(export)
            if written is not None:
                await asyncio.wrap_future(written)
        except (Malformed, NotPacked) as error:
            return _refusal(head, 400, _INVALID, str(error))
        except TooLarge as error:
            return _refusal(head, 413, _INVALID, str(error))
        except DiskFull as error:
            return _refusal(head, 503, _UNAVAILABLE, str(error), {"retry-after": "5"})
        return Refusal(200, kept.answer(form), {"content-type": _TYPES[form]})

    def _read(self, request: Request, form: Form) -> Export:
        body = request.body
        if request.head.header("content-encoding") == "gzip":
            body = gunzip(body, self._largest)
        return read_export(_PATHS[request.head.target.partition("?")[0]], body, form, f"http/{form}")


def _form(head: Head) -> Form | None:
    return _FORMS.get((head.header("content-type") or "").partition(";")[0].strip().lower())


def _refusal(head: Head, status: int, code: int, message: str, headers: dict[str, str] | None = None) -> Refusal:
    """An error as the protocol wants it: a google.rpc.Status in the form that the sender speaks."""
    form = _form(head) or "json"
    text = json.dumps({"code": code, "message": message}).encode() if form == "json" else _status(code, message)
    return Refusal(status, text, {"content-type": _TYPES[form], **(headers or {})})


def _status(code: int, message: str) -> bytes:
    """A google.rpc.Status: field 1 the code, field 2 the message (shorter than 128 bytes)."""
    text = message.encode()[:127]
    return bytes((0x08, code, 0x12, len(text))) + text
