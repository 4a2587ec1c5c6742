"""Whatever a source holds, ingestion ends well and every record is accounted for."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.adapters import reading
from trajectory_hub.rollouts.adapters.base import Unread
from trajectory_hub.rollouts.adapters.engine import IngestConfig, ingest
from trajectory_hub.rollouts.adapters.reading import NotJson, Row, json_rows, moment, parse_json
from trajectory_hub.rollouts.chain import verify_chain
from trajectory_hub.rollouts.log import read_events

from .recorded import claude, lines, rollout, said, transcript
from .recorded_gemini import session
from .test_agent_trace import TWO

DATA = Path(__file__).parents[4] / "shared" / "data" / "tracelab" / "example_sessions"
FORMATS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "claude-code": transcript,
    "codex": rollout,
    "gemini-cli": session,
    "agent-trace": lambda: [{**TWO, "trace_id": f"t{n}"} for n in range(8)],
}
WRONG: list[Any] = [
    None, True, -1, 0, 1.5, 1e308, 2**70, "", "x", "\ud800", "\0", "a" * 5000, [], [1], [[]], {}, {"type": "text"},
    [{"type": "tool_use"}], {"a": {"b": [None]}}, "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+14:00", "9999-12-31",
]  # fmt: skip
BYTES = [b"", b"\0", b"\xff", b'"', b"\n", b"{", b"\\ud800", b"]"]


def whole(run: Path) -> int:
    """Events of a run, each of which can be read, in unbroken chains."""
    count = 0
    for log in run.rglob("events.jsonl"):
        assert not verify_chain(log).breaks
        events = list(read_events(log))
        assert [event.seq for event in events] == list(range(len(events)))
        assert events[0].event_type == "episode_start" and events[-1].event_type == "episode_end"
        count += len(events)
    return count


def accounted(data: bytes, name: str, folder: Path) -> None:
    """Ingest `data`: no failure, and as many records accounted for as there are lines that are not empty."""
    (folder / "t.jsonl").write_bytes(data)
    report = ingest([folder / "t.jsonl"], folder / "run", IngestConfig(format=name))
    assert report.problems == []
    rows = len(list(json_rows(folder / "t.jsonl")))
    assert rows >= sum(bool(line.strip()) for line in data.split(b"\n")) - (data[:3] == b"\xef\xbb\xbf")
    assert report.total.records == rows, report.as_dict()
    assert (whole(folder / "run") > 0) == (report.episodes > 0)


def places(value: Any) -> list[Any]:
    """The keys of an object, or the numbers of a list's values."""
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value))
    return list(range(len(cast("list[Any]", value)))) if isinstance(value, list) else []


def mutated(records: list[Any], rng: random.Random) -> list[Any]:
    """Records in which some values, anywhere, are something else, some are missing, some twice, some elsewhere."""
    text = json.loads(json.dumps(records))
    for _ in range(rng.randint(1, 6)):
        holder: Any = rng.choice(text)
        while keys := places(holder):
            key = rng.choice(keys)
            below = holder[key]
            if not places(below) or rng.random() < 0.3:
                if isinstance(holder, dict) and rng.random() < 0.2:
                    del holder[key]
                else:
                    holder[key] = rng.choice(WRONG)
                break
            holder = below
    for _ in range(rng.randint(0, 3)):
        text.insert(rng.randrange(len(text) + 1), rng.choice([rng.choice(text), rng.choice(WRONG)]))
    return text


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes of which some are others, missing, or cut off."""
    found = bytearray(data)
    for _ in range(rng.randint(0, 8)):
        at = rng.randrange(len(found))
        found[at : at + rng.choice([0, 1, 1, 9])] = rng.choice(
            [b"", b"\0", b"\xff", b'"', b"\n", b"{", b"\\ud800", b"]"]
        )
    return bytes(found[: rng.randrange(len(found))] if rng.random() < 0.3 else found)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("name", FORMATS)
def test_random_mutations_lose_nothing(name: str, seed: int, tmp_path: Path) -> None:
    rng = random.Random(f"{name} {seed}")
    accounted(damaged(lines(mutated(FORMATS[name](), rng)), rng), name, tmp_path)


REAL = {"claude-code": "claude/trace.jsonl", "codex": "codex/trace.jsonl", "tracelab": "derived/round_trace.jsonl"}


@pytest.mark.skipif(not DATA.is_dir(), reason="the real records are not here")
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", REAL)
def test_random_mutations_of_real_files_lose_nothing(name: str, seed: int, tmp_path: Path) -> None:
    rng = random.Random(f"{name} {seed}")
    records = [json.loads(line) for line in (DATA / REAL[name]).read_text().splitlines()]
    accounted(damaged(lines(mutated(records, rng)), rng), name, tmp_path)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n  \n",
        b"\0" * 5000,
        bytes(range(256)) * 40,
        b"\xef\xbb\xbf{}\n",
        b"[" * 100_000 + b"\n",
        b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"\n{}\n",
        b'{"type":"user","sessionId":"s","message":{"role":"user","content":"\xff\xfe"}}\n',
        b"9" * 10_000 + b"\n",
        b'"' + b"x" * 3_000_000 + b'"\n',
    ],
    ids=["empty", "blank", "nul", "binary", "bom", "brackets", "deep", "latin", "digits", "long"],
)
def test_hostile_files(data: bytes, name: str, tmp_path: Path) -> None:
    accounted(data, name, tmp_path)


def test_a_torn_file_gives_what_is_before_and_says_where_it_broke(tmp_path: Path) -> None:
    data = lines(transcript())
    cut = data[: data.rindex(b'"turn_duration"')]
    (tmp_path / "s.jsonl").write_bytes(cut)
    report = ingest([tmp_path / "s.jsonl"], tmp_path / "run")
    row = report.formats["claude-code"]["torn last line"]
    assert row.broken == 1 and str(row.first).startswith("s.jsonl: line 22: EOF")
    assert report.total.records == 22 and report.formats["claude-code"]["assistant"].records == 8


def test_what_is_no_text_is_shown_not_lost(tmp_path: Path) -> None:
    odd = "a\ud800b\0c\x1bd"
    record = claude("user", 0, "u", None, message={"role": "user", "content": odd})
    answer = said(1, "a", "u", "m", {"type": "text", "text": odd})
    (tmp_path / "s.jsonl").write_bytes(lines([record, answer]))
    ingest([tmp_path / "s.jsonl"], tmp_path / "run")
    (log,) = (tmp_path / "run").rglob("events.jsonl")
    response = next(event.payload for event in read_events(log) if event.event_type == "llm_response")
    assert isinstance(response, payloads.LlmResponse) and response.content == "a\\ud800b\0c\x1bd"


def test_lines_longer_than_the_longest_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b'{"a":1}\n{"b":"' + b"x" * 5000 + b'"}\n{"c":1}\n')
    rows = list(json_rows(tmp_path / "t", longest=1000))
    assert [row.value if isinstance(row, Row) else (row.kind, row.where) for row in rows] == [
        {"a": 1},
        ("oversized record", "line 2"),
        {"c": 1},
    ]


def test_nesting_that_a_log_could_not_hold_is_named(tmp_path: Path) -> None:
    kept = b'{"type":"mode","sessionId":"s","x":' + b"[" * 195 + b"]" * 195 + b"}\n"
    accounted(kept, "claude-code", tmp_path)
    deep = b"[" * 300 + b"]" * 300
    with pytest.raises(NotJson, match="nested deeper"):
        parse_json(deep)
    (tmp_path / "t").write_bytes(deep + b"\n")
    (row,) = json_rows(tmp_path / "t")
    assert isinstance(row, Unread) and row.kind == "record nested too deep" and not row.broken


@pytest.mark.parametrize("value", WRONG)
def test_readers_of_values_never_fail(value: Any) -> None:
    for read in (reading.as_dict, reading.as_dicts, reading.as_float, reading.as_int, reading.as_list, reading.as_str):
        read(value)
    payloads.LlmResponse.of(
        request_id="r", usage=reading.anthropic_usage({"input_tokens": value, "output_tokens": value})
    )
    reading.openai_usage({"prompt_tokens": value, "prompt_tokens_details": value})
    reading.parse_arguments(payloads.clean(value))
    found = moment(value)
    assert found is None or found.tzinfo is not None


def test_times() -> None:
    wanted = "2026-03-01T10:00:00+00:00"
    texts = ["2026-03-01T10:00:00Z", "2026-03-01 10:00:00", "2026-03-01T12:00:00+02:00"]
    seconds = 1772359200
    for value in [*texts, seconds, float(seconds), seconds * 1000, seconds * 10**6, seconds * 10**9]:
        found = moment(value)
        assert found is not None and found.isoformat() in (wanted, "2026-03-01T12:00:00+02:00"), value
