"""AgentCgroup folders: transcript, samples and measurements in one log, their clocks brought together."""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import StopReason
from trajectory_hub.rollouts.adapters.engine import ingest
from trajectory_hub.rollouts.adapters.reading import moment
from trajectory_hub.rollouts.events import SandboxMetricEvent
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.log_file import EVENTS
from trajectory_hub.rollouts.trajectory import episode_folders

from .reading_runs import ingested, payloads
from .recorded import at, transcript, write

DATA = Path(__file__).parents[4] / "shared" / "data" / "agentcgroup"
EPOCH = 1772359200.0
"""10:00:00 UTC on the day of the recorded session; the harness' clock is eight hours behind."""
DIFF = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x\n+y\n"


def sample(second: float, memory: str = "12.5MB / 1GB", cpu: str = "50.00%") -> dict[str, Any]:
    """One second's figures."""
    local = f"2026-03-01T02:{int(second) // 60:02d}:{second % 60:09.6f}"
    return {"timestamp": local, "epoch": EPOCH + second, "mem_usage": memory, "mem_percent": "1%", "cpu_percent": cpu}


def folder(path: Path, samples: list[Any]) -> Path:
    """A run folder."""
    write(path / "trace.jsonl", transcript())
    (path / "resources.json").write_text(json.dumps({"samples": samples, "summary": {"sample_count": len(samples)}}))
    (path / "tool_calls.json").write_text(json.dumps([{"id": "toolu_1", "tool": "Bash"}, {"id": "gone", "tool": "X"}]))
    output = {"stdout": f"Done.\n=== GIT DIFF ===\n{DIFF}=== DISK USAGE ===\n2\t/testbed\n", "exit_code": 0}
    results = {"image": "img", "start_time": "2026-03-01T01:59:00", "end_time": "2026-03-01T02:01:00", "pull_time": 2.5}
    (path / "results.json").write_text(json.dumps({**results, "permission_fix_time": 10.0, "claude_output": output}))
    return path


def test_everything_of_a_folder(tmp_path: Path) -> None:
    samples = [sample(0.5), sample(5.2, "1.5GiB / 2GiB"), sample(17, "0B / 0B", "0.00%"), "odd"]
    report, events = ingested(folder(tmp_path / "owner__name-12", samples), tmp_path / "run")
    assert report.total.records == len(transcript()) + 4 + 2 + 1 + 1, "samples, calls, summary, results"
    first = events[0]
    assert (first.task_id, first.repo, first.agent) == ("owner__name-12", "owner/name", "claude-code")
    assert first.t_start == moment("2026-03-01T09:59:00Z"), "the harness' local time"
    assert payloads(events, "episode_end")[0].reset_ms == 12500
    metrics = [event for event in events if isinstance(event, SandboxMetricEvent)]
    assert [event.payload.memory_bytes for event in metrics] == [12_500_000, 3 << 29, None]
    assert [event.payload.step for event in metrics] == [None, 0, None], "the second fell into the first call"
    assert metrics[1].t_start == moment(at(5.2)) and (metrics[1].payload.model_extra or {})["cpu_percent"] == 50
    (patch,) = payloads(events, "final_patch")
    assert patch.patch == DIFF and patch.files == ("a.py",)
    end = payloads(events, "episode_end")[0]
    assert (end.stop_reason, end.steps, end.memory_peak_bytes) == (StopReason.SUBMITTED, 5, 3 << 29)
    calls = next(note for note in payloads(events, "note") if note.kind == "tool_calls")
    assert calls.data["others"] == [{"id": "gone", "tool": "X"}]
    assert events[-1].t_end == moment("2026-03-01T10:01:00Z")


@pytest.mark.parametrize("name", ["resources.json", "results.json", "tool_calls.json"])
def test_a_torn_file_costs_what_is_torn(name: str, tmp_path: Path) -> None:
    path = folder(tmp_path / "o__n-1", [sample(n / 10) for n in range(20)])
    whole = (path / name).read_bytes()
    (path / name).write_bytes(whole[: len(whole) * 2 // 3])
    report, events = ingested(path, tmp_path / "run")
    assert report.total.broken == 1 and f"{name}: " in str(report.formats["agentcgroup"][name].first)
    assert len(payloads(events, "tool_result")) == 5
    if name == "resources.json":
        assert 5 < len(payloads(events, "sandbox_metric")) < 20


@pytest.mark.skipif(not DATA.is_dir(), reason="AgentCgroup's runs are not here")
def test_the_eleven_runs(tmp_path: Path) -> None:
    report = ingest([DATA], tmp_path / "run")
    assert (report.sources, report.episodes, report.total.unread, report.total.broken) == (11, 11, 0, 0)
    folders = sorted(path.parent for path in DATA.glob("*/*/trace.jsonl"))
    rows = sum(len(path.read_text().splitlines()) for path in DATA.glob("*/*/trace.jsonl"))
    samples = [json.loads((path / "resources.json").read_text()) for path in folders]
    calls = [json.loads(path.read_text()) for path in DATA.glob("*/*/tool_calls.json")]
    records = rows + sum(len(one["samples"]) for one in samples) + sum(map(len, calls)) + 2 * len(folders)
    assert report.total.records == records
    means = {
        path.name: sum(values) / len(values)
        for path in episode_folders(tmp_path / "run")
        if (values := [
            event.payload.memory_bytes / 1e6
            for event in read_events(path / EVENTS)
            if isinstance(event, SandboxMetricEvent) and event.payload.memory_bytes is not None
        ])
    }  # fmt: skip
    for source, told in zip(folders, samples, strict=True):
        (mean,) = (value for name, value in means.items() if name.startswith(source.name))
        assert mean == pytest.approx(told["summary"]["memory_mb"]["avg"], rel=1e-6)
