"""What an adapter says that it loses is what it loses: each field is changed, and the events change or do not."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from trajectory_hub.rollouts.adapters.base import Timed
from trajectory_hub.rollouts.adapters.losses import losses_of
from trajectory_hub.rollouts.adapters.registry import adapters
from trajectory_hub.rollouts.payloads import Note

from . import benchmark_records, whole_records
from .changing import Place, changed, declared, leaves
from .recorded import claude, rollout, said, transcript, write
from .recorded_gemini import session

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


def _told(name: str, records: Any, path: Path) -> list[Any]:
    told = list[Any]()
    lines = path.suffix == ".jsonl"
    source = write(path, records) if lines else benchmark_records.write_json(path, records)
    for episode in adapters().adapters[name].episodes(source, {}):
        about = (episode.key, episode.task_id, episode.agent, episode.agent_version, episode.model, episode.timing)
        about = (*about, episode.repo, episode.commit, episode.seed)
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


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_each_field_of_a_session_arrives_or_isdeclared(name: str, tmp_path: Path) -> None:
    records, adapter = SAMPLES[name](), adapters().adapters[name]
    before = _told(name, records, tmp_path / "x.jsonl")
    told, untold = set[str](), set[str]()
    for number, record in enumerate(records):
        for place in leaves(record):
            same = _told(name, changed(records, (number, *place)), tmp_path / "x.jsonl") == before
            (untold if same else told).add(_field(record, place))
    lost = untold - told
    """What is repeated is told once: a field is lost where it is told nowhere."""
    loses = losses_of(adapter)
    undeclared = sorted(field for field in lost if not declared(field, loses))
    assert not undeclared, f"lost and not declared: {'; '.join(undeclared)}"
    unreal = [names for names in loses if not any(declared(field, [names]) for field in lost)]
    assert not unreal, f"declared lost, and not: {'; '.join(unreal)}"


DOCUMENTS: dict[str, tuple[str, Sequence[Callable[[], Any]]]] = {
    "swe-agent": ("a.traj", (whole_records.swe_agent, benchmark_records.swe_agent_old)),
    "mini-swe-agent": ("a.traj.json", (whole_records.mini_swe_agent, benchmark_records.mini_bare)),
    "openhands": ("output.json", (benchmark_records.openhands_row,)),
    "openhands-sdk": ("events.json", (whole_records.sdk_events,)),
    "nebius-swe-agent": ("a.jsonl", (whole_records.nebius_swe_agent,)),
    "nebius-openhands": ("a.jsonl", (whole_records.nebius_openhands,)),
    "atif": ("a.json", (whole_records.atif,)),
    "swe-bench": ("report.json", (whole_records.swe_bench, whole_records.instance_report)),
    "agent-trace": ("t.jsonl", (whole_records.agent_trace,)),
}
"""File name and samples of each format that is told in documents or rows."""


def _path_in(place: Place, whole: Any) -> str:
    """A field's path; where the document is a list of events that name their kind, after that kind."""
    first: Any = cast("list[Any]", whole)[cast("int", place[0])] if isinstance(whole, list) else None
    named = cast("dict[str, str]", first).get("kind") if isinstance(first, dict) else None
    path = ".".join("[]" if isinstance(key, int) else key for key in place).replace(".[]", "[]")
    return f"{named}{path.removeprefix('[]')}" if named else path.removeprefix("[].")


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_each_field_of_a_document_arrives_or_is_declared(name: str, tmp_path: Path) -> None:
    file, samples = DOCUMENTS[name]
    told, untold = set[str](), set[str]()
    for sample in samples:
        whole, path = sample(), tmp_path / file
        before = _told(name, whole, path)
        for place in leaves(whole):
            same = _told(name, changed(whole, place), path) == before
            (untold if same else told).add(_path_in(place, whole))
    loses = losses_of(adapters().adapters[name])
    undeclared = sorted(field for field in untold - told if not declared(field, loses))
    assert not undeclared, f"lost and not declared: {'; '.join(undeclared)}"
    unreal = [names for names in loses if not any(declared(field, [names]) for field in untold | told)]
    assert not unreal, f"declared, and no field of the format: {'; '.join(unreal)}"


@pytest.mark.parametrize(
    ("fields", "sample"),
    [
        (whole_records.ATIF, whole_records.atif),
        (whole_records.MINI, whole_records.mini_swe_agent),
        (whole_records.SWE_BENCH, whole_records.swe_bench),
        (whole_records.AGENT_TRACE, whole_records.agent_trace),
    ],
)
def test_a_sample_has_every_field_of_its_producer(fields: Sequence[str], sample: Callable[[], Any]) -> None:
    assert not set(fields) - whole_records.fields_of(sample())


def test_what_others_keep_in_extra_of_atif_is_kept(tmp_path: Path) -> None:
    path = benchmark_records.write_json(tmp_path / "a.json", whole_records.atif())
    (episode,) = adapters().adapters["atif"].episodes(path, {})
    told = [item.payload for item in episode.events if isinstance(item, Timed)]
    notes = {note.kind: dict(note.data) for note in told if isinstance(note, Note)}
    assert notes["agent"] == {"of": "agent"}
    steps = [dict(note.data) for note in told if isinstance(note, Note) and note.kind == "extra"]
    assert {"step": {"of_answer": "step"}, "metrics": {"of": "metrics"}, "tool_calls": {"c1": {"of": "call"}}} in steps
