"""Records of other agents, ingested and exported: real ones, where they lie beside the project."""

import json
import subprocess
from pathlib import Path

import pytest
from trajectory_hub.rollouts.adapters.engine import IngestConfig, ingest
from trajectory_hub.rollouts.exporters import export
from trajectory_hub.rollouts.exporters.otlp_proto import request_of
from trajectory_hub.rollouts.exporters.registry import exporters

from .test_export_cli import FORMATS
from .test_formats import VALIDATE

DATA = Path(__file__).parents[4] / "shared" / "data"
SOURCES = ("tracelab/example_sessions", "sweagent", "openhands", "openhands-sdk")
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no records of others in {DATA}")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign") / "run"
    report = ingest([DATA / name for name in SOURCES], folder, IngestConfig(max_workers=1))
    assert report.episodes >= 8
    return folder


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_takes_them(name: str, run: Path, tmp_path: Path) -> None:
    report = export([run], name, tmp_path / f"out{FORMATS[name]}")
    assert report.episodes + len(report.left_out) == len(list((run / "episodes").iterdir()))
    assert report.episodes >= (1 if name == "predictions" else 6), report.left_out
    if name == "otlp":
        for path in report.files:
            for line in Path(path).read_text().splitlines():
                request_of(Path(path).stem, json.loads(line))


@pytest.mark.network
def test_harbor_finds_them_valid(harbor_python: str, run: Path, tmp_path: Path) -> None:
    report = export([run], "atif", tmp_path / "out")
    done = subprocess.run([harbor_python, "-c", VALIDATE, *report.files], capture_output=True, check=True)
    assert {path: errors for path, errors in json.loads(done.stdout).items() if errors} == {}
    assert set(FORMATS) == set(exporters().exporters)
