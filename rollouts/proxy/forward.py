"""One request on its way: asked of a service, its answer passed on as it comes."""

import json
from collections.abc import Mapping
from typing import Any, cast

import httpx

from ..loopback import Refusal, Reply
from .apis import Answer, Asked, answer_of, error_body, read_answer
from .apis.errors import Kind
from .draft import Draft
from .headers import to_agent, to_service, told_of_answer, without_key
from .masking import KeyFilter
from .records import Fault
from .sse import EventStream
from .upstream import Target

__all__ = ["Forward"]

_KEPT = 1 << 26
"""Bytes of an answer in one piece that are kept to be recorded."""
_DONE = b"[DONE]"
_LAST = frozenset({"message_stop", "response.completed", "response.incomplete", "response.failed"})
"""The last events of a stream, by the APIs' types; OpenAI's chats and completions end with `[DONE]`."""
_SHOWN = 4096
"""Characters of an answer that is not JSON."""


class Forward:
    """Asks a service for an agent. What goes wrong on the way is in the draft, and told to the agent."""

    def __init__(self, client: httpx.AsyncClient, target: Target, draft: Draft) -> None:
        self._client, self._target, self._draft = client, target, draft
        self._service, self._route = target.service, target.route
        self._filter = KeyFilter(self._service.key)

    async def run(self, asked: Asked, reply: Reply) -> None:
        """Ask and answer. Raises ConnectionError when the agent is gone."""
        try:
            await self._ask(asked, reply)
        except (httpx.LocalProtocolError, httpx.InvalidURL) as error:
            await self._give_up("bad_request", f"this cannot be sent on: {error}", reply)
        except httpx.TimeoutException as error:
            await self._give_up("timeout", f"{self._service.name} was silent for too long ({_name(error)})", reply)
        except httpx.ConnectError as error:
            await self._give_up("unreachable", f"{self._service.name} cannot be reached: {error}", reply)
        except (httpx.HTTPError, httpx.StreamError) as error:
            await self._give_up("cut", f"{self._service.name} broke off: {_name(error)} {error}", reply)

    async def _give_up(self, fault: Fault, message: str, reply: Reply) -> None:
        """Tell the agent in the API's words; in the middle of an answer, break off as the service did."""
        self._draft.fail(fault, message)
        if reply.started:
            reply.cut()
            return
        kind: Kind = fault if fault in ("timeout", "bad_request") else "unreachable"
        problem = error_body(self._service.upstream.api, kind, message)
        self._draft.status = problem.status
        await reply.whole(Refusal(problem.status, problem.body, problem.headers))

    async def _ask(self, asked: Asked, reply: Reply) -> None:
        draft = self._draft
        request = self._client.build_request(
            draft.head.method, self._url(), headers=self._headers(), content=asked.content or None
        )
        draft.sent = True
        response = await self._client.send(request, stream=True)
        try:
            draft.first_byte = draft.moment()
            draft.status = response.status_code
            draft.answer_headers = told_of_answer(to_agent(response.headers.items()))
            streamed = response.headers.get("content-type", "").startswith("text/event-stream")
            await reply.start(response.status_code, self._answer_headers(response, streamed and asked.hide_usage))
            if streamed:
                await self._pass_stream(response, asked, reply)
            else:
                await self._pass_whole(response, reply)
            await reply.end()
        finally:
            await response.aclose()

    def _url(self) -> str:
        query = without_key(self._draft.head.target.partition("?")[2])
        return f"{self._service.root}{self._target.path}{'?' if query else ''}{query}"

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = to_service(self._draft.head.headers)
        every = [*headers, ("accept-encoding", "identity"), *self._service.key_header().items()]
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in every]

    def _answer_headers(self, response: httpx.Response, shortened: bool) -> list[tuple[str, str]]:
        headers = [(name, self._blot(value)) for name, value in to_agent(response.headers.items())]
        length = response.headers.get("content-length")
        if length is not None and not shortened and "content-encoding" not in response.headers:
            headers.append(("content-length", length))
        return headers

    def _blot(self, text: str) -> str:
        key = self._service.key
        return text.replace(key, "*" * len(key)) if key else text

    async def _pass_stream(self, response: httpx.Response, asked: Asked, reply: Reply) -> None:
        """Pass a stream on as it comes, and read along."""
        answer, events = answer_of(self._route.dialect), EventStream()
        try:
            async for piece in response.aiter_bytes():
                await self._pass_piece(self._filter.feed(piece), answer, events, asked, reply)
            await self._pass_piece(self._filter.rest(), answer, events, asked, reply)
            if asked.hide_usage:
                await reply.send(events.rest())
        finally:
            self._read_stream(answer)

    async def _pass_piece(self, piece: bytes, answer: Answer, events: EventStream, asked: Asked, reply: Reply) -> None:
        self._draft.response_bytes += len(piece)
        shown: list[bytes] = []
        for event in events.feed(piece):
            done = event.data == _DONE
            said = answer.feed(event.data, self._draft.moment()) if event.data and not done else None
            self._draft.ended |= done or (said is not None and said.get("type") in _LAST)
            if not _only_usage(said):
                shown.append(event.raw)
        await reply.send(b"".join(shown) if asked.hide_usage else piece)

    def _read_stream(self, answer: Answer) -> None:
        draft = self._draft
        draft.response = answer.whole()
        draft.reading = read_answer(self._route.dialect, draft.response)
        draft.parts, draft.first_token, draft.events = answer.parts.all, answer.parts.first, answer.events
        draft.error = draft.error or answer.error

    async def _pass_whole(self, response: httpx.Response, reply: Reply) -> None:
        kept = bytearray()
        try:
            async for piece in response.aiter_bytes():
                self._draft.response_bytes += len(piece)
                clean = self._filter.feed(piece)
                if len(kept) < _KEPT:
                    kept += clean
                await reply.send(clean)
            rest = self._filter.rest()
            kept += rest
            await reply.send(rest)
        finally:
            self._read_whole(bytes(kept))

    def _read_whole(self, body: bytes) -> None:
        draft = self._draft
        try:
            draft.response = json.loads(body) if body else None
        except (ValueError, RecursionError):
            draft.response = {"text": body[:_SHOWN].decode("utf-8", "replace")}
            return
        found: Any = draft.response
        if isinstance(found, list) and self._route.dialect == "gemini.generate":
            self._read_array(cast("list[Any]", found))
            return
        draft.reading = read_answer(self._route.dialect, draft.response)
        if draft.status == 200 and self._route.generates:
            draft.first_token = draft.moment()

    def _read_array(self, chunks: list[Any]) -> None:
        """Gemini's stream without `alt=sse`: one array of answers."""
        answer = answer_of(self._route.dialect)
        for chunk in chunks:
            answer.feed(json.dumps(chunk).encode(), self._draft.moment())
        self._read_stream(answer)


def _only_usage(event: Mapping[str, Any] | None) -> bool:
    """Whether this is the event that `include_usage` adds to a stream."""
    return event is not None and event.get("choices") == [] and event.get("usage") is not None


def _name(error: Exception) -> str:
    return type(error).__name__
