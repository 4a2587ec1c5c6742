"""The proxy's parts by themselves: streams cut anywhere, keys cut anywhere, bodies folded and put together again."""

import json
import random
from typing import Any

import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.rollouts.proxy.folding import Folder, Unfolder
from trajectory_hub.rollouts.proxy.masking import KeyFilter, Masker
from trajectory_hub.rollouts.proxy.sse import EventStream
from trajectory_hub.rollouts.proxy.words import read_upstreams


def test_events_are_found_however_a_stream_is_cut() -> None:
    stream = b"data: one\n\nevent: x\r\ndata: two\r\ndata: lines\r\n\r\n: only a comment\n\ndata:three\r\rdata: torn"
    wanted = [b"one", b"two\nlines", b"", b"three"]
    for size in range(1, len(stream)):
        events = EventStream()
        found = [e for start in range(0, len(stream), size) for e in events.feed(stream[start : start + size])]
        assert [event.data for event in found] == wanted, size
        assert b"".join(event.raw for event in found) + events.rest() == stream


@pytest.mark.parametrize("key", ["aab-aaba-key", "aaaaaaaaaa", "abcabcabcabd"])
def test_a_key_is_blotted_out_however_a_stream_is_cut(key: str) -> None:
    chance = random.Random(key)
    for _ in range(300):
        data = "".join(chance.choice([key, key[:5], key[3:], "a", "b", " "]) for _ in range(12)).encode()
        blot, passed, at = KeyFilter(key), b"", 0
        while at < len(data):
            size = chance.randint(1, 9)
            passed += blot.feed(data[at : at + size])
            at += size
        passed += blot.rest()
        assert len(passed) == len(data)
        assert key.encode() not in passed
        assert all(new in (old, ord("*")) for old, new in zip(data, passed, strict=True))


def test_what_cannot_begin_a_key_is_not_held_back() -> None:
    blot = KeyFilter("secret-key")
    assert blot.feed(b"data: hello\n\n") == b"data: hello\n\n"
    assert blot.feed(b"the sec") == b"the "
    assert blot.feed(b"ond\n\n") == b"second\n\n"


ODD: list[Any] = [None, 1, "text", [], {"content": [1, "é"]}]
SYSTEMS: list[Any] = ["short", "long " * 100, {"$items": {}}, {"$value": 1}]


def test_bodies_come_back_whatever_a_conversation_does() -> None:
    """Growing, cut back, edited in the middle, of two threads, with odd values."""
    chance = random.Random(7)
    folder, unfolder = Folder(Masker(())), Unfolder()
    threads: list[list[Any]] = [[], []]
    bodies, lines = list[Any](), list[str]()
    for number in range(200):
        messages = chance.choice(threads)
        messages += [{"role": "user", "content": f"{number} {'words ' * chance.randint(1, 60)}"}]
        if chance.random() < 0.1:
            del messages[chance.randrange(len(messages)) :]
        if messages and chance.random() < 0.2:
            messages[chance.randrange(len(messages))] = chance.choice(ODD)
        system = chance.choice(SYSTEMS)
        body = {"model": "m", "messages": list(messages), "system": system, "n": []}
        bodies.append(body)
        lines.append(json.dumps(folder.fold(body)[0]))
    assert [unfolder.unfold(json.loads(line)) for line in lines] == bodies
    assert sum(map(len, lines)) < sum(len(json.dumps(body)) for body in bodies) / 3


def test_a_message_seen_before_is_masked_again_elsewhere() -> None:
    folder = Folder(Masker(["the-known-secret"]))
    body = {"messages": [{"content": "the-known-secret"}], "tools": [1, {"content": "the-known-secret"}]}
    text = json.dumps([folder.fold(body)[0] for _ in range(3)])
    assert "the-known-secret" not in text
    assert text.count("[removed: key]") == 2


@pytest.mark.parametrize("words", [["llama"], ["openai", "openai"], ["x:mistral=http://h"], ["=http://h"]])
def test_upstreams_that_are_none_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        read_upstreams(words)


def test_a_known_key_goes_to_its_own_service_only() -> None:
    found = read_upstreams(["anthropic", "mine:openai=http://127.0.0.1:1/v1", "other:openai=https://h@OTHER_KEY"])
    assert [(name, one.api, one.key_env) for name, one in found.items()] == [
        ("anthropic", "anthropic", "ANTHROPIC_API_KEY"),
        ("mine", "openai", None),
        ("other", "openai", "OTHER_KEY"),
    ]
