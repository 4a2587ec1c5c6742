"""What the proxy does with a request: who may ask what, within which budget, and that it is recorded."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import httpx

from ..loopback import Head, NotPacked, Refusal, Reply, Request, TooLarge, gunzip, same_secret
from .apis import Asked, error_body, read_request
from .apis.errors import Kind
from .budget import Ledger
from .draft import Draft
from .forward import Forward
from .headers import given_key
from .recorder import Recorder
from .records import Fault
from .upstream import Api, Service, Target, find_target

__all__ = ["Serving"]

_KEPT_ALIVE = 64


class Serving:
    """Answers the requests of one proxy, in its loop. Entered before the first request and left after the last."""

    def __init__(
        self, services: Sequence[Service], token: str | None, ledger: Ledger, recorder: Recorder, largest: int
    ) -> None:
        self.ledger = ledger
        self._services, self._token, self._recorder, self._largest = services, token, recorder, largest
        self._clients: Mapping[str, httpx.AsyncClient] = {}
        self._exit = AsyncExitStack()
        self._busy = 0

    async def __aenter__(self) -> Self:
        clients = {service.name: _client(service) for service in self._services}
        self._clients = {name: await self._exit.enter_async_context(client) for name, client in clients.items()}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.aclose()

    def admit(self, head: Head) -> Refusal | None:
        """Refuse by the head what nobody may ask; it is recorded."""
        if self._recorder.full:
            return self._refuse(head, "full", "the record of this proxy is full")
        target = find_target(self._services, head.method, head.target)
        if target is None:
            message = f"{head.method[:16]} {head.target[:200]} is not allowed here"
            return self._refuse(head, "denied", message)
        query = head.target.partition("?")[2]
        if self._token is not None and not same_secret(given_key(head.headers, query), self._token):
            return self._refuse(head, "unauthorized", "the key is not the one this proxy was started with", target)
        if (head.header("content-encoding") or "identity") not in ("identity", "gzip"):
            return self._refuse(head, "bad_request", "the content encoding must be gzip or none", target)
        return None

    async def handle(self, request: Request, reply: Reply) -> None:
        """Serve one request, and record it whatever becomes of it."""
        draft = Draft(request.head, in_flight=self._busy, request_bytes=len(request.body))
        target = find_target(self._services, request.head.method, request.head.target)
        assert target is not None, "admitted"
        draft.upstream, draft.api = target.service.name, target.route.dialect
        self._busy += 1
        try:
            await self._serve(target, request, reply, draft)
        except asyncio.CancelledError:
            if reply.gone:
                draft.hung_up("the agent closed its connection")
            else:
                draft.fail("interrupted", "the proxy was closed")
            raise
        except ConnectionError as error:
            draft.hung_up(str(error) or "the agent closed its connection")
            raise
        finally:
            self._busy -= 1
            self._settle(target, draft)

    async def _serve(self, target: Target, request: Request, reply: Reply, draft: Draft) -> None:
        try:
            asked = self._read(target, request)
        except (ValueError, NotPacked, TooLarge) as error:
            await self._answer_no(target, draft, reply, "bad_request", f"the body is no request: {error}")
            return
        draft.request, draft.model, draft.stream = asked.body, asked.model, asked.stream
        if not target.service.may_ask(asked.model) and target.route.method == "POST":
            await self._answer_no(target, draft, reply, "denied", f"the model {asked.model} is not allowed here")
            return
        if target.route.generates:
            spent = self.ledger.refusal(asked.model)
            if spent is not None:
                await self._answer_no(target, draft, reply, "budget", spent)
                return
            self.ledger.requests += 1
        await Forward(self._clients[target.service.name], target, draft).run(asked, reply)

    def _read(self, target: Target, request: Request) -> Asked:
        body = request.body
        if request.head.header("content-encoding") == "gzip":
            body = gunzip(body, self._largest)
        return read_request(target, body)

    async def _answer_no(self, target: Target, draft: Draft, reply: Reply, kind: Kind, message: str) -> None:
        status = self.ledger.budget.status if kind == "budget" else None
        problem = error_body(target.service.upstream.api, kind, message, status)
        draft.fail(_FAULTS[kind], message)
        draft.status = problem.status
        await reply.whole(Refusal(problem.status, problem.body, problem.headers))

    def _refuse(self, head: Head, kind: Kind, message: str, target: Target | None = None) -> Refusal:
        api = target.service.upstream.api if target is not None else _api_of(head, self._services)
        problem = error_body(api, kind, message)
        draft = Draft(head, in_flight=self._busy, status=problem.status)
        draft.fail(_FAULTS[kind], message)
        if kind != "full":
            self._recorder.put(draft.exchange())
        return Refusal(problem.status, problem.body, problem.headers)

    def _settle(self, target: Target, draft: Draft) -> None:
        """Charge what was used, and record."""
        if target.route.generates and draft.sent and (draft.status is None or draft.status < 400):
            usage, sizes = draft.reading.usage, (draft.request_bytes, draft.response_bytes)
            draft.cost_usd = self.ledger.charge((draft.model, draft.reading.model), usage, *sizes)
        self._recorder.put(draft.exchange())


_FAULTS: dict[Kind, Fault] = {
    "denied": "denied",
    "unauthorized": "unauthorized",
    "budget": "budget",
    "bad_request": "bad_request",
    "full": "denied",
}


def _client(service: Service) -> httpx.AsyncClient:
    upstream = service.upstream
    timeout = httpx.Timeout(upstream.idle_s, connect=upstream.connect_s, pool=None)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=_KEPT_ALIVE)
    return httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=not service.local, follow_redirects=False)


def _api_of(head: Head, services: Sequence[Service]) -> Api | None:
    """In whose words to refuse a request that goes nowhere."""
    apis: set[Api] = {service.upstream.api for service in services}
    if len(apis) == 1:
        return apis.pop()
    if head.header("anthropic-version") or head.header("x-api-key"):
        return "anthropic"
    return "gemini" if head.header("x-goog-api-key") else None
