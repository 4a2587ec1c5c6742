"""TraceLab's rounds, written from our logs and read again."""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.cli import app
from trajectory_hub.rollouts.adapters.engine import ingest
from trajectory_hub.rollouts.adapters.rounds import run_rounds, write_rounds
from typer.testing import CliRunner

from .recorded import rollout, transcript, write

GOLDEN = Path(__file__).parents[4] / "shared" / "data" / "tracelab" / "example_sessions"
PLACES = {"project", "session_id", "session_file", "home", "user", "store", "trace_key"}
"""Paths and ids, and what the collector adds."""


def fields(rounds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rounds without paths and ids, in one order."""
    kept = [{name: value for name, value in told.items() if name not in PLACES} for told in rounds]
    return sorted(kept, key=lambda told: (told["provider"], told["round_index"]))


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="TraceLab's example sessions are not here")
def test_the_golden_rounds_field_for_field(tmp_path: Path) -> None:
    golden = [json.loads(line) for line in (GOLDEN / "derived" / "round_trace.jsonl").read_text().splitlines()]
    ingest([GOLDEN / "claude" / "trace.jsonl", GOLDEN / "codex" / "trace.jsonl"], tmp_path / "run")
    ours = fields(list(run_rounds(tmp_path / "run")))
    assert len(ours) == 19
    assert ours == fields(golden)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="TraceLab's example sessions are not here")
@pytest.mark.parametrize("which", ["derived", "sanitized"])
def test_golden_rounds_that_are_read_are_written_the_same(which: str, tmp_path: Path) -> None:
    path = GOLDEN / which / "round_trace.jsonl"
    report = ingest([path], tmp_path / "run")
    assert report.total.records == 19 and not report.total.unread
    golden = [json.loads(line) for line in path.read_text().splitlines()]
    assert fields(list(run_rounds(tmp_path / "run"))) == fields(golden)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two sessions."""
    write(tmp_path / "s" / "claude.jsonl", transcript())
    write(tmp_path / "s" / "codex.jsonl", rollout())
    ingest([tmp_path / "s"], tmp_path / "run")
    return tmp_path / "run"


def test_rounds_of_a_session(run: Path) -> None:
    rounds = list(run_rounds(run))
    claude = [told for told in rounds if told["provider"] == "claude"]
    first = claude[0]
    assert (first["input_tokens_total"], first["prefix_tokens"], first["newly_append_tokens"]) == (123, 100, 23)
    assert (first["claude_uncached_input_tokens"], first["output_tokens"]) == (3, 40)
    assert [event["event_type"] for event in first["timing_events"]] == [
        "user_message", "reasoning", "text", "tool_call", "tool_call",
    ]  # fmt: skip
    bash, read = first["tools"]
    assert (bash["tool_wall_latency_ms"], bash["input_chars"], bash["result_chars"]) == (500, 16, 4)
    assert (read["tool_internal_latency_ms"], read["result_chars"]) == (12, 32)
    assert [told["round_index"] for told in claude if "/" not in told["session_id"]] == [0, 1, 2, 3]
    assert [told["round_index"] for told in claude if "/" in told["session_id"]] == [0, 1], "a subagent's own"
    codex = [told for told in rounds if told["provider"] == "codex"]
    assert [told["round_id"] for told in codex] == ["t-1:0", "t-1:1", "t-1:2"]
    assert codex[0]["turn_id"] == "t-1" and codex[0]["tools"][0]["is_error"] is True
    assert [event["source"] for event in codex[0]["timing_events"] if event["event_type"] == "tool_call"] == [
        "response_item.function_call", "response_item.custom_tool_call",
    ]  # fmt: skip


def test_rounds_survive_a_round_trip(run: Path, tmp_path: Path) -> None:
    write_rounds(run, tmp_path / "rounds.jsonl")
    ingest([tmp_path / "rounds.jsonl"], tmp_path / "again")
    again = list(run_rounds(tmp_path / "again"))
    assert len(again) == 9 and fields(again) == fields(list(run_rounds(run)))


def test_the_command(run: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["trace", "rounds", str(run), "-o", str(tmp_path / "r.jsonl"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rounds"] == len((tmp_path / "r.jsonl").read_text().splitlines()) == 9
    done = CliRunner().invoke(app, ["trace", "rounds", str(run), "--limit", "2", "--filter", "s-*"])
    assert "2 rounds, 3 tool calls, 3 tool results" in done.stdout
