"""`trajhub trace export`: the same bytes each time, credentials on request, losses told, plug-ins taken."""

import hashlib
import json
import shutil
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.cli import app
from trajectory_hub.rollouts import plugins
from trajectory_hub.rollouts.exporters import export
from trajectory_hub.rollouts.exporters import registry as registries
from trajectory_hub.rollouts.exporters.redaction import redact
from trajectory_hub.rollouts.exporters.registry import exporters
from typer.testing import CliRunner

from .whole import whole_episode

RUNS = Path(__file__).parents[2] / "data" / "runs-1.0"
FORMATS = {
    "atif": "",
    "chrome": ".json",
    "nebius-openhands": ".jsonl",
    "nebius-swe-agent": ".parquet",
    "otlp": "",
    "predictions": ".jsonl",
    "trl": ".jsonl",
}
KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
runner = CliRunner()


def _bytes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_same_episodes_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    for copy in ("one", "two"):
        runs = [shutil.copytree(RUNS / run, tmp_path / f"{copy}-runs" / run) for run in ("random", "reference")]
        (tmp_path / copy).mkdir()
        export(runs, name, tmp_path / copy / f"out{FORMATS[name]}")
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two") != {}
    assert set(FORMATS) == set(exporters().exporters)


def test_what_is_lost_is_told_and_written(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    arguments = ["trace", "export", str(RUNS / "random"), "--to", "chrome", "-o", str(out), "--limit", "2"]
    done = runner.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "step_reward.criteria" in done.output
    written = json.loads((tmp_path / "out.json.losses.json").read_text())
    assert (written["episodes"], written["files"]) == (2, ["out.json"])
    assert {row["field"]: row["episodes"] for row in written["lost"]}["event.seq"] == 2
    told = json.loads(runner.invoke(app, [*arguments, "--json"]).stdout)
    assert told["lost"] == written["lost"]


def test_filter_limit_and_what_is_left_out(tmp_path: Path) -> None:
    out = str(tmp_path / "p.jsonl")
    command = ["trace", "export", str(RUNS / "random"), "--to", "predictions", "-o", out, "--json"]
    told = json.loads(runner.invoke(app, [*command, "--filter", "*tiny-2"]).stdout)
    assert told["episodes"] == 2 and all("tiny-2" in Path(path).read_text() for path in told["files"])
    nothing = runner.invoke(app, [*command, "--filter", "other*"])
    assert nothing.exit_code == 1


def test_formats_are_listed() -> None:
    told = json.loads(runner.invoke(app, ["trace", "export", "--formats", "--json"]).stdout)
    assert [one["name"] for one in told["formats"]] == sorted(FORMATS)
    assert told["broken"] == {}


def _with_secret(folder: Path) -> Path:
    run = shutil.copytree(RUNS / "random", folder / "run")
    for log in run.glob("episodes/*/events.jsonl"):
        text = log.read_text().replace("Repository trajhub/tiny at", f"export TOKEN={KEY}; Repository trajhub/tiny at")
        log.write_text(text)
    return run


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"predictions", "nebius-swe-agent"}))
def test_credentials_are_taken_out_on_request(name: str, tmp_path: Path) -> None:
    run = _with_secret(tmp_path)
    for redacted in (False, True):
        folder = tmp_path / str(redacted)
        folder.mkdir()
        report = export([run], name, folder / f"out{FORMATS[name]}", redacted=redacted)
        found = [path for path in folder.rglob("*") if path.is_file() and KEY in path.read_text()]
        assert bool(found) is not redacted
        assert report.redacted == ({"GitHub token": 4} if redacted else {})


def test_an_episode_with_a_credential_loses_its_token_ids() -> None:
    events = whole_episode()
    body = events[0].model_dump(mode="json")
    body["payload"]["observation"] = f"key {KEY}"
    clean, found = redact(events)
    assert clean == events and found == {}
    told, found = redact([type(events[0]).model_validate(body), *events[1:]])
    assert found == {"GitHub token": 1}
    text = "".join(event.model_dump_json() for event in told)
    assert KEY not in text and "[removed: GitHub token]" in text
    assert [getattr(event.payload, "token_ids", None) for event in told] == [None] * len(told)


def test_a_private_key_is_taken_out_whole() -> None:
    lines = "\n".join("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"[:60] for _ in range(3))
    key = f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----"
    body = whole_episode()[0].model_dump(mode="json")
    body["payload"]["observation"] = f"before {key} after"
    told, _ = redact([type(whole_episode()[0]).model_validate(body)])
    assert getattr(told[0].payload, "observation", None) == "before [removed: private key] after"


def test_a_damaged_line_is_named_and_the_rest_told(tmp_path: Path) -> None:
    run = shutil.copytree(RUNS / "random", tmp_path / "run")
    log = next(iter(sorted(run.glob("episodes/*/events.jsonl"))))
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:3], b"garbage\n", *lines[3:]]))
    report = export([run], "atif", tmp_path / "out")
    assert report.episodes == 4
    assert len(report.damaged) == 1 and ":4:" in report.damaged[0]


def test_exporters_of_others_are_taken_and_broken_ones_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def points(group: str) -> list[Any]:
        assert group == registries.GROUP
        return [
            EntryPoint("broken", "no.such.module:EXPORTER", group),
            EntryPoint("atif", "somebody.else:EXPORTER", group),
        ]

    monkeypatch.setattr(plugins, "entry_points", points)
    registries.exporters.cache_clear()
    try:
        found = registries.exporters()
    finally:
        registries.exporters.cache_clear()
    assert set(found.exporters) == set(FORMATS)
    assert "ModuleNotFoundError" in found.broken["broken"]
    assert "has that name already" in found.broken["atif (somebody.else:EXPORTER)"]
