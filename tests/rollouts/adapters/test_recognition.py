"""Each source is known to exactly one adapter, by its content: every sample against every adapter."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from trajectory_hub.rollouts.adapters.registry import adapters, sample_of

from . import benchmark_records as made
from . import recorded_gemini as gemini
from .recorded import rollout, transcript, write

DATA = Path(__file__).parents[4] / "shared" / "data"


def _sdk_folder(folder: Path) -> Path:
    for number, event in enumerate(made.sdk_events()):
        made.write_json(folder / "talk" / f"event-{number:05d}-x.json", event)
    return folder / "talk"


def _parquet(path: Path, rows: list[dict[str, object]]) -> Path:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    return path


SAMPLES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "claude transcript": ("claude-code", lambda at: write(at / "x.jsonl", transcript())),
    "codex rollout": ("codex", lambda at: write(at / "x.jsonl", rollout())),
    "gemini session": ("gemini-cli", lambda at: write(at / "x.jsonl", gemini.session())),
    "gemini document": ("gemini-cli", lambda at: made.write_json(at / "x.json", gemini.document(), indent=2)),
    "swe-agent": ("swe-agent", lambda at: made.write_json(at / "x.traj", made.swe_agent())),
    "swe-agent old": ("swe-agent", lambda at: made.write_json(at / "x", made.swe_agent_old(), indent=2)),
    "swe-agent history": (
        "swe-agent",
        lambda at: made.write_json(at / "x.json", {"history": made.swe_agent()["history"]}),
    ),
    "swe-agent attempts": ("swe-agent", lambda at: made.write_json(at / "x", {"attempts": [made.swe_agent()]})),
    "mini 1.1": ("mini-swe-agent", lambda at: made.write_json(at / "x.json", made.mini_swe_agent(), indent=2)),
    "mini bare": ("mini-swe-agent", lambda at: made.write_json(at / "x.json", made.mini_bare())),
    "openhands rows": ("openhands", lambda at: made.write_lines(at / "x.jsonl", [made.openhands_row()] * 3)),
    "openhands one row": ("openhands", lambda at: made.write_json(at / "x.json", made.openhands_row())),
    "openhands pairs": (
        "openhands",
        lambda at: made.write_lines(at / "x.jsonl", [made.openhands_row(made.openhands_pairs())]),
    ),
    "openhands sdk rows": (
        "openhands",
        lambda at: made.write_lines(at / "x.jsonl", [made.openhands_row(made.sdk_events())]),
    ),
    "openhands list": ("openhands", lambda at: made.write_json(at / "x.json", made.openhands_history())),
    "sdk lines": ("openhands-sdk", lambda at: made.write_lines(at / "x.jsonl", made.sdk_events())),
    "sdk list": ("openhands-sdk", lambda at: made.write_json(at / "x.json", made.sdk_events(), indent=1)),
    "sdk folder": ("openhands-sdk", _sdk_folder),
    "nebius swe": ("nebius-swe-agent", lambda at: made.write_lines(at / "x.jsonl", made.nebius_swe_agent())),
    "nebius swe parquet": ("nebius-swe-agent", lambda at: _parquet(at / "x.parquet", made.nebius_swe_agent())),
    "nebius openhands": ("nebius-openhands", lambda at: made.write_lines(at / "x.jsonl", made.nebius_openhands())),
    "nebius openhands parquet": (
        "nebius-openhands",
        lambda at: _parquet(at / "x.parquet", made.nebius_openhands()),
    ),
    "atif": ("atif", lambda at: made.write_json(at / "x.json", made.atif(), indent=2)),
    "atif lines": ("atif", lambda at: made.write_lines(at / "x.jsonl", [made.atif()] * 2)),
    "predictions": ("swe-bench", lambda at: made.write_lines(at / "x.jsonl", made.predictions())),
    "predictions list": ("swe-bench", lambda at: made.write_json(at / "x.json", made.predictions())),
    "predictions by id": (
        "swe-bench",
        lambda at: made.write_json(at / "x.json", {row["instance_id"]: row for row in made.predictions()}),
    ),
    "run report": ("swe-bench", lambda at: made.write_json(at / "x.json", made.run_report(), indent=4)),
    "instance report": ("swe-bench", lambda at: made.write_json(at / "report.json", made.instance_report())),
}
NOTHING: dict[str, bytes] = {
    "nothing": b"",
    "text": b"Some words.\nAnd others.\n",
    "an object": b'{"a": 1}',
    "numbers": b"[1, 2, 3]",
    "a task": json.dumps(
        {"instance_id": "a__b-1", "patch": "diff", "test_patch": "", "problem_statement": "x"}
    ).encode(),
    "a manifest": json.dumps({"run_id": "x", "created": "2026", "config": None}).encode(),
    "a log of ours": b'{"schema_version":"1.3","run_id":"r","event_type":"note","payload":{}}\n',
    "bytes": bytes(range(256)) * 4,
    "half a parquet": b"PAR1" + bytes(100),
}
REAL = {
    "sweagent/all_preds.jsonl": "swe-bench",
    "sweagent/function_calling_simple.traj": "swe-agent",
    "sweagent/marshmallow-code__marshmallow-1867.function_calling.traj": "swe-agent",
    "sweagent/pydicom__pydicom-1458.traj": "swe-agent",
    "openhands/output.jsonl": "openhands",
    "openhands/basic.json": "openhands",
    "openhands-sdk/events.jsonl": "openhands-sdk",
    "swebench-pro-results/gpt-5-250-turns-10132025.eval_results.json": "swe-bench",
    "agentcgroup/all_images_haiku/pydicom__pydicom-1090": "agentcgroup",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_exactly_one_adapter_is_sure(tmp_path: Path, name: str) -> None:
    wanted, make = SAMPLES[name]
    scores = adapters().scores(sample_of(make(tmp_path)))
    assert {adapter for adapter, score in scores.items() if score >= 0.5} == {wanted}, scores


@pytest.mark.parametrize("name", [name for name in SAMPLES if "parquet" not in name and "folder" not in name])
def test_a_large_source_is_known_by_its_beginning(tmp_path: Path, name: str) -> None:
    wanted, make = SAMPLES[name]
    path = make(tmp_path)
    sample = sample_of(path)
    whole = sample.head
    half = type(sample)(path=path, head=whole[: max(len(whole) * 2 // 3, min(len(whole), 400))])
    assert adapters().recognise(half) == [wanted]


@pytest.mark.parametrize("name", NOTHING)
def test_what_is_no_record_is_known_to_nobody(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_bytes(NOTHING[name])
    assert adapters().recognise(sample_of(tmp_path / "x")) == []


def test_every_adapter_loads_and_says_what_it_loses() -> None:
    found = adapters()
    assert not found.broken
    for adapter in found.adapters.values():
        losses = getattr(import_module(type(adapter).__module__), "LOSES", None)
        assert losses is None or all(isinstance(why, str) and why for why in losses.values())


@pytest.mark.parametrize("name", REAL)
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real records are not at {DATA}")
def test_real_records(name: str) -> None:
    assert adapters().recognise(sample_of(DATA / name)) == [REAL[name]]
