"""Memory of ingestion does not grow with the number of sources."""

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from trajectory_hub.rollouts.adapters.engine import IngestConfig, ingest, plan_ingest
from trajectory_hub.rollouts.adapters.found import Found, Source

_RECORDS = (
    {"timestamp": "2026-01-01T00:00:00Z", "type": "session_meta", "payload": {"id": "s", "cli_version": "1"}},
    {"timestamp": "2026-01-01T00:00:01Z", "type": "event_msg", "payload": {"type": "user_message", "message": "mend"}},
)
_MEASURE = """
import json, re, sys
from pathlib import Path
from trajectory_hub.rollouts.adapters.engine import IngestConfig, ingest

peaks = []
for name in sys.argv[2:]:
    report = ingest([name], f"{name}-run", IngestConfig(max_workers=int(sys.argv[1])))
    assert report.episodes == report.sources, report
    peaks.append(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
print(json.dumps(peaks))
"""


def _sessions(folder: Path, count: int) -> Path:
    """Small sessions, all in one folder, and half as many files of no format."""
    folder.mkdir()
    text = "".join(json.dumps(record) + "\n" for record in _RECORDS)
    for number in range(count):
        (folder / f"rollout-with-a-name-as-long-as-they-are-{number}.jsonl").write_text(text)
        if number % 2:
            (folder / f"a-file-of-no-format-{number}.txt").write_text("x")
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_memory_does_not_grow_with_the_number_of_sources(workers: int, tmp_path: Path) -> None:
    """Three kilobytes kept of each of 1,500 sources would break the bound; lists of reports keep ten of each."""
    few, many = _sessions(tmp_path / "few", 100), _sessions(tmp_path / "many", 1600)
    command = [sys.executable, "-c", _MEASURE, str(workers), str(few), str(many)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout)
    assert after - before < 5, f"{before:.1f} MiB after 100 sources, {after:.1f} MiB after 1,600 more"


def test_the_report_has_every_source_and_every_file_of_no_format(tmp_path: Path) -> None:
    sessions = _sessions(tmp_path / "s", 7)
    report = ingest([sessions], tmp_path / "run", IngestConfig(max_workers=2))
    told = json.loads((tmp_path / "run" / "ingest.json").read_text())
    assert [row["source"] for row in told["per_source"]] == [
        source.name for source in plan_ingest([sessions], IngestConfig()).sources
    ]
    assert told["unrecognised"] == list(report.unrecognised) == [f"s/a-file-of-no-format-{n}.txt" for n in (1, 3, 5)]
    assert {name: told[name] for name in told if name != "per_source"} == report.as_dict()


def test_sources_are_found_again_by_name_size_and_place(tmp_path: Path) -> None:
    found = Found()
    for name, size in (("a", 1), ("a", 3), ("b", 2)):
        path = tmp_path / str(size)
        path.write_bytes(b"x" * size)
        found.add(name, path, "codex", [path.stat()], [])
    assert [source.name for source in found.sources] == ["a", "a#2", "b"]
    assert [source.bytes for source in found.left_by_size] == [3, 2, 1]
    found.done("a#2", 70)
    found.done("a", 7)
    assert list(found.places) == [7, 70] and [source.name for source in found.left] == ["b"]
    assert (found.bytes, found.bytes_left, found.place("b")) == (6, 2, None)
    assert isinstance(next(islice(found.sources, 1, None)), Source)
