"""Held-out faults of services: what providers, gateways and proxies answer when they fail."""

import socket
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..rollouts.attribution import Kind
from .fault_service import Answer, call, service
from .fault_stage import Fault, Stage

__all__ = ["SERVICE"]

_QUOTA = "You exceeded your current quota, please check your plan and billing details."
_TPM = "Request too large for model on tokens per min (TPM): Limit 10000, Requested 12034. Please try again in 12s."
_FILTERED = "The response was filtered due to the prompt triggering the content management policy. Please modify it."
_PAGE_524 = b"<!DOCTYPE html><html><head><title>api.example.org | 524: A timeout occurred</title></head></html>"
_PAGE_407 = b"<html><body>Access to the requested site requires proxy authentication.</body></html>"


def _error(message: str, kind: str | None = None, code: object = None) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _answers(name: str, kinds: Sequence[Kind], reason: str, *answers: Answer, settings: Sequence[str] = ()) -> Fault:
    return Fault(name, tuple(kinds), lambda stage: stage.asked(*answers, settings=settings), reason)


@contextmanager
def _mute() -> Generator[str]:
    """A server that accepts, reads, and closes without a byte."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    near, _ = server.accept()
                    near.recv(1 << 16)
                    near.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        server.shutdown(socket.SHUT_RDWR)


def _hung_up(stage: Stage) -> Path:
    with _mute() as url:
        return stage.chat(url)


def _not_encrypted(stage: Stage) -> Path:
    with service([call("shell", command="ls")]) as asked:
        return stage.chat(asked.url.replace("http://", "https://"))


SERVICE: Sequence[Fault] = (
    _answers(
        "529, overloaded",
        (Kind.SERVER_ERROR, Kind.RATE_LIMITED),
        "the provider has no room",
        Answer(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ),
    _answers(
        "429, no credit left",
        (Kind.RATE_LIMITED, Kind.REFUSED, Kind.UNAUTHORIZED),
        "the account is empty",
        call("shell", command="ls"),
        Answer(429, _error(_QUOTA, "insufficient_quota", "insufficient_quota")),
    ),
    _answers(
        "402, pay first",
        (Kind.REFUSED, Kind.UNAUTHORIZED, Kind.RATE_LIMITED),
        "the account is empty",
        Answer(402, _error("Insufficient Balance", "unknown_error", "invalid_request_error")),
    ),
    _answers(
        "429, too many tokens a minute",
        (Kind.RATE_LIMITED,),
        "a limit by the minute, though its words speak of tokens and sizes",
        call("shell", command="ls"),
        Answer(429, _error(_TPM, "tokens", "rate_limit_exceeded")),
    ),
    _answers(
        "524 of a content network",
        (Kind.SERVICE_TIMEOUT, Kind.SERVER_ERROR),
        "the provider did not answer its own front in time",
        Answer(524, _PAGE_524),
    ),
    _answers(
        "504 of a gateway",
        (Kind.SERVER_ERROR, Kind.SERVICE_TIMEOUT),
        "a gateway gave up waiting",
        call("shell", command="ls"),
        Answer(504, _error("upstream request timeout")),
    ),
    _answers(
        "200 with an error inside",
        (Kind.BAD_ANSWER, Kind.SERVER_ERROR),
        "a router reports its provider's failure in an answer of status 200",
        Answer(200, _error("Provider returned error", None, 502)),
    ),
    _answers("200 with nothing", (Kind.BAD_ANSWER,), "an empty body", call("shell", command="ls"), Answer(200, b"")),
    _answers(
        "200 without a choice",
        (Kind.BAD_ANSWER,),
        "no answer in the answer",
        Answer(200, {"id": "x", "object": "chat.completion", "choices": [], "usage": {"prompt_tokens": 9}}),
    ),
    _answers(
        "503 after some steps, please come back",
        (Kind.SERVER_ERROR,),
        "the service went into maintenance in the middle of the episode",
        call("shell", command="ls"),
        call("shell", command="git log -1"),
        Answer(503, _error("Service is under maintenance"), {"Retry-After": "30"}),
    ),
    _answers(
        "500, out of the accelerator's memory",
        (Kind.SERVER_ERROR,),
        "memory ran out, but on the machine of the model",
        Answer(500, _error("CUDA out of memory. Tried to allocate 2.00 GiB", "InternalServerError", 500)),
    ),
    _answers(
        "500, the service's disk is full",
        (Kind.SERVER_ERROR,),
        "a disk is full, but that of the service",
        call("shell", command="ls"),
        Answer(500, _error("OSError: [Errno 28] No space left on device: '/var/log/serve.log'")),
    ),
    _answers(
        "400, filtered",
        (Kind.REFUSED,),
        "the provider's filter refuses the prompt",
        call("shell", command="ls"),
        Answer(400, _error(_FILTERED, None, "content_filter")),
    ),
    _answers(
        "407 of a proxy",
        (Kind.UNAUTHORIZED, Kind.REFUSED, Kind.CONNECTION),
        "the proxy on the way wants a password",
        Answer(407, _PAGE_407, {"Proxy-Authenticate": 'Basic realm="proxy"'}),
    ),
    _answers(
        "slower and slower",
        (Kind.SERVICE_TIMEOUT,),
        "answers come too late in the end",
        call("shell", command="ls"),
        Answer(delay=4.0, body={}),
        settings=("chat.request_timeout=1",),
    ),
    Fault(
        "a name that does not resolve",
        (Kind.CONNECTION,),
        lambda stage: stage.chat("http://llm.internal.invalid:8000/v1"),
        "there is no such host",
    ),
    Fault("https where there is none", (Kind.CONNECTION,), _not_encrypted, "the handshake fails"),
    Fault("a server that says nothing", (Kind.CONNECTION, Kind.BAD_ANSWER), _hung_up, "it closes without a byte"),
)
