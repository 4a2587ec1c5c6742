"""AgentTrace rows, from JSON lines and parquet: spans, model calls, telemetry, times."""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.rollouts.adapters.engine import ingest
from trajectory_hub.rollouts.adapters.reading import moment
from trajectory_hub.rollouts.tables.columns import arrow

from .reading_runs import ingested, logs, payloads
from .recorded import at, write

NS = 1_000_000

pa = arrow()


def span(number: int, start_ms: int, took_ms: int, tool: str = "shell", **more: Any) -> dict[str, Any]:
    """A tool call."""
    telemetry = {"user_time_s": 0.25, "system_time_s": 0.05, "max_rss_bytes": 4096, "read_bytes": 7, "write_bytes": 0}
    times = {"start_ns": start_ms * NS, "end_ns": (start_ms + took_ms) * NS, "duration_ms": float(took_ms)}
    call = {"span_id": f"s{number}", "type": "tool", "tool_name": tool, "tool_input": {"cmd": f"{number}"}}
    return {**call, **times, "tool_output": f"out {number}", "telemetry": telemetry, "exit_code": 0, **more}


def answer(number: int, took_ms: float, *tools: str, **more: Any) -> dict[str, Any]:
    """A model call."""
    calls: list[Any] = [{"name": tool, "arguments": {}} for tool in tools]
    told = {"step_id": f"l{number}", "step_number": number, "model_output": f"think {number}", "tool_calls": calls}
    return {**told, "duration_ms": took_ms, "input_tokens": 100 + number, "output_tokens": 10, **more}


def row(spans: list[Any], answers: list[Any], **more: Any) -> dict[str, Any]:
    """A run."""
    run = {"trace_id": "t-1", "timestamp_utc": at(0), "prompt": "mend", "model": "m-1", "total_duration_ms": 900.0}
    return {**run, "spans": spans, "llm_steps": answers, "metadata": {"task_id": "task-7"}, **more}


TWO = row(
    [span(0, 1000, 50), span(1, 1060, 20, "read", exit_code=1), span(2, 1400, 30)],
    [answer(0, 200.0, "shell", "read"), answer(1, 300.0, "shell"), answer(2, 100.0, "final_answer")],
)


def test_a_row_is_an_episode(tmp_path: Path) -> None:
    report, events = ingested(write(tmp_path / "t.jsonl", [TWO]), tmp_path / "run")
    assert report.total.records == 1 and not report.total.unread
    assert (events[0].task_id, events[0].model) == ("task-7", "m-1")
    calls, results = payloads(events, "tool_call"), payloads(events, "tool_result")
    assert [call.request_id for call in calls] == ["llm-0", "llm-0", "llm-1"], "by the names of the calls"
    assert [result.ok for result in results] == [True, False, True] and results[1].exit_code == 1
    assert calls[0].arguments == {"cmd": "0"}
    metric = payloads(events, "sandbox_metric")[0]
    assert (metric.cpu_s, metric.memory_peak_bytes, metric.io_write_bytes) == (pytest.approx(0.3), 4096, 0)
    usage = payloads(events, "episode_end")[0].usage
    assert (usage.input_tokens, usage.output_tokens) == (303, 30)
    assert payloads(events, "episode_end")[0].stop_reason == "submitted"


def test_times_go_on_where_only_durations_are_known(tmp_path: Path) -> None:
    """Spans count from a clock of their own: only their lengths are believed."""
    _report, events = ingested(write(tmp_path / "t.jsonl", [TWO]), tmp_path / "run")
    answers = [event for event in events if event.event_type == "llm_response"]
    assert [event.duration_ms for event in answers] == [200, 300, 100]
    assert answers[0].t_start == moment(at(0)) and answers[0].t_end == moment(at(0.2))
    assert answers[1].t_start == moment(at(0.27)), "after two tools of 50 and 20 ms"


def test_times_since_1970_are_kept(tmp_path: Path) -> None:
    base = 1_772_359_200_000
    spans = [span(0, base + 500, 50), span(1, base + 900, 50)]
    one = row(spans, [answer(0, 200.0, "shell"), answer(1, 300.0, "shell")])
    _report, events = ingested(write(tmp_path / "t.jsonl", [one]), tmp_path / "run")
    results = [event for event in events if event.event_type == "tool_result"]
    assert results[0].t_start == moment((base + 500) / 1000) and results[1].t_end == moment((base + 950) / 1000)
    answers = [event for event in events if event.event_type == "llm_response"]
    assert answers[1].t_start == moment((base + 600) / 1000)


def test_spans_find_their_model_call_by_parent_or_by_pauses(tmp_path: Path) -> None:
    linked = [span(0, 0, 5, parent_span_id="l1"), span(1, 9, 5, parent_span_id="l0")]
    code = [answer(n, 300.0, "python_interpreter") for n in range(2)]
    paused = [span(0, 0, 5), span(1, 10, 5), span(2, 350, 5)]
    for name, spans, wanted in (("a", linked, ["llm-0", "llm-1"]), ("b", paused, ["llm-0", "llm-0", "llm-1"])):
        _report, events = ingested(write(tmp_path / f"{name}.jsonl", [row(spans, code)]), tmp_path / f"run-{name}")
        assert [call.request_id for call in payloads(events, "tool_call")] == wanted


def told(run: Path) -> dict[str, list[Any]]:
    """The payloads of each episode, without the start, which names the source."""
    found = {name: log.splitlines()[1:] for name, log in logs(run).items()}
    return {name: [json.loads(line)["payload"] for line in rest] for name, rest in found.items()}


def test_parquet_tells_the_same(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{**TWO, "trace_id": f"t-{n}", "metadata": {}} for n in range(40)]
    flat = [
        {name: value for name, value in one.items() if name not in ("spans", "llm_steps", "metadata")}
        | {f"{name}_json": json.dumps(one[name]) for name in ("spans", "llm_steps", "metadata")}
        for one in rows
    ]
    (tmp_path / "a").mkdir()
    pa.parquet.write_table(pa.Table.from_pylist(flat), tmp_path / "a" / "t.x")
    write(tmp_path / "b" / "t.x", rows)
    for name in ("a", "b"):
        assert ingest([tmp_path / name / "t.x"], tmp_path / name / "run").episodes == 40
    ours, theirs = (
        {k: [json.loads(line)["payload"] for line in v.splitlines()[1:]] for k, v in logs(tmp_path / n / "run").items()}
        for n in "ab"
    )
    assert ours == theirs


def test_a_damaged_parquet_file_gives_what_is_readable(tmp_path: Path) -> None:
    flat = [
        {"trace_id": f"{n}" * 50, "spans_json": "[]" + " " * n, "llm_steps_json": json.dumps([n] * 99)}
        for n in range(200)
    ]
    pa.parquet.write_table(pa.Table.from_pylist(flat), tmp_path / "t.parquet", row_group_size=20, use_dictionary=False)
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    (tmp_path / "t.parquet").write_bytes(bytes(data))
    report = ingest([tmp_path / "t.parquet"], tmp_path / "run")
    assert 20 <= report.episodes < 200
    damage = report.formats["agent-trace"]["damaged parquet file"]
    assert damage.broken == report.total.broken == 1 and "after row" in str(damage.first)


def test_odd_rows(tmp_path: Path) -> None:
    odd: list[Any] = [
        {"trace_id": 5, "spans": "no json", "llm_steps": 3},
        {"trace_id": "x", "spans": [{"tool_name": 4, "start_ns": "x", "telemetry": 1}, 7], "llm_steps": [None, {}]},
        [1],
        {"trace_id": "y", "spans": [{"type": "agent"}], "llm_steps": [{"duration_ms": -1, "tool_calls": "x"}]},
    ]
    report = ingest([write(tmp_path / "t.jsonl", odd)], tmp_path / "run", None)
    assert (report.episodes, report.problems, report.total.records) == (3, [], 4)
    assert report.total.broken == 1, "a string that should be JSON"


def test_a_task_may_be_a_column_of_its_own(tmp_path: Path) -> None:
    """The data set as it is published has `dataset_name` and `task_id` beside the lists."""
    published = row([span(0, 0, 5)], [answer(0, 5, "shell")], metadata={}, task_id="mbpp-7", dataset_name="mbpp")
    _report, events = ingested(write(tmp_path / "x.jsonl", [published]), tmp_path / "run")
    assert events[0].task_id == "mbpp-7"
    (note,) = (one for one in payloads(events, "note") if "dataset_name" in one.data)
    assert note.data["dataset_name"] == "mbpp"
