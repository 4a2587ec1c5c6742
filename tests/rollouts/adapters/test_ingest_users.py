"""What a user may get wrong: the same bytes under two names, a file where the run should be."""

import json
from pathlib import Path

import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.rollouts.adapters.engine import IngestConfig, ingest

from .recorded import transcript, write


def test_copies_of_a_source_are_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / "in" / f"{name}.jsonl", transcript())
    write(tmp_path / "in" / "d.jsonl", transcript()[:-1])
    report = ingest([tmp_path / "in"], tmp_path / "run", IngestConfig(max_workers=1))
    assert (report.episodes, list(report.copies)) == (4, ["in/b.jsonl", "in/c.jsonl"])
    kept = json.loads((tmp_path / "run" / "ingest.json").read_text())
    assert kept["copies"] == ["in/b.jsonl", "in/c.jsonl"]
    again = ingest([tmp_path / "in"], tmp_path / "run", IngestConfig(max_workers=1))
    assert list(again.copies) == ["in/b.jsonl", "in/c.jsonl"], "also where all was read before"


@pytest.mark.parametrize("name", ["file", "file/run"])
def test_a_run_cannot_be_made_where_a_file_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    source = write(tmp_path / "a.jsonl", transcript())
    with pytest.raises(UsageError, match=r"no run can be made at .*file.*name another folder"):
        ingest([source], tmp_path / name, IngestConfig(max_workers=1))
