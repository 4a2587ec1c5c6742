"""What an adapter says that it loses is what it loses: each field is changed, and the events change or do not."""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from trajectory_hub.rollouts.adapters.base import Timed
from trajectory_hub.rollouts.adapters.losses import losses_of
from trajectory_hub.rollouts.adapters.registry import adapters

from .recorded import claude, rollout, said, transcript, write
from .recorded_gemini import session

Place = tuple[str | int, ...]
Record = dict[str, Any]


def _claude() -> list[Record]:
    """With what newer versions write besides."""
    usage = {
        "service_tier": "standard",
        "speed": "fast",
        "iterations": 1,
        "server_tool_use": {"web_search_requests": 0},
    }
    more = {"promptId": "p", "userType": "external", "entrypoint": "cli", "requestId": "r", "isMeta": True}
    request = {"type": "api-request", "sessionId": "s", "id": "q", "params": {"model": "m", "max_tokens": 9}}
    parts = [{"type": "thinking", "thinking": "hm", "signature": "g"}, {"type": "redacted_thinking", "data": "d"}]
    return [
        *transcript(),
        {**request, "shapeHash": "h", "keep": 1, "tail": ["b"], "timestamp": "2026-03-01T10:00:19.000Z"},
        said(20, "a7", "s3", "msg_7", *parts, {"type": "text", "text": "More.", "citations": "c"}, usage=usage),
        {**claude("user", 21, "u7", "a7", message={"role": "user", "content": "thanks"}), **more},
        said(22, "a8", "u7", "msg_8", {"type": "text", "text": "Bye."}),
    ]


def _codex() -> list[Record]:
    """With what newer versions write besides."""
    usage = {"input_tokens": 50, "cached_input_tokens": 30, "cache_write_input_tokens": 3, "output_tokens": 9}
    used = {"thread_id": "s", "turn_id": "t-1", "response_id": "resp", "usage": usage, "thread_token_usage": {"n": 1}}
    used |= {"session_id": "s", "root_turn_id": "t-1", "turn_token_usage": {"n": 1}}
    body: list[Record] = [
        {"type": "world_state", "payload": {"full": True, "state": {"shell": "bash"}}},
        {
            "type": "response_item",
            "payload": {
                "type": "function_call",
                "id": "f",
                "status": "s",
                "name": "t",
                "arguments": "{}",
                "call_id": "c9",
            },
            "metadata": {"history_sequence": 4},
        },
        {"type": "token_usage_record", "payload": used},
        {
            "type": "response_item",
            "payload": {"type": "function_call_output", "call_id": "c9", "output": "x", "id": "o"},
        },
        {
            "type": "response_item",
            "payload": {
                "type": "message",
                "role": "assistant",
                "id": "m",
                "content": [{"type": "output_text", "text": "y"}],
            },
        },
    ]
    return rollout() + [
        {"timestamp": f"2026-03-01T10:01:{n:02d}.000Z", "ordinal": n, **record} for n, record in enumerate(body)
    ]


SAMPLES: dict[str, Callable[[], list[Record]]] = {"claude-code": _claude, "codex": _codex, "gemini-cli": session}


def _leaves(value: Any, place: Place = ()) -> Iterator[Place]:
    if isinstance(value, dict):
        for key, item in cast("Record", value).items():
            yield from _leaves(item, (*place, key))
    elif isinstance(value, list):
        for number, item in enumerate(cast("list[Any]", value)):
            yield from _leaves(item, (*place, number))
    else:
        yield place


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value[:17] + "59.5Z" if re.match(r"\d{4}-\d\d-\d\dT", value) else f"{value}~"
    return "said"


def _changed(records: list[Record], number: int, place: Place) -> list[Record]:
    other = copy.deepcopy(records)
    inner: Any = other[number]
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = _other(inner[place[-1]])
    return other


def _told(name: str, records: list[Record], path: Path) -> list[Any]:
    told = list[Any]()
    for episode in adapters().adapters[name].episodes(write(path, records), {}):
        about = (episode.key, episode.agent_version, episode.model, episode.repo, episode.commit)
        items = [
            (item.payload.model_dump_json(), item.t_start, item.t_end) if isinstance(item, Timed) else item.kind
            for item in episode.events
        ]
        told.append((about, items))
    return told


def _field(record: Record, place: Place) -> str:
    """A field in the words of the format: the type of its record, and the path in it."""
    payload = cast("Record", record.get("payload") or {})
    kinds: list[Any] = [record.get("type"), payload.get("type")]
    path = ".".join("[]" if isinstance(key, int) else key for key in place).replace(".[]", "[]")
    return "/".join([str(kind) for kind in kinds if kind] + [path.removeprefix("payload.")])


def _declared(field: str, loses: Any) -> bool:
    """Whether a loss names the field, at the end of its path or at the beginning of it."""
    for names in loses:
        for name in str(names).split(", "):
            if re.search(rf"(^|[./]){re.escape(name)}($|[.\[])", field):
                return True
    return False


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_each_field_of_a_session_arrives_or_is_declared(name: str, tmp_path: Path) -> None:
    records, adapter = SAMPLES[name](), adapters().adapters[name]
    before = _told(name, records, tmp_path / "x.jsonl")
    told, untold = set[str](), set[str]()
    for number, record in enumerate(records):
        for place in _leaves(record):
            same = _told(name, _changed(records, number, place), tmp_path / "x.jsonl") == before
            (untold if same else told).add(_field(record, place))
    lost = untold - told
    """What is repeated is told once: a field is lost where it is told nowhere."""
    loses = losses_of(adapter)
    undeclared = sorted(field for field in lost if not _declared(field, loses))
    assert not undeclared, f"lost and not declared: {'; '.join(undeclared)}"
    unreal = [names for names in loses if not any(_declared(field, [names]) for field in lost)]
    assert not unreal, f"declared lost, and not: {'; '.join(unreal)}"
