"""Data sets of trajectories become events: nebius' two, ATIF, and SWE-bench's predictions and reports."""

from pathlib import Path

import pytest
from trajectory_hub.errors import StopReason
from trajectory_hub.rollouts.adapters.atif import ADAPTER as ATIF
from trajectory_hub.rollouts.adapters.base import Adapter
from trajectory_hub.rollouts.adapters.engine import ingest
from trajectory_hub.rollouts.adapters.nebius_openhands import ADAPTER as OPENHANDS
from trajectory_hub.rollouts.adapters.nebius_swe_agent import ADAPTER as SWE_AGENT
from trajectory_hub.rollouts.adapters.swe_bench import ADAPTER as SWE_BENCH
from trajectory_hub.rollouts.payloads import (
    EpisodeEnd,
    EpisodeStart,
    FinalPatch,
    LlmRequest,
    LlmResponse,
    Note,
    ToolCall,
    ToolResult,
    Verdict,
)
from trajectory_hub.rollouts.run_dir import read_episodes

from .benchmark_records import (
    DIFF,
    TASK,
    atif,
    instance_report,
    nebius_openhands,
    nebius_swe_agent,
    predictions,
    run_report,
    write_json,
    write_lines,
)
from .reading_events import Told, told


def test_turns_of_text_become_steps(tmp_path: Path) -> None:
    (only,) = told(SWE_AGENT, write_lines(tmp_path / "x.jsonl", nebius_swe_agent()))
    calls, results = only.payloads(ToolCall), only.payloads(ToolResult)
    assert [call.tool for call in calls] == ["find_file", None, "submit"]
    assert (calls[0].thought, calls[0].action) == ("I look.", "find_file a.py\n")
    assert [result.error for result in results] == [None, "malformed_action", None]
    assert results[0].observation == "Found 1 match\n(Open file: n/a)"
    assert only.payloads(LlmRequest)[0].messages[0] == {"role": "system", "content": "Be good."}
    assert only.payloads(Verdict)[0].resolved is True
    (end,) = only.payloads(EpisodeEnd)
    assert (end.stop_reason, end.message) == (StopReason.TOKEN_LIMIT, "submitted (exit_context)")
    assert only.records == 7
    assert only.payloads(Note)[-1].data["turns"][0] == {"turn": 0, "cutoff_date": "01.01.2023"}


def test_chat_messages_become_steps(tmp_path: Path) -> None:
    (only,) = told(OPENHANDS, write_lines(tmp_path / "x.jsonl", nebius_openhands()))
    calls, results = only.payloads(ToolCall), only.payloads(ToolResult)
    assert [(call.tool, call.arguments) for call in calls] == [
        ("execute_bash", {"command": "ls"}),
        ("finish", {"message": "ok"}),
    ]
    assert [result.observation for result in results] == ["a.py", ""]
    assert only.payloads(EpisodeStart)[0].tools[0]["function"]["name"] == "execute_bash"
    assert only.payloads(Verdict)[0].report == {"resolved": 1, "gen_tests_correct": 3.0}
    assert only.payloads(EpisodeEnd)[0].stop_reason is StopReason.SUBMITTED
    assert (only.episode.key, only.episode.repo, only.records) == ("chatcmpl-1", "acme/tool", 5)


@pytest.mark.parametrize(
    ("adapter", "rows"), [(SWE_AGENT, nebius_swe_agent()), (OPENHANDS, nebius_openhands())], ids=["swe", "openhands"]
)
def test_parquet_tells_the_same(tmp_path: Path, adapter: Adapter, rows: list[dict[str, object]]) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(rows * 40), tmp_path / "x.parquet")
    found = told(adapter, tmp_path / "x.parquet")
    (line,) = told(adapter, write_lines(tmp_path / "x.jsonl", rows))
    assert len(found) == 40
    assert found[-1].payloads(ToolResult) == line.payloads(ToolResult)
    assert found[-1].payloads(LlmRequest) == line.payloads(LlmRequest)
    whole = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(whole[:600] + b"\0" * 200 + whole[800:])
    torn = told(adapter, tmp_path / "x.parquet")
    assert any(item.broken for one in torn for item in one.unread)


def _inner(one: Told) -> list[str]:
    return [request.thread for request in one.payloads(LlmRequest) if request.thread]


def test_atif_of_another_writer(tmp_path: Path) -> None:
    (only,) = told(ATIF, write_json(tmp_path / "x.json", atif(), indent=1))
    answer = only.payloads(LlmResponse)[0]
    assert (answer.usage.input_tokens, answer.usage.cached_input_tokens, answer.cost_usd) == (50, 20, 0.25)
    assert (answer.prompt_token_ids, answer.completion_token_ids, answer.logprobs) == ((1, 2), (3,), (-0.5,))
    (call,), (result,) = only.payloads(ToolCall), only.payloads(ToolResult)
    assert (call.tool, call.arguments, call.thought) == ("bash", {"command": "ls"}, "hm")
    assert result.data["subagents"] == [{"trajectory_id": "inner"}]
    assert _inner(only) == ["inner"]
    assert (only.episode.agent, only.episode.model, only.episode.timing) == ("terminus", "org/m-1", "recorded")
    assert [note.kind for note in only.payloads(Note)].count("copied_context") == 1
    assert only.records == 5 + 1 + 4, "steps, the subagent's and itself, and the other members that say something"
    assert not only.payloads(EpisodeEnd), "the format does not say how it ended"


def test_atif_may_be_lines(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [atif(), atif()])
    assert [len(one.payloads(ToolCall)) for one in told(ATIF, path)] == [1, 1]


def test_predictions_and_report_become_graded_episodes(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in" / "preds.jsonl", predictions())
    write_json(tmp_path / "in" / "org__m-1.run.json", run_report(), indent=4)
    assert [path.name for path in SWE_BENCH.companions(source)] == ["org__m-1.run.json"]
    report = ingest([tmp_path / "in"], tmp_path / "run")
    assert (report.sources, report.episodes, len(report.unrecognised)) == (1, 4, 0)
    episodes = {episode.first.task_id: episode for episode in read_episodes(tmp_path / "run")}
    outcomes = {name: one.verdict.outcome for name, one in episodes.items() if one.verdict is not None}
    assert outcomes == {
        "acme__tool-1": "resolved",
        "acme__tool-2": "unresolved",
        "acme__tool-3": "empty_patch",
        "acme__tool-4": "infra_failure",
    }
    assert [one.excluded for one in episodes.values()] == [False, False, False, True]
    assert (tmp_path / "run" / "episodes" / episodes["acme__tool-1"].folder.name / "patch.diff").read_text() == DIFF


@pytest.mark.parametrize("shape", ["jsonl", "list", "by_id", "pro"])
def test_shapes_of_predictions(tmp_path: Path, shape: str) -> None:
    rows = predictions()
    pro = [{"instance_id": row["instance_id"], "patch": row["model_patch"], "prefix": "gpt"} for row in rows]
    path = {
        "jsonl": lambda: write_lines(tmp_path / "p.jsonl", rows),
        "list": lambda: write_json(tmp_path / "p.json", rows, indent=2),
        "by_id": lambda: write_json(tmp_path / "p.json", {row["instance_id"]: row for row in rows}),
        "pro": lambda: write_json(tmp_path / "p.json", pro),
    }[shape]()
    found = told(SWE_BENCH, path)
    assert [one.episode.task_id for one in found] == [row["instance_id"] for row in rows]
    assert [one.payloads(FinalPatch)[0].patch for one in found] == [DIFF, DIFF, "", DIFF]
    assert [one.payloads(EpisodeEnd)[0].message for one in found] == [None, None, "it submitted no patch", None]
    assert {one.episode.agent for one in found} == {"gpt" if shape == "pro" else "org/m-1"}
    assert sum(one.records for one in found) == 4


def test_reports_alone_are_verdicts(tmp_path: Path) -> None:
    found = told(SWE_BENCH, write_json(tmp_path / "org__m-1.run.json", run_report()))
    assert [one.payloads(Verdict)[0].resolved for one in found] == [True, False, False, None]
    assert [item.where for one in found for item in one.unread] == ["org__m-1.run.json: acme__tool-9"]
    folder = tmp_path / "logs" / "org__m-1" / TASK
    write_json(folder / "report.json", instance_report())
    (folder / "patch.diff").write_text(DIFF)
    (one,) = told(SWE_BENCH, folder / "report.json")
    assert (one.payloads(Verdict)[0].resolved, one.episode.agent) == (True, "org/m-1")
    assert one.payloads(FinalPatch)[0].patch == DIFF
    assert not ingest([tmp_path / "logs"], tmp_path / "run").unrecognised, "the patch is read along with its report"
    pro = {"instance_acme__tool-1-vabc": True, "instance_acme__tool-2-vabc": False}
    results = told(SWE_BENCH, write_json(tmp_path / "gpt.eval_results.json", pro))
    assert [one.payloads(Verdict)[0].resolved for one in results] == [True, False]
    old = {"no_generation": [], "generated": ["a__b-1", "a__b-2"], "applied": ["a__b-1"], "resolved": ["a__b-1"]}
    assert len(told(SWE_BENCH, write_json(tmp_path / "results.json", old))) == 1
