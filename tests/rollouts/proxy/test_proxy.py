"""The proxy between clients and a scripted service: what goes through, what does not, what is recorded."""

import json
import socket
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.rewards.service.usage import Price, PriceTable
from trajectory_hub.rollouts.proxy import Budget, ModelProxy, Upstream, read_exchanges

from .answers import ALL, CHAT, MESSAGES, Said
from .conftest import KEY, TOKEN, Make
from .scripted import Talk, wait_for

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = json.dumps(
    {"id": "c", "model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
)


def whole(talk: Talk) -> None:
    talk.answer(ANSWER.encode(), "200 OK", "x-request-id: req_7")


def streaming(said: Said) -> Any:
    def act(talk: Talk) -> None:
        talk.stream("request-id: req_7")
        for name, data in said.events:
            talk.event(data, name)
        talk.end()

    return act


@pytest.mark.parametrize("said", ALL.values(), ids=ALL)
def test_streams_pass_as_they_are_and_are_understood(world: Make, said: Said) -> None:
    made = world(streaming(said))
    body = {**said.body, "stream": True}
    answer = httpx.post(made.proxy.url + said.path, json=body, headers=made.headers)
    sent = "".join((f"event: {name}\n" if name else "") + f"data: {data}\n\n" for name, data in said.events)
    assert answer.text == sent
    (exchange,) = made.exchanges()
    assert exchange.response == said.whole
    assert exchange.request == body
    usage = exchange.usage
    assert (
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_creation_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    ) == said.tokens
    assert exchange.finish_reason == said.finish
    assert [(part.kind, part.call_id) for part in exchange.parts] == list(said.parts)
    assert exchange.request_id == "req_7"
    assert exchange.response_id == (said.whole.get("id") or said.whole["responseId"])
    assert exchange.cost_usd is not None
    assert exchange.t_first_token is not None
    assert exchange.t_first_token <= exchange.t_end


@pytest.mark.parametrize("said", ALL.values(), ids=ALL)
def test_answers_without_streaming_are_understood_alike(world: Make, said: Said) -> None:
    text = json.dumps(said.whole).encode()
    made = world(lambda talk: talk.answer(text))
    path = said.path.replace(":stream", ":").replace("Generate", "generate", 1).partition("?")[0]
    answer = httpx.post(made.proxy.url + path, json=said.body, headers=made.headers)
    assert answer.content == text
    (exchange,) = made.exchanges()
    assert exchange.usage.input_tokens == said.tokens[0]
    assert exchange.usage.output_tokens == said.tokens[3]
    assert (exchange.finish_reason, exchange.response) == (said.finish, said.whole)


def test_gemini_streams_in_one_array_are_understood(world: Make) -> None:
    said = ALL["gemini"]
    chunks = [json.loads(data) for _, data in said.events]
    made = world(lambda talk: talk.answer(json.dumps(chunks).encode()))
    httpx.post(made.proxy.url + said.path.partition("?")[0], json=said.body, headers=made.headers)
    (exchange,) = made.exchanges()
    assert exchange.response == said.whole
    assert exchange.usage.total == 40


def test_nothing_of_a_stream_waits(world: Make) -> None:
    """The service says its second piece only when the agent has the first."""
    seen = threading.Event()

    def act(talk: Talk) -> None:
        talk.stream()
        talk.event(CHAT.events[3][1])
        assert seen.wait(60)
        time.sleep(0.2)
        talk.event(CHAT.events[4][1])
        talk.end()

    made = world(act)
    with httpx.stream(
        "POST", made.proxy.url + CHAT.path, json={**BODY, "stream": True}, headers=made.headers
    ) as answer:
        pieces = answer.iter_bytes()
        assert b"I " in next(pieces)
        seen.set()
        assert b"look." in b"".join(pieces)
    (exchange,) = made.exchanges()
    assert exchange.ttft_ms is not None
    assert exchange.duration_ms - exchange.ttft_ms >= 200
    assert exchange.parts[0].chars == 7


def test_usage_is_asked_for_and_not_told_to_who_did_not_ask(world: Make) -> None:
    made = world(streaming(CHAT))
    body = {**BODY, "stream": True}
    answer = httpx.post(made.proxy.url + CHAT.path, json=body, headers=made.headers)
    assert json.loads(made.service.talks[0].body)["stream_options"] == {"include_usage": True}
    assert "prompt_tokens" not in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")
    (exchange,) = made.exchanges()
    assert exchange.request == body
    assert exchange.usage.total == 120


@pytest.mark.parametrize(
    ("path", "given", "sent"),
    [
        ("/v1/chat/completions", {"authorization": f"Bearer {TOKEN}"}, ("authorization", f"Bearer {KEY}")),
        ("/v1/messages", {"x-api-key": TOKEN}, ("x-api-key", KEY)),
        ("/v1beta/models/m:generateContent", {"x-goog-api-key": TOKEN}, ("x-goog-api-key", KEY)),
        (f"/v1beta/models/m:generateContent?key={TOKEN}", {}, ("x-goog-api-key", KEY)),
    ],
)
def test_the_key_is_exchanged(world: Make, path: str, given: dict[str, str], sent: tuple[str, str]) -> None:
    made = world(whole)
    assert httpx.post(made.proxy.url + path, json=BODY, headers={**given, "cookie": "a=b"}).status_code == 200
    (talk,) = made.service.talks
    assert talk.headers[sent[0]] == sent[1]
    assert TOKEN not in talk.head.decode()
    assert "cookie" not in talk.headers
    made.proxy.close()
    text = made.proxy.record.read_text()
    assert TOKEN not in text
    assert KEY not in text


def test_a_key_that_the_service_repeats_stays_here(world: Make) -> None:
    """In headers, in a body, in a stream, also cut in two."""

    def act(talk: Talk) -> None:
        if b'"stream"' not in talk.body:
            talk.answer(json.dumps({"error": {"message": f"wrong key {KEY}"}}).encode(), "401 No", f"x-echo: {KEY}")
            return
        talk.stream()
        talk.chunk(f"data: {KEY[:9]}".encode())
        time.sleep(0.1)
        talk.chunk(f"{KEY[9:]} real-key\n\n".encode())
        talk.end()

    made = world(act)
    for extra in ({}, {"stream": True, "stream_options": {"include_usage": True}}):
        answer = httpx.post(made.proxy.url + CHAT.path, json={**BODY, **extra}, headers=made.headers)
        assert KEY not in answer.text + str(answer.headers)
    assert answer.text == f"data: {'*' * len(KEY)} real-key\n\n"
    made.proxy.close()
    assert KEY not in made.proxy.record.read_text()


def test_secrets_are_not_recorded(world: Make) -> None:
    made = world(whole)
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow" + "IBAAKCAQEA7b" * 10 + "\n-----END RSA PRIVATE KEY-----"
    said = f"my token\n{token} and\n{key}\nbye, {KEY}"
    value = "hV8kQ2mZ7rT4wY9bN3cX"
    body = {**BODY, "messages": [{"role": "user", "content": said}], "metadata": {"api_key": value}}
    httpx.post(made.proxy.url + CHAT.path, json=body, headers=made.headers)
    assert json.loads(made.service.talks[0].body) == body
    (exchange,) = made.exchanges()
    text = made.proxy.record.read_text()
    assert not [secret for secret in (token, "MIIEow", value, KEY) if secret in text]
    content = exchange.request["messages"][0]["content"]
    assert content == "my token\n[removed: GitHub token] and\n[removed: private key]\nbye, [removed: key]"
    assert exchange.secrets == 4


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/v1/embeddings",
        "/v1/chat/completions/",
        "/v1/../v1/chat/completions",
        "/v1/chat/completions/../../admin",
        "/v1/chat%2Fcompletions",
        "//v1/chat/completions",
        "/v1/models/a/b/c",
        "/v1beta/models/a/../b:generateContent",
        "/v1beta/models/a:deleteContent",
        "/openai/v1/messages",
        "/nobody/v1/messages",
        "http://elsewhere.example/v1/chat/completions",
    ],
)
def test_what_is_not_on_the_list_is_denied_and_recorded(world: Make, target: str) -> None:
    made = world(whole)
    with httpx.Client() as client:
        request = client.build_request("POST", made.proxy.url, json=BODY, headers=made.headers)
        request.extensions = {"target": target.encode()}
        answer = client.send(request)
    assert answer.status_code == 403
    assert "not allowed" in answer.json()["error"]["message"]
    (exchange,) = made.exchanges()
    assert (exchange.fault, exchange.status, exchange.path) == ("denied", 403, target)
    assert made.service.talks == []


def test_who_has_not_the_token_is_refused(world: Make) -> None:
    made = world(whole)
    for headers in ({}, {"authorization": "Bearer other"}, {"x-api-key": ""}):
        assert httpx.post(made.proxy.url + CHAT.path, json=BODY, headers=headers).status_code == 401
    assert [exchange.fault for exchange in made.exchanges()] == ["unauthorized"] * 3
    assert made.service.talks == []


def test_upstreams_are_told_apart_by_name(world: Make) -> None:
    made = world(whole)
    post = httpx.post(f"{made.proxy.url}/anthropic/v1/messages?beta=true", json=BODY, headers=made.headers)
    assert post.status_code == 200
    assert made.service.talks[0].first_line == "POST /v1/messages?beta=true HTTP/1.1"
    assert made.proxy.environment("anthropic")["ANTHROPIC_BASE_URL"] == f"{made.proxy.url}/anthropic"
    assert made.proxy.environment()["OPENAI_BASE_URL"] == f"{made.proxy.url}/v1"
    with pytest.raises(UsageError, match="no upstream"):
        made.proxy.environment("other")


def test_only_allowed_models_are_asked(world: Make) -> None:
    made = world(whole, upstream={"models": ("gpt-4o*",)})
    denied = httpx.post(made.proxy.url + CHAT.path, json={**BODY, "model": "o3"}, headers=made.headers)
    assert denied.status_code == 403
    twice = b'{"model": "o3", "model": "gpt-4o-mini", "messages": []}'
    assert httpx.post(made.proxy.url + CHAT.path, content=twice, headers=made.headers).status_code == 200
    assert b"o3" not in made.service.talks[0].body
    assert len(made.service.talks) == 1


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/chat/completions", 429, "insufficient_quota"),
        ("/v1/messages", 402, "billing_error"),
        ("/v1beta/models/gpt-4o:generateContent", 429, "RESOURCE_EXHAUSTED"),
    ],
)
def test_a_spent_budget_is_told_in_the_words_of_the_api(world: Make, path: str, status: int, said: str) -> None:
    made = world(whole, budget=Budget(requests=1))
    assert httpx.post(made.proxy.url + path, json=BODY, headers=made.headers).status_code == 200
    answer = httpx.post(made.proxy.url + path, json=BODY, headers=made.headers)
    assert answer.status_code == status
    assert said in answer.text
    assert answer.headers["x-should-retry"] == "false"
    assert made.exchanges()[1].fault == "budget"
    assert len(made.service.talks) == 1


@pytest.mark.parametrize(
    ("budget", "made_requests"),
    [
        (Budget(tokens=20), 2),
        (Budget(cost_usd=1.5e-5), 2),
        (Budget(cost_usd=0.0), 0),
        (Budget(tokens=20, status=403), 2),
    ],
)
def test_tokens_and_dollars_end(world: Make, budget: Budget, made_requests: int) -> None:
    prices = PriceTable(as_of=date(2026, 1, 1), models={"gpt-4o": Price(input=1, output=1)})
    made = world(whole, budget=budget, prices=prices)
    codes = [httpx.post(made.proxy.url + CHAT.path, json=BODY, headers=made.headers).status_code for _ in range(4)]
    assert codes == [200] * made_requests + [budget.status or 429] * (4 - made_requests)
    assert made.proxy.usage.total in (None, 10 * made_requests)
    assert made.proxy.cost_usd == pytest.approx(1e-5 * made_requests)
    unknown = httpx.post(made.proxy.url + CHAT.path, json={**BODY, "model": "new"}, headers=made.headers)
    assert unknown.status_code == (budget.status or 429)


def test_a_stream_that_is_dropped_still_counts(world: Make) -> None:
    """An agent cannot dodge its budget by hanging up before the service says what was used."""
    forever = threading.Event()

    def act(talk: Talk) -> None:
        talk.stream()
        talk.event(json.dumps({"choices": [{"index": 0, "delta": {"content": "x" * 400}}]}))
        forever.wait(5)

    made = world(act, budget=Budget(tokens=100))
    body = {**BODY, "stream": True}
    with httpx.stream("POST", made.proxy.url + CHAT.path, json=body, headers=made.headers) as answer:
        next(answer.iter_bytes())
    wait_for(lambda: httpx.post(made.proxy.url + CHAT.path, json=BODY, headers=made.headers).status_code == 429)
    forever.set()
    first = made.exchanges()[0]
    assert first.fault == "client_gone"
    assert first.usage.total is None
    assert first.response["choices"][0]["message"]["content"] == "x" * 400


@pytest.mark.parametrize("status", ["429 Too Many Requests", "529 Overloaded", "500 No", "400 Bad"])
def test_errors_of_the_service_are_passed_on(world: Make, status: str) -> None:
    said = json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}).encode()
    made = world(lambda talk: talk.answer(said, status, "retry-after: 7", "request-id: req_9"))
    answer = httpx.post(made.proxy.url + MESSAGES.path, json=BODY, headers=made.headers)
    assert answer.status_code == int(status[:3])
    assert answer.headers["retry-after"] == "7"
    assert answer.content == said
    (exchange,) = made.exchanges()
    assert (exchange.status, exchange.fault) == (int(status[:3]), None)
    assert exchange.error == "overloaded_error: Overloaded"
    assert (exchange.request_id, exchange.cost_usd) == ("req_9", None)


def test_every_try_of_a_client_is_a_line(world: Make) -> None:
    tries = iter(("503 Busy", "200 OK"))
    made = world(lambda talk: talk.answer(ANSWER.encode(), next(tries)))
    for number in ("0", "1"):
        more = {"x-stainless-retry-count": number}
        httpx.post(made.proxy.url + CHAT.path, json=BODY, headers={**made.headers, **more})
    assert [(e.status, e.headers["x-stainless-retry-count"]) for e in made.exchanges()] == [(503, "0"), (200, "1")]


def test_a_service_that_is_not_there_is_told_apart(world: Make, tmp_path: Path) -> None:
    nowhere = Upstream("anthropic", "http://127.0.0.1:9")
    with ModelProxy({"a": nowhere}, tmp_path / "r.jsonl") as proxy:
        answer = httpx.post(f"{proxy.url}/v1/messages", json=BODY)
    assert answer.status_code == 502
    assert answer.json()["error"]["type"] == "api_error"
    (exchange,) = read_exchanges(tmp_path / "r.jsonl")
    assert (exchange.fault, exchange.status) == ("unreachable", 502)


def test_silence_is_a_time_out(world: Make) -> None:
    def act(talk: Talk) -> None:
        if b'"stream"' in talk.body:
            talk.stream()
            talk.event(CHAT.events[3][1])
        talk.connection.recv(1)  # until the proxy hangs up

    made = world(act, upstream={"idle_s": 1.5})
    assert httpx.post(made.proxy.url + CHAT.path, json=BODY, headers=made.headers).status_code == 504
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(made.proxy.url + CHAT.path, json={**BODY, "stream": True}, headers=made.headers)
    before, within = made.exchanges()
    assert (before.fault, before.status) == ("timeout", 504)
    assert (within.fault, within.status) == ("timeout", 200)
    assert within.response["choices"][0]["message"]["content"] == "I "


@pytest.mark.parametrize("length", [False, True], ids=["stream", "length"])
def test_an_answer_that_is_cut_is_cut_for_the_agent_too(world: Make, length: bool) -> None:
    def act(talk: Talk) -> None:
        if length:
            talk.connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        else:
            talk.stream()
            talk.event(MESSAGES.events[0][1], "message_start")
        time.sleep(1)  # a reset takes with it what the proxy has not read
        talk.cut()

    made = world(act)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(made.proxy.url + MESSAGES.path, json={**BODY, "stream": not length}, headers=made.headers)
    (exchange,) = made.exchanges()
    assert exchange.fault == "cut"
    assert exchange.usage.input_tokens == (None if length else 100)


def test_a_service_that_hangs_up_at_once_is_a_502(world: Make) -> None:
    made = world(lambda talk: talk.cut())
    assert httpx.post(made.proxy.url + CHAT.path, json=BODY, headers=made.headers).status_code == 502
    assert made.exchanges()[0].fault == "cut"


@pytest.mark.parametrize("last", ["[DONE]", json.dumps({"type": "response.completed"})])
def test_an_agent_that_hangs_up_after_the_last_word_misses_nothing(world: Make, last: str) -> None:
    left = threading.Event()

    def act(talk: Talk) -> None:
        talk.stream()
        talk.event(last)
        left.wait(60)

    made = world(act)
    body = {**BODY, "stream": True}
    with httpx.stream("POST", made.proxy.url + CHAT.path, json=body, headers=made.headers) as answer:
        next(answer.iter_bytes())
    wait_for(lambda: bool(made.exchanges()))
    left.set()
    (exchange,) = made.exchanges()
    assert (exchange.fault, exchange.status) == (None, 200)


def test_an_agent_that_hangs_up_frees_the_service(world: Make) -> None:
    asked, freed = threading.Event(), threading.Event()

    def act(talk: Talk) -> None:
        asked.set()
        if not talk.connection.recv(1):
            freed.set()

    made = world(act)
    host, _, port = made.proxy.url.removeprefix("http://").partition(":")
    body = json.dumps(BODY).encode()
    with socket.create_connection((host, int(port))) as agent:
        head = f"POST {CHAT.path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}"
        agent.sendall(head.encode() + b"\r\n\r\n" + body)
        assert asked.wait(20)
    assert freed.wait(20)
    (exchange,) = made.exchanges()
    assert (exchange.fault, exchange.status) == ("client_gone", None)


def test_closing_the_proxy_is_an_interruption(world: Make) -> None:
    started, end = threading.Event(), threading.Event()

    def act(talk: Talk) -> None:
        talk.stream()
        talk.event(CHAT.events[3][1])
        started.set()
        end.wait(60)

    made = world(act)
    failed = list[type]()

    def ask() -> None:
        try:
            httpx.post(made.proxy.url + CHAT.path, json={**BODY, "stream": True}, headers=made.headers)
        except httpx.HTTPError as error:
            failed.append(type(error))

    asking = threading.Thread(target=ask)
    asking.start()
    assert started.wait(60)
    time.sleep(0.1)
    (exchange,) = made.exchanges()
    asking.join()
    end.set()
    assert exchange.fault == "interrupted"
    assert failed == [httpx.RemoteProtocolError]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b'{"a":' * 20_000])
def test_what_is_no_request_is_refused(world: Make, body: bytes) -> None:
    made = world(whole)
    assert httpx.post(made.proxy.url + CHAT.path, content=body, headers=made.headers).status_code == 400
    assert made.exchanges()[0].fault == "bad_request"
    assert made.service.talks == []


def test_a_service_that_does_not_answer_json_is_passed_on(world: Make) -> None:
    page = b"<html>502 Bad Gateway</html>"
    made = world(lambda talk: talk.answer(page, "502 Bad Gateway", kind="text/html"))
    answer = httpx.post(made.proxy.url + CHAT.path, json=BODY, headers=made.headers)
    assert (answer.status_code, answer.content) == (502, page)
    assert made.exchanges()[0].response == {"text": page.decode()}


def test_odd_bodies_are_recorded_too(world: Make) -> None:
    """Half characters, members with our own marks, deep nests, names that are no names, numbers beyond measure."""
    answer = b'{"id": 7, "model": ["x"], "choices": 3, "usage": {"prompt_tokens": "many"}, "x": "\\ud800"}'
    made = world(lambda talk: talk.answer(answer))
    deep = json.loads("[" * 600 + "]" * 600)
    bodies: list[dict[str, Any]] = [
        {"model": "\ud800", "messages": ["\udfff", {"content": None}]},
        {"model": 5, "messages": {"$items": {"after": "", "new": [1]}}, "x": {"$value": 1}},
        {"model": "gpt-4o", "messages": [10**400, 1.5e308, -0.0, True, None, ""], "n": []},
        {"model": "gpt-4o", "messages": deep},
    ]
    for body in bodies:
        content = json.dumps(body).encode()
        assert httpx.post(made.proxy.url + CHAT.path, content=content, headers=made.headers).content == answer
    found = made.exchanges()
    assert [exchange.request for exchange in found[:3]] == bodies[:3]
    assert "nested too deeply" in found[3].request["left_out"]
    assert {exchange.status for exchange in found} == {200}
    assert found[0].response == json.loads(answer)


def test_headers_go_on_as_they_are_but_for_what_belongs_to_the_connection(world: Make) -> None:
    made = world(whole)
    sent = [(b"anthropic-beta", b"a"), (b"x-odd", b"caf\xe9"), (b"x-mine", b"1"), (b"x-forwarded-for", b"1.2.3.4")]
    hop = [(b"connection", b"x-mine"), (b"te", b"trailers"), (b"authorization", f"Bearer {TOKEN}".encode())]
    assert httpx.post(made.proxy.url + CHAT.path, json=BODY, headers=[*sent, *hop]).status_code == 200
    found = made.service.talks[0].headers
    assert (found["anthropic-beta"], found["x-odd"]) == ("a", "caf\xe9")
    assert not {"x-mine", "te", "x-forwarded-for"} & found.keys()
    assert made.exchanges()[0].headers["anthropic-beta"] == "a"


def test_a_long_conversation_costs_space_once(world: Make) -> None:
    made = world(whole)
    messages, system = list[dict[str, Any]](), "You are an agent. " * 500
    sent, body = list[int](), dict[str, Any]()
    with httpx.Client(headers=made.headers) as client:
        for number in range(60):
            messages.append({"role": "user", "content": f"{number} " + "some output of a tool " * 50})
            body = {"model": "gpt-4o", "system": system, "messages": messages, "tools": [{"name": "x" * 3000}]}
            sent.append(len(client.post(made.proxy.url + CHAT.path, json=body).request.content))
    exchanges = made.exchanges()
    assert [len(exchange.request["messages"]) for exchange in exchanges] == list(range(1, 61))
    assert exchanges[-1].request == body
    assert exchanges[20].request["messages"] == messages[:21]
    size = made.proxy.record.stat().st_size
    assert size < sent[-1] + 60 * 1500
    assert size < sum(sent) / 10


def test_without_bodies_nothing_that_was_said_is_recorded(world: Make) -> None:
    made = world(streaming(CHAT), bodies=False)
    httpx.post(made.proxy.url + CHAT.path, json={**BODY, "stream": True}, headers=made.headers)
    (exchange,) = made.exchanges()
    assert (exchange.request, exchange.response) == (None, None)
    assert exchange.usage.total == 120
    assert "look." not in made.proxy.record.read_text()


def test_hundreds_of_streams_at_once(world: Make) -> None:
    count, gate = 300, threading.Barrier(300 + 1)

    def act(talk: Talk) -> None:
        talk.stream()
        talk.event(CHAT.events[3][1])
        gate.wait(200)
        for name, data in CHAT.events[4:]:
            talk.event(data, name)
        talk.end()

    made = world(act)
    answers = list[str]()

    client = httpx.Client(headers=made.headers, timeout=200, verify=False, limits=httpx.Limits(max_connections=None))

    def ask() -> None:
        body = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
        answers.append(client.post(made.proxy.url + CHAT.path, json=body).text)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    gate.wait(200)
    for thread in threads:
        thread.join()
    client.close()
    assert len(answers) == count
    assert len(set(answers)) == 1
    exchanges = made.exchanges()
    assert max(exchange.in_flight for exchange in exchanges) == count - 1
    assert {exchange.usage.total for exchange in exchanges} == {120}


@pytest.mark.parametrize(
    ("upstream", "said"),
    [
        (Upstream("openai", "https://h", "NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
        (Upstream("openai", "ftp://h"), "base URL"),
        (Upstream("openai", "https://user:pw@h"), "base URL"),
        (Upstream("openai", "https://h", routes=("POST /v1/../x",)), "no route"),
        (Upstream("openai", "https://h", routes=("CONNECT /v1",)), "no route"),
    ],
)
def test_upstreams_that_cannot_be_are_refused(tmp_path: Path, upstream: Upstream, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ModelProxy({"a": upstream}, tmp_path / "r.jsonl")


def test_further_routes_can_be_allowed(world: Make) -> None:
    made = world(whole, upstream={"routes": ("POST /v1/embeddings", "GET /v1/files/*")})
    assert httpx.post(f"{made.proxy.url}/v1/embeddings", json=BODY, headers=made.headers).status_code == 200
    assert httpx.get(f"{made.proxy.url}/v1/files/f-1", headers=made.headers).status_code == 200
    assert httpx.get(f"{made.proxy.url}/v1/files/a/b", headers=made.headers).status_code == 403
