"""Each format by its own rules, with the validators of others where they are installed."""

import json
import struct
import subprocess
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.predictions import read_predictions
from trajectory_hub.errors import ServiceError, UsageError
from trajectory_hub.rollouts.adapters.engine import IngestConfig, ingest
from trajectory_hub.rollouts.events import AnyEvent
from trajectory_hub.rollouts.exporters import export
from trajectory_hub.rollouts.exporters.atif import document
from trajectory_hub.rollouts.exporters.chrome import ChromeOptions
from trajectory_hub.rollouts.exporters.otlp_proto import encode, request_of
from trajectory_hub.rollouts.exporters.otlp_signals import signals_of
from trajectory_hub.rollouts.exporters.parts import as_items, as_mapping
from trajectory_hub.rollouts.exporters.registry import exporters
from trajectory_hub.rollouts.otlp import OtlpReceiver, SpanRecord, read_otlp

from .whole import HOSTILE, exported, recorded, whole_episode

RUNS = Path(__file__).parents[2] / "data" / "runs-1.0"
VALIDATE = """
import json, sys
from harbor.utils.trajectory_validator import TrajectoryValidator
found = {}
for path in sys.argv[1:]:
    validator = TrajectoryValidator()
    validator.validate(path)
    found[path] = validator.get_errors()
print(json.dumps(found))
"""


def _hostile() -> list[AnyEvent]:
    """The whole episode with hostile text wherever there is text of an agent, a tool or a task."""
    keys = {"observation", "content", "thought", "action", "reasoning", "patch", "message", "problem_statement", "tool"}

    def poison(value: Any, key: str = "") -> Any:
        if (known := as_mapping(value)) is not None:
            return {name: poison(item, name) for name, item in known.items()}
        if (items := as_items(value)) is not None:
            return [poison(item, key) for item in items]
        return HOSTILE if isinstance(value, str) and key in keys else value

    told = list[AnyEvent]()
    for event in whole_episode():
        body = event.model_dump(mode="json")
        model = type(event)
        payload = poison(body["payload"])
        kind = model.model_fields["payload"].annotation
        made = kind.of(**payload) if hasattr(kind, "of") else payload  # pyright: ignore
        told.append(event.model_copy(update={"payload": made}))
    return told


@pytest.mark.network
def test_harbor_finds_trajectories_valid(harbor_python: str, tmp_path: Path) -> None:
    report = export([RUNS / "random", RUNS / "reference"], "atif", tmp_path / "out")
    for name, events in (("whole", whole_episode()), ("hostile", _hostile()), ("start", whole_episode()[:1])):
        path = tmp_path / f"{name}.json"
        path.write_bytes(exported(exporters().get("atif"), events, tmp_path))
        report.files.append(str(path))
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(document(recorded(whole_episode())) | {"steps": []}))
    done = subprocess.run([harbor_python, "-c", VALIDATE, *report.files, str(broken)], capture_output=True, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout)
    assert found.pop(str(broken)), "the validator finds what is wrong"
    assert len(found) == 11
    assert {path: errors for path, errors in found.items() if errors} == {}


def test_atif_holds_to_its_rules() -> None:
    told = document(recorded(whole_episode()))
    assert told["schema_version"] == "ATIF-v1.8"
    for part in (told, *told["subagent_trajectories"]):
        assert [step["step_id"] for step in part["steps"]] == list(range(1, len(part["steps"]) + 1))
        for step in part["steps"]:
            calls = {call["tool_call_id"] for call in step.get("tool_calls", ())}
            assert {result["source_call_id"] for result in step.get("observation", {}).get("results", ())} <= calls
    system, user, agent, more, last = told["steps"]
    assert (system["source"], user["message"], more["message"]) == ("system", "Mend the tool.", "Go on.")
    assert [call["function_name"] for call in agent["tool_calls"]] == ["shell", "file_read"]
    assert agent["metrics"]["prompt_token_ids"] == [1, 2, 3]
    assert agent["metrics"]["cached_tokens"] == 40
    assert agent["observation"]["results"][0]["extra"]["step_reward"]["reward"] == 0.75
    assert last["metrics"]["prompt_token_ids"] == [9, 8]
    assert told["subagent_trajectories"][0]["extra"] == {"thread": "helper"}


def test_prompts_of_tokens_are_put_together() -> None:
    """The log of a request holds what it adds; a trajectory holds the whole prompt."""
    events = whole_episode()
    second = [event for event in events if event.event_type == "llm_response"][1]
    body = second.model_dump(mode="json")
    body["payload"]["prompt_token_ids"] = None
    events[second.seq] = type(second).model_validate(body)
    agent = [step for step in document(recorded(events))["steps"] if step["source"] == "agent"]
    assert agent[1]["metrics"]["prompt_token_ids"] == [1, 2, 3, 4, 5, 6]


def test_otlp_is_what_opentelemetry_proto_reads() -> None:
    for signal, body in signals_of(recorded(_hostile())).items():
        request = request_of(signal, body)
        assert encode(signal, body) == encode(signal, body)
        if signal == "traces":
            spans = request.resource_spans[0].scope_spans[0].spans
            told = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
            assert [span.span_id.hex() for span in spans] == [span["spanId"] for span in told]
            assert {len(span.trace_id) for span in spans} == {16}


def test_spans_follow_the_conventions() -> None:
    spans = signals_of(recorded(whole_episode()))["traces"]["resourceSpans"][0]["scopeSpans"][0]["spans"]
    names = [span["name"] for span in spans]
    assert names[:3] == ["invoke_agent chatty", "invoke_agent helper", "chat claude-x"]
    assert names.count("execute_tool shell") == 1
    known = {item["key"]: item["value"] for item in spans[2]["attributes"]}
    assert known["gen_ai.provider.name"] == {"stringValue": "anthropic"}
    assert known["gen_ai.usage.input_tokens"] == {"intValue": "100"}
    assert known["gen_ai.usage.cache_read.input_tokens"] == {"intValue": "40"}
    assert known["gen_ai.response.time_to_first_chunk"] == {"doubleValue": 0.12}
    answer = json.loads(known["gen_ai.output.messages"]["stringValue"])[0]
    assert [part["type"] for part in answer["parts"]] == ["reasoning", "text", "tool_call", "tool_call"]
    tool = next(span for span in spans if span["name"] == "execute_tool shell")
    assert tool["links"][0]["spanId"] == spans[2]["spanId"]
    assert tool["parentSpanId"] == spans[0]["spanId"]
    helper = next(span for span in spans if span["name"] == "chat mini")
    assert helper["parentSpanId"] == spans[1]["spanId"]
    assert all(int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) for span in spans)


def test_rewards_and_verdicts_are_evaluations() -> None:
    records = signals_of(recorded(whole_episode()))["logs"]["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    found = defaultdict[str, list[Any]](list)
    for record in records:
        known = {item["key"]: next(iter(item["value"].values())) for item in record["attributes"]}
        if record["eventName"] == "gen_ai.evaluation.result":
            found[known["gen_ai.evaluation.name"]].append(known.get("gen_ai.evaluation.score.value"))
    assert found == {"step_reward": [0.75] * 3, "goal_progress": [0.5] * 3, "resolved": [0.0]}


def test_without_content_no_text_is_told() -> None:
    told = json.dumps(signals_of(recorded(whole_episode()), content=False))
    for text in (
        "Mend the tool",
        "I look.",
        "Where is it?",
        "The tool is broken",
        "+new",
        "seen",
        "t failed",
        "thought 1",
    ):
        assert text not in told, text


def test_protobuf_files_hold_the_same_as_json(tmp_path: Path) -> None:
    for encoding in ("json", "protobuf"):
        export([RUNS / "random"], "otlp", tmp_path / encoding, options={"encoding": encoding})
    for signal in ("traces", "logs", "metrics"):
        data, found = (tmp_path / "protobuf" / f"{signal}.binpb").read_bytes(), list[bytes]()
        while data:
            (size,) = struct.unpack(">I", data[:4])
            found.append(data[4 : 4 + size])
            data = data[4 + size :]
        lines = (tmp_path / "json" / f"{signal}.jsonl").read_text().splitlines()
        assert found == [encode(signal, json.loads(line)) for line in lines]
        assert len(found) == 4


def test_a_receiver_gets_what_the_files_hold(tmp_path: Path) -> None:
    with OtlpReceiver(tmp_path / "received", token="secret", grpc_port=None) as receiver:
        options = {"endpoint": receiver.http_url, "headers": dict(receiver.headers)}
        export([RUNS / "reference"], "otlp", tmp_path / "out", options=options)
        with pytest.raises(ServiceError, match=r"401|403"):
            export([RUNS / "reference"], "otlp", tmp_path / "no", options={"endpoint": receiver.http_url})
    got = [
        (span.name, span.trace_id, span.span_id)
        for span in read_otlp(tmp_path / "received")
        if isinstance(span, SpanRecord)
    ]
    lines = (tmp_path / "out" / "traces.jsonl").read_text().splitlines()
    told = [span for line in lines for span in json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]]
    assert got == [(span["name"], span["traceId"], span["spanId"]) for span in told]
    assert not (tmp_path / "no" / "traces.jsonl").exists()


def test_chrome_trace_holds_to_its_rules(tmp_path: Path) -> None:
    """On each track, of two spans one holds the other or ends before it begins; an arrow has two ends."""
    export([RUNS / "random", RUNS / "reference"], "chrome", tmp_path / "trace.json")
    whole = json.loads(exported(exporters().get("chrome"), whole_episode(), tmp_path))
    for told in (json.loads((tmp_path / "trace.json").read_bytes()), whole):
        tracks, flows = defaultdict[Any, list[Any]](list), defaultdict[int, set[str]](set)
        for event in told["traceEvents"]:
            assert event["ph"] in "XMCisf" and isinstance(event["pid"], int)
            if event["ph"] == "X":
                tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
            elif event["ph"] in "sf":
                flows[event["id"]].add(event["ph"])
        for spans in tracks.values():
            ends = list[int]()
            for begin, end in sorted(spans, key=lambda span: (span[0], -span[1])):
                while ends and ends[-1] <= begin:
                    ends.pop()
                assert not ends or end <= ends[-1]
                ends.append(end)
        assert all(ends == {"s", "f"} for ends in flows.values())
    assert len({event["id"] for event in whole["traceEvents"] if event["ph"] == "s"}) == 2
    names = [event["name"] for event in whole["traceEvents"] if event["ph"] == "X"]
    assert names[:2] == ["episode acme__tool-1", "chat claude-x"]
    tracks = [e["args"]["name"] for e in whole["traceEvents"] if e["name"] == "thread_name"]
    assert tracks[0] == "agent" and tracks[-1] == "helper"
    counters = {event["name"] for event in whole["traceEvents"] if event["ph"] == "C"}
    assert {"memory (bytes)", "memory (bytes) sampled", "CPU (cores)"} <= counters


def test_chrome_cuts_texts_as_told(tmp_path: Path) -> None:
    export([RUNS / "random"], "chrome", tmp_path / "cut.json", options={"text": 10})
    export([RUNS / "random"], "chrome", tmp_path / "all.json", options={"text": 0})
    assert ChromeOptions().text == 2000
    assert "… (" in (tmp_path / "cut.json").read_text()
    assert "… (" not in (tmp_path / "all.json").read_text()


def test_rows_have_the_columns_of_the_data_sets(tmp_path: Path) -> None:
    export([RUNS / "reference"], "nebius-openhands", tmp_path / "a.jsonl")
    export([RUNS / "reference"], "nebius-swe-agent", tmp_path / "b.jsonl")
    row = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])
    assert (
        list(row)
        == (
            "trajectory_id instance_id repo trajectory tools model_patch exit_status resolved gen_tests_correct "
            "pred_passes_gen_tests"
        ).split()
    )
    assert (row["resolved"], row["exit_status"]) == (1, "submit")
    for message, after in pairwise(row["trajectory"]):
        assert set(message) == {"role", "content", "tool_calls", "name", "tool_call_id"}
        for call in message["tool_calls"] or ():
            assert isinstance(json.loads(call["function"]["arguments"]), dict)
            assert after["tool_call_id"] == call["id"]
    other = json.loads((tmp_path / "b.jsonl").read_text().splitlines()[0])
    assert list(other) == "instance_id model_name target trajectory exit_status generated_patch eval_logs".split()
    assert set(other["trajectory"][0]) == {"role", "text", "system_prompt", "mask", "cutoff_date"}
    assert other["generated_patch"] == row["model_patch"]


@pytest.mark.parametrize("name", ["nebius-openhands", "nebius-swe-agent", "trl"])
def test_parquet_holds_the_same_as_json(name: str, tmp_path: Path) -> None:
    from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]

    parquets: Any = parquet
    for ending in ("jsonl", "parquet"):
        export([RUNS / "random"], name, tmp_path / f"a.{ending}")
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    table: Any = parquets.read_table(tmp_path / "a.parquet")
    assert table.column_names == list(rows[0]) or set(table.column_names) == set(rows[0])
    for row, other in zip(rows, table.to_pylist(), strict=True):
        read = {key: _parsed(value) for key, value in other.items()}
        assert {key: read[key] for key in row} == row


def _parsed(value: Any) -> Any:
    items = as_items(value)
    return [json.loads(item) for item in items] if items and isinstance(items[0], str) else value


def test_conversations_are_those_of_the_training_export(tmp_path: Path) -> None:
    export([RUNS / "reference"], "trl", tmp_path / "a.jsonl")
    row = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])
    assert [message["role"] for message in row["messages"][:4]] == ["system", "user", "assistant", "tool"]
    assert row["messages"][2]["tool_calls"][0]["id"] == "call00001"
    assert isinstance(row["messages"][2]["tool_calls"][0]["function"]["arguments"], dict)
    assert len(row["rewards"]) == sum(message["role"] == "assistant" for message in row["messages"])


def test_predictions_are_read_by_the_harness_s_rules(tmp_path: Path) -> None:
    report = export([RUNS / "reference"], "predictions", tmp_path / "preds.jsonl")
    assert [Path(path).name for path in report.files] == ["preds.seed0.jsonl", "preds.seed1.jsonl"]
    found = read_predictions(report.files[0])
    patch = (RUNS / "reference" / "episodes" / "trajhub__tiny-1--s0--a1" / "patch.diff").read_text()
    assert found["trajhub__tiny-1"] == patch and len(found) == 2


def test_predictions_of_others_bear_their_own_names_and_lose_none_of_a_task(tmp_path: Path) -> None:
    row = {"role": "user", "text": "Mend it", "system_prompt": None, "mask": False, "cutoff_date": None}
    known = {"trajectory": [row, {**row, "role": "ai", "text": "```\nsubmit\n```"}], "target": False, "eval_logs": ""}
    rows = [
        {**known, "instance_id": task, "model_name": model, "exit_status": "submitted", "generated_patch": patch}
        for task, model, patch in (("a__b-1", "m-1", "x"), ("a__b-1", "m-2", "y"), ("a__b-2", "m-2", None))
    ]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(one) + "\n" for one in rows))
    ingest([source], tmp_path / "run", IngestConfig(max_workers=1))
    report = export([tmp_path / "run"], "predictions", tmp_path / "preds.jsonl")
    assert [Path(path).name for path in report.files] == ["preds.jsonl", "preds.2.jsonl"]
    told = [json.loads(Path(path).read_text()) for path in report.files]
    assert {(one["instance_id"], one["model_name_or_path"], one["model_patch"]) for one in told} == {
        ("a__b-1", "m-1", "x"),
        ("a__b-1", "m-2", "y"),
    }
    assert list(report.left_out.values()) == ["its record tells no patch"]


@pytest.mark.parametrize("name", sorted(exporters().exporters))
def test_hostile_text_breaks_nothing(name: str, tmp_path: Path) -> None:
    data = exported(exporters().get(name), _hostile(), tmp_path)
    text = data.decode()
    for line in [text] if name in ("atif", "chrome") else text.splitlines():
        json.loads(line)
    assert "\x1b" not in text and "\x00" not in text


def test_a_wrong_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"option colour.*its options are: text"):
        export([RUNS / "random"], "chrome", tmp_path / "a.json", options={"colour": "red"})
    with pytest.raises(UsageError, match=r"there is no format 'svg'.*atif, chrome"):
        export([RUNS / "random"], "svg", tmp_path / "a.svg")
    with pytest.raises(UsageError, match="4 episodes"):
        export([RUNS / "random"], "atif", tmp_path / "a.json")
