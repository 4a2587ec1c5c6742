"""What is exported and ingested again is what it was, but for what is declared."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from trajectory_hub.rollouts.adapters.engine import IngestConfig, ingest
from trajectory_hub.rollouts.events import AnyEvent, EpisodeStartEvent, dump_event
from trajectory_hub.rollouts.exporters import export
from trajectory_hub.rollouts.exporters.engine import read_recorded
from trajectory_hub.rollouts.exporters.losses import is_lost
from trajectory_hub.rollouts.exporters.registry import exporters

from .whole import whole_episode

RUNS = Path(__file__).parents[2] / "data" / "runs-1.0"
Values = dict[str, list[Any]]
HEADER = ("task_id", "repo", "commit", "seed", "agent", "agent_version", "model")
NOT_OURS = ("episode_start.origin", "episode_start.attempt", "note.")
"""What ingestion says itself, and notes, to which readers add."""


def _values(events: list[AnyEvent]) -> Values:
    """What each field says, over the events of an episode."""
    found = defaultdict[str, list[Any]](list)

    def put(name: str, value: Any) -> None:
        if isinstance(value, BaseModel) and not name.startswith("episode_start.parent"):
            for key, item in value:
                put(f"{name}.{key}", item)
        elif value not in (None, "", [], {}, ()):
            found[name].append(json.loads(json.dumps(value, default=_plain)))

    for event in events:
        for key, value in dict(event.payload).items():
            put(f"{event.event_type}.{key}", value)
    for name in HEADER:
        if (value := getattr(events[0], name)) is not None:
            found[f"event.{name}"] = [value]
    return {name: value for name, value in found.items() if not name.startswith(NOT_OURS)}


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


LONG = {"llm_request.kept_messages"}
"""Is another only where answers without a call are followed by more."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded runs' episodes of the first seed, and one in which every field says something."""
    run = tmp_path_factory.mktemp("runs") / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"run_id": "run"}))
    logs = {
        f.name: f / "events.jsonl" for name in ("random", "reference") for f in (RUNS / name / "episodes").iterdir()
    }
    told = {"whole--s0--a1": b"".join(dump_event(event) for event in whole_episode())}
    told |= {name: path.read_bytes() for name, path in logs.items() if "--s0" in name}
    for name, data in told.items():
        (run / "episodes" / name).mkdir(parents=True)
        (run / "episodes" / name / "events.jsonl").write_bytes(data)
    return run


def _again(run: Path, to: str, folder: Path) -> list[tuple[Values, Values]]:
    """Each episode as it was and as it came back."""
    exporter = exporters().get(to)
    path = folder / ("files" if "folder" in exporter.output else f"out{exporter.output.split()[0].rstrip(';')}")
    report = export([run], to, path)
    back = folder / "back"
    ingest(report.files, back, IngestConfig(max_workers=1))
    before = [read_recorded(path)[0] for path in sorted((run / "episodes").iterdir())]
    after = [read_recorded(path)[0] for path in (back / "episodes").iterdir()]
    kept = {f"run/{name}" for name in report.left_out}
    assert not kept and len(after) == len(before)
    order = {event.task_id: _values(events) for events in after for event in events[:1]}
    assert all(isinstance(events[0], EpisodeStartEvent) for events in after)
    return [(_values(events), order[events[0].task_id]) for events in before]


@pytest.mark.parametrize("to", ["atif", "nebius-openhands", "nebius-swe-agent", "predictions"])
def test_a_round_trip_loses_what_is_declared(to: str, run: Path, tmp_path: Path) -> None:
    exporter = exporters().get(to)
    changed, kept = set[str](), set[str]()
    for before, after in _again(run, to, tmp_path):
        changed |= {name for name in before if before[name] != after.get(name)}
        kept |= {name for name in before if before[name] == after.get(name)}
    undeclared = {name for name in changed if not is_lost(name, exporter.loses) and not is_lost(name, exporter.unread)}
    assert undeclared == set()
    idle = {name for name in exporter.unread if not any(is_lost(field, {name: ""}) for field in changed)} - LONG
    assert idle == set(), "declared as not read back, and is"
    assert kept >= {"event.task_id", "final_patch.patch"}
    if to == "atif":
        assert kept >= {"tool_call.tool", "tool_call.arguments", "tool_result.observation", "verdict.resolved"}
        assert kept >= {"episode_end.stop_reason", "llm_response.usage.input_tokens", "llm_response.logprobs"}
