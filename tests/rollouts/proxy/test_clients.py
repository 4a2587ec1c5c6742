"""The makers' own client libraries through the proxy: to real vLLM, and to what only their services say."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from trajectory_hub.rollouts.proxy import Budget, ModelProxy, Upstream, read_exchanges

from ..model_server import Served
from .answers import CHAT, GEMINI, MESSAGES
from .conftest import TOKEN, Make
from .scripted import Talk

HELLO: Any = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
def served(server: Served, tmp_path: Path) -> Iterator[ModelProxy]:
    """A proxy before the one vLLM of all tests, which speaks OpenAI's APIs and Anthropic's."""
    root = server.url.removesuffix("/v1")
    ways = {"openai": Upstream("openai", server.url), "anthropic": Upstream("anthropic", root)}
    with ModelProxy(ways, tmp_path / "requests.jsonl", token=TOKEN) as proxy:
        yield proxy


class Clients:
    """Clients of a proxy, each of which holds connections until it is closed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def for_openai(self, proxy: ModelProxy) -> openai.OpenAI:
        url = proxy.environment()["OPENAI_BASE_URL"]
        return self._stack.enter_context(openai.OpenAI(base_url=url, api_key=TOKEN, max_retries=1))

    def for_anthropic(self, proxy: ModelProxy) -> anthropic.Anthropic:
        return self._stack.enter_context(anthropic.Anthropic(base_url=proxy.url, api_key=TOKEN))

    def for_google(self, proxy: ModelProxy) -> genai.Client:
        client = genai.Client(api_key=TOKEN, http_options={"base_url": proxy.url})
        self._stack.callback(client.close)
        return client


@pytest.fixture
def clients() -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(stack)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(900)
def test_real_models_answer_through_the_proxy(served: ModelProxy, clients: Clients) -> None:
    """Every API that vLLM has, with and without streaming: the record says what the client was told."""
    client = clients.for_openai(served)
    assert [model.id for model in client.models.list().data] == ["tiny"]
    plain = client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=12, seed=1)
    stream = client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=12, seed=1, stream=True)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    text = client.completions.create(model="tiny", prompt="def f(", max_tokens=5)
    response = client.responses.create(model="tiny", input="Say hello.", max_output_tokens=8)
    events = list(client.responses.create(model="tiny", input="Say hello.", max_output_tokens=8, stream=True))
    speaker = clients.for_anthropic(served)
    message = speaker.messages.create(model="tiny", messages=HELLO, max_tokens=8)
    with speaker.messages.stream(model="tiny", messages=HELLO, max_tokens=8) as told:
        final = told.get_final_message()
    served.close()
    exchanges = list(read_exchanges(served.record))
    assert [(e.api, e.stream) for e in exchanges] == [
        ("openai.models", False),
        ("openai.chat", False),
        ("openai.chat", True),
        ("openai.completions", False),
        ("openai.responses", False),
        ("openai.responses", True),
        ("anthropic.messages", False),
        ("anthropic.messages", True),
    ]
    assert {(e.status, e.fault) for e in exchanges} == {(200, None)}
    _, chat, chat_stream, completion, whole, whole_stream, said, said_stream = exchanges
    assert plain.usage is not None
    assert (chat.usage.input_tokens, chat.usage.output_tokens) == (
        plain.usage.prompt_tokens,
        plain.usage.completion_tokens,
    )
    assert chat_stream.usage == chat.usage
    assert (chat_stream.response["choices"][0]["message"].get("content") or "") == streamed
    assert completion.response["choices"][0]["text"] == text.choices[0].text
    assert response.usage is not None
    assert whole.usage.output_tokens == response.usage.output_tokens
    assert whole_stream.events == len(events)
    assert whole_stream.usage.output_tokens == 8
    assert said.usage.output_tokens == message.usage.output_tokens
    assert said.response_id == message.id
    assert said_stream.usage.output_tokens == final.usage.output_tokens
    assert [block.get("text") for block in said_stream.response["content"]] == [
        getattr(block, "text", None) for block in final.content
    ]
    for exchange in (chat_stream, whole_stream, said_stream):
        assert exchange.ttft_ms is not None
        assert 0 < exchange.ttft_ms <= exchange.duration_ms


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(900)
def test_errors_of_real_models_are_the_clients_errors(served: ModelProxy, clients: Clients) -> None:
    with pytest.raises(openai.NotFoundError):
        clients.for_openai(served).chat.completions.create(model="other", messages=HELLO)
    with pytest.raises(openai.BadRequestError):
        clients.for_openai(served).chat.completions.create(model="tiny", messages=HELLO, max_tokens=10**6)
    served.close()
    assert [(e.status, e.error is not None) for e in read_exchanges(served.record)] == [(404, True), (400, True)]


def stream_of(events: tuple[tuple[str | None, str], ...]) -> Any:
    def act(talk: Talk) -> None:
        talk.stream()
        for name, data in events:
            talk.event(data, name)
        talk.end()

    return act


def test_anthropics_client_reads_what_the_proxy_passes_on(world: Make, clients: Clients) -> None:
    made = world(stream_of(MESSAGES.events))
    client = clients.for_anthropic(made.proxy)
    with client.messages.stream(model="claude-of-tomorrow", messages=HELLO, max_tokens=100) as stream:
        message = stream.get_final_message()
    assert message.usage.output_tokens == 42
    (exchange,) = made.exchanges()
    assert exchange.response["content"] == [block.model_dump(exclude_none=True) for block in message.content]
    assert exchange.cost_usd == pytest.approx((10 * 3 + 70 * 0.3 + 20 * 3.75 + 42 * 15) / 1e6)


def test_googles_client_reads_what_the_proxy_passes_on(world: Make, clients: Clients) -> None:
    made = world(stream_of(GEMINI.events))
    client = clients.for_google(made.proxy)
    chunks = list(client.models.generate_content_stream(model="gemini-2.5-pro", contents="hi"))
    assert "".join(part.text or "" for c in chunks for part in _parts(c) if not part.thought) == "Hello"
    (exchange,) = made.exchanges()
    assert exchange.path.endswith("/models/gemini-2.5-pro:streamGenerateContent")
    assert exchange.query == "alt=sse"
    assert exchange.usage.reasoning_tokens == 6


def _parts(chunk: Any) -> list[Any]:
    return chunk.candidates[0].content.parts or []


def test_clients_understand_that_a_budget_is_used_up(world: Make, clients: Clients) -> None:
    """They raise at once: no client tries again what cannot succeed."""
    answer = json.dumps(CHAT.whole).encode()
    made = world(lambda talk: talk.answer(answer), budget=Budget(requests=0))
    with pytest.raises(openai.RateLimitError, match="budget of 0 requests"):
        clients.for_openai(made.proxy).chat.completions.create(model="gpt-4o", messages=HELLO)
    speaker = clients.for_anthropic(made.proxy)
    with pytest.raises(anthropic.APIStatusError, match="credit balance is too low") as caught:
        speaker.messages.create(model="claude-of-tomorrow", messages=HELLO, max_tokens=5)
    assert caught.value.status_code == 402
    client = clients.for_google(made.proxy)
    with pytest.raises(genai.errors.ClientError, match="RESOURCE_EXHAUSTED"):
        client.models.generate_content(model="gemini-2.5-pro", contents="hi")
    assert [exchange.fault for exchange in made.exchanges()] == ["budget"] * 3
    assert made.service.talks == []


def test_a_client_tries_again_and_each_try_is_told(world: Make, clients: Clients) -> None:
    tries = iter(("529 Overloaded", "200 OK"))
    error = json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}).encode()

    def act(talk: Talk) -> None:
        status = next(tries)
        talk.answer(error if status.startswith("5") else json.dumps(MESSAGES.whole).encode(), status, "retry-after: 0")

    made = world(act)
    client = clients.for_anthropic(made.proxy)
    assert client.messages.create(model="claude-of-tomorrow", messages=HELLO, max_tokens=5).id == "msg_01"
    failed, good = made.exchanges()
    assert (failed.status, failed.error, good.status) == (529, "overloaded_error: Overloaded", 200)
    assert (failed.headers["x-stainless-retry-count"], good.headers["x-stainless-retry-count"]) == ("0", "1")
