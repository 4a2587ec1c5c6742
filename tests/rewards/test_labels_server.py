"""Who may talk to the labelling server, and what it answers."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.rewards.human.labels import PairItem, StepItem
from trajectory_hub.rewards.human.server import HOST, LabelServer
from trajectory_hub.rewards.human.session import QUESTIONS, Session
from trajectory_hub.rewards.human.store import LabelStore
from trajectory_hub.rewards.scores import CRITERIA

ITEMS = [StepItem.of(run_id="run", episode_id="e", task_id="t", step=n) for n in range(12)]
Answer = tuple[int, dict[str, str], Any]


def view(item: StepItem | PairItem, left: str) -> dict[str, Any]:
    return {"statement": "fix it", "before": [], "step": {"number": item.step + 1 if isinstance(item, StepItem) else 0}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LabelStore]:
    with LabelStore(tmp_path / "labels.sqlite") as opened:
        yield opened


@pytest.fixture
def server(store: LabelStore) -> Iterator[LabelServer]:
    with LabelServer(Session(store, ITEMS, view)) as started:
        thread = threading.Thread(target=started.serve_forever, args=(0.02,))
        thread.start()
        yield started
        started.shutdown()
        thread.join()


def ask(server: LabelServer, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> Answer:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
    sent = {"Host": f"{HOST}:{server.port}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    data = None
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} | sent
    where = f"/{server.token if token is None else token}/{path}"
    connection.request("GET" if body is None else "POST", where, data, sent)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    is_json = reply.headers.get_content_type() == "application/json"
    return reply.status, dict(reply.headers), json.loads(text) if is_json else text


def answer(item: str, **change: Any) -> dict[str, Any]:
    return {"annotator": "ada", "item": item, "key": f"key-of-{item}", "points": dict.fromkeys(CRITERIA, 4)} | change


def test_the_page_comes_with_a_strict_policy(server: LabelServer) -> None:
    for path in ("", "label.js", "label_view.js", "label.css"):
        status, headers, text = ask(server, path)
        assert status == 200
        assert len(text) > 500
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("token", ["", "wrong", "%C3%A9", "../"])
@pytest.mark.parametrize("path", ["", "label.js", "api/session?annotator=ada"])
def test_without_the_token_nothing_is_told(server: LabelServer, token: str, path: str) -> None:
    status, _, said = ask(server, path, token=token)
    assert status == 403
    assert "not valid" in said["error"]
    assert server.token not in str(said)


def test_every_start_has_a_token_of_its_own(store: LabelStore) -> None:
    tokens = set[str]()
    for _ in range(5):
        with LabelServer(Session(store, ITEMS, view)) as started:
            tokens.add(started.token)
    assert len(tokens) == 5
    assert min(map(len, tokens)) >= 24


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", ""]
)
def test_a_foreign_host_is_refused(server: LabelServer, host: str) -> None:
    """A name that somebody else's domain server points to this machine."""
    status, _, said = ask(server, "api/session?annotator=ada", Host=host.format(port=server.port))
    assert status == 421
    assert "items" not in said
    assert ask(server, "api/session?annotator=ada", Host=f"localhost:{server.port}")[0] == 200


def test_another_site_s_page_cannot_save(server: LabelServer, store: LabelStore) -> None:
    item = ITEMS[0].item_id
    for origin in ("http://evil.example", "null", f"http://{HOST}:1"):
        assert ask(server, "api/save", answer(item), Origin=origin)[0] == 403
    assert ask(server, "api/save", answer(item), Content_Type="text/plain")[0] == 415
    assert list(store.history()) == []
    assert ask(server, "api/save", answer(item), Origin=f"http://{HOST}:{server.port}")[0] == 200
    assert len(list(store.history())) == 1


def test_it_listens_on_the_loopback_only(server: LabelServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    name = socket.gethostbyname(socket.gethostname())
    if not name.startswith("127."):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((name, server.port), timeout=5)


def test_a_taken_port_is_said(server: LabelServer, store: LabelStore) -> None:
    with pytest.raises(UsageError, match=f"port {server.port} cannot be used .*--port 0 finds a free one"):
        LabelServer(Session(store, ITEMS, view), port=server.port)


def test_what_is_saved_is_on_record_before_the_answer(server: LabelServer, store: LabelStore) -> None:
    item = ITEMS[3].item_id
    points = dict.fromkeys(CRITERIA, 4) | {"tool_choice": None}
    status, _, said = ask(server, "api/save", answer(item, points=points, note="  so  ", seconds=1.5))
    assert (status, [each["id"] for each in said["items"] if each["done"]]) == (200, [item])
    ask(server, "api/save", answer(item, points=points))
    (save,) = store.history()
    assert (save.annotator, save.note, save.seconds) == ("ada", "so", 1.5)
    shown = ask(server, f"api/item?annotator=ada&id={item}")[2]
    assert shown["answer"] == {"points": points, "note": "so"}
    assert ask(server, f"api/item?annotator=bob&id={item}")[2]["answer"] is None, "nobody sees what others said"


def test_answers_that_do_not_fit_are_refused(server: LabelServer, store: LabelStore) -> None:
    item = ITEMS[0].item_id
    wrong: list[Any] = [
        b"{", b"[]", answer("step-unknown"), answer(item, points=None), answer(item, points={"goal_progress": 3}),
        answer(item, points=dict.fromkeys(CRITERIA, 6)), answer(item, points=dict.fromkeys(CRITERIA, 2.5)),
        answer(item, annotator=""), answer(item, annotator="a\x1b"), answer(item, extra=1), answer(item, key="short"),
        answer(item, seconds=-1), answer(item, note="x" * 20_000),
    ]  # fmt: skip
    for body in wrong:
        status, _, said = ask(server, "api/save", body)
        assert status == 422, body
        assert said["error"]
    assert ask(server, "api/save", b"x" * 100_000)[0] == 413
    assert ask(server, "api/nothing", {})[0] == 404
    assert ask(server, "api/nothing")[0] == 404
    assert ask(server, "../../etc/passwd")[0] == 404
    assert ask(server, "api/item?annotator=ada&id=nothing")[0] == 422
    assert ask(server, "api/session")[0] == 422
    assert list(store.history()) == []


def test_noise_is_survived(server: LabelServer) -> None:
    for noise in (
        b"\x00\xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST * HTTP/1.1\r\n\r\n",
        b"GET // HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        with socket.create_connection((HOST, server.port), timeout=5) as connection:
            connection.sendall(noise)
            connection.recv(1000)
    assert ask(server, "api/session?annotator=ada")[0] == 200


def test_each_annotator_has_an_order_that_stays(store: LabelStore) -> None:
    session = Session(store, ITEMS, view, seed=1)
    assert session.order("ada") == Session(store, ITEMS[::-1], view, seed=1).order("ada")
    assert session.order("ada") != session.order("bob")
    assert session.order("ada") != Session(store, ITEMS, view, seed=2).order("ada")
    assert sorted(session.order("ada")) == sorted(item.item_id for item in ITEMS)
    sides = {session.left(f"a{n}", ITEMS[0].item_id) for n in range(20)}
    assert sides == {"a", "b"}


def test_there_must_be_something_to_label(store: LabelStore) -> None:
    with pytest.raises(UsageError, match="nothing to label"):
        Session(store, [], view)
    with pytest.raises(ValueError, match="all steps or all pairs"):
        Session(store, [ITEMS[0], PairItem.of("t", ("r", "x"), ("r", "y"))], view)


def test_every_criterion_has_a_question() -> None:
    assert tuple(QUESTIONS) == CRITERIA
