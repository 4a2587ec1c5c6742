"""Ingestion: found, side by side, resumable, the same bytes each time, every record accounted for."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import ConfigError, UsageError
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.adapters import engine, registry
from trajectory_hub.rollouts.adapters.base import Foreign, ForeignEpisode, Sample, Timed, Unread
from trajectory_hub.rollouts.adapters.engine import IngestConfig, ingest, plan_ingest
from trajectory_hub.rollouts.adapters.reading import Row, head_records, json_rows
from trajectory_hub.rollouts.adapters.registry import Registry
from trajectory_hub.rollouts.chain import verify_chain
from trajectory_hub.rollouts.run_dir import read_episodes, read_manifest

from .reading_runs import logs
from .recorded import rollout, transcript, write


class Toy:
    """A format for tests: `{"toy": episode, …}`; `boom` makes it fail, as somebody's adapter may."""

    name = "toy"
    version = "1"
    title = "Toys"

    def __init__(self, name: str = "toy", sure: float = 1.0) -> None:
        self.name = name
        self.sure = sure

    def recognise(self, sample: Sample) -> float:
        return self.sure if any("toy" in record for record in head_records(sample.head)) else 0.0

    def episodes(self, path: Path, options: dict[str, Any]) -> Iterator[ForeignEpisode]:
        rows = list(json_rows(path))
        for name in dict.fromkeys(str(row.value["toy"]) for row in rows if isinstance(row, Row)):
            yield ForeignEpisode(key=name, task_id=name, agent="toy", events=self._events(rows, name))

    def _events(self, rows: list[Row | Unread], name: str) -> Iterator[Foreign]:
        for row in rows:
            if isinstance(row, Unread):
                yield row
            elif row.value.get("boom"):
                raise KeyError("boom")
            elif row.value["toy"] == name:
                yield Timed(payload=payloads.Note.of(kind="toy", source="toy", data=row.value), records=1)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only toys are known."""
    known = Registry({"toy": Toy()})
    monkeypatch.setattr(engine, "adapters", lambda: known)


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """Six sessions of two formats, and two files of none."""
    folder = tmp_path / "sessions"
    for n in range(3):
        write(folder / "claude" / f"{n}.jsonl", json.loads(json.dumps(transcript()).replace("11111111", f"1111111{n}")))
        write(folder / "codex" / f"{n}.jsonl", json.loads(json.dumps(rollout()).replace("s-1", f"s-{n}")))
    (folder / "README.md").write_text("what this is")
    (folder / "empty.jsonl").write_text("")
    return folder


def test_formats_are_found_by_content(sessions: Path, tmp_path: Path) -> None:
    report = ingest([sessions], tmp_path / "run")
    assert (report.sources, report.episodes, sorted(report.formats)) == (6, 6, ["claude-code", "codex"])
    assert report.total.records == 3 * (len(transcript()) + len(rollout()))
    assert list(report.unrecognised) == ["sessions/README.md", "sessions/empty.jsonl"]
    assert len(list(read_episodes(tmp_path / "run"))) == 6
    told = json.loads((tmp_path / "run" / "ingest.json").read_text())
    assert told["total"]["records"] == report.total.records and len(told["per_source"]) == 6


def test_logs_do_not_depend_on_how_many_work(sessions: Path, tmp_path: Path) -> None:
    ingest([sessions], tmp_path / "one" / "run", IngestConfig(max_workers=1))
    ingest([sessions], tmp_path / "many" / "run", IngestConfig(max_workers=3))
    one, many = logs(tmp_path / "one" / "run"), logs(tmp_path / "many" / "run")
    assert one == many and len(one) == 6
    assert not any(verify_chain(path).breaks for path in (tmp_path / "one").rglob("events.jsonl"))


def test_it_is_a_run_like_any_other(sessions: Path, tmp_path: Path) -> None:
    ingest([sessions / "codex"], tmp_path / "run")
    manifest = read_manifest(tmp_path / "run")
    assert manifest["policy"] == {"name": "codex", "version": "0.114.0", "model": "gpt-test", "privileged": False}
    listed = [json.loads(line) for line in (tmp_path / "run" / "sources.jsonl").read_text().splitlines()]
    assert [(row["source"], row["format"]) for row in listed] == [(f"codex/{n}.jsonl", "codex") for n in range(3)]
    sources = manifest["config"]["ingest"]["sources"]
    assert (sources["count"], sources["bytes"]) == (3, sum(row["bytes"] for row in listed))
    version = registry.adapters().get("codex").version
    assert manifest["config"]["ingest"]["adapters"] == {"codex": version}


def test_the_same_command_does_nothing_twice(sessions: Path, tmp_path: Path) -> None:
    first = ingest([sessions], tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("events.jsonl")}
    again = ingest([sessions], tmp_path / "run")
    assert again.kept == 6 and again.total == first.total
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("events.jsonl")} == before


def test_changed_sources_and_settings_are_refused_by_name(sessions: Path, tmp_path: Path) -> None:
    ingest([sessions], tmp_path / "run")
    with pytest.raises(ConfigError, match=r"filter"):
        ingest([sessions], tmp_path / "run", IngestConfig(filter="x*"))
    path = sessions / "codex" / "1.jsonl"
    content = path.read_bytes()
    path.write_bytes(content + b"{}\n")
    with pytest.raises(ConfigError, match=r"sources.sessions/codex/1.jsonl.bytes"):
        ingest([sessions], tmp_path / "run")
    path.write_bytes(content.replace(b"mend", b"MEND"))
    with pytest.raises(ConfigError, match=r"sources.sessions/codex/1.jsonl"):
        ingest([sessions], tmp_path / "run")
    path.write_bytes(content)
    assert ingest([sessions], tmp_path / "run").kept == 6, "touched, but the same"


def test_another_run_is_not_written_into(sessions: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"run_id": "x", "created": "", "config": {"tasks": "t"}}')
    with pytest.raises(ConfigError, match="of another kind"):
        ingest([sessions], tmp_path / "run")


def test_after_a_kill_the_same_command_goes_on(tmp_path: Path) -> None:
    """Killed at several moments; in the end the logs are those of an ingestion that nobody killed."""
    folder = tmp_path / "many"
    for n in range(48):  # enough to be caught at it
        text = json.dumps(transcript()).replace("11111111", f"{n:08d}")
        write(folder / f"{n}.jsonl", [record for _ in range(5) for record in json.loads(text)])
    ingest([folder], tmp_path / "whole" / "run", IngestConfig(max_workers=1))
    command = [sys.executable, "-m", "trajectory_hub", "trace", "ingest", str(folder), "-o", str(tmp_path / "run")]
    command += ["--max-workers", "2"]
    kills = 0
    for wait in (0.05, 0.1, 0.2):
        done = len(list((tmp_path / "run" / "episodes").glob("*"))) if (tmp_path / "run").exists() else 0
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if len(list((tmp_path / "run" / "episodes").glob("*"))) > done + 2:
                break
            time.sleep(0.01)
        time.sleep(wait / 4)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills
    report = ingest([folder], tmp_path / "run")
    assert report.episodes == 48 and logs(tmp_path / "run") == logs(tmp_path / "whole" / "run")
    assert not (tmp_path / "run" / ".ingest").exists()


def test_limit_and_filter(sessions: Path, tmp_path: Path) -> None:
    assert ingest([sessions], tmp_path / "a", IngestConfig(limit=2)).episodes == 2
    assert ingest([sessions], tmp_path / "a", IngestConfig(limit=2)).episodes == 2
    report = ingest([sessions], tmp_path / "b", IngestConfig(filter="s-[01]"))
    assert (report.episodes, report.filtered) == (2, 4)
    assert report.total.records == 3 * (len(transcript()) + len(rollout())), "read all the same"


def test_unknown_files_are_refused_where_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(UsageError, match=r"x.txt is of no known format; there are adapters for .*claude-code"):
        ingest([tmp_path / "x.txt"], tmp_path / "run")
    with pytest.raises(UsageError, match="there is no"):
        ingest([tmp_path / "y.txt"], tmp_path / "run")
    with pytest.raises(UsageError, match="nothing at"):
        ingest([tmp_path], tmp_path / "run")
    with pytest.raises(UsageError, match="there is no format 'z'"):
        ingest([tmp_path / "x.txt"], tmp_path / "run", IngestConfig(format="z"))
    assert not (tmp_path / "run").exists()


def test_a_file_that_two_adapters_know_needs_the_format(tmp_path: Path) -> None:
    write(tmp_path / "t.jsonl", [{"toy": 1}])
    known = Registry({"toy": Toy(), "toy2": Toy("toy2", 0.95), "toy3": Toy("toy3", 0.6)})
    with pytest.raises(UsageError, match=r"formats toy and toy2; say which with --format"):
        plan_ingest([tmp_path / "t.jsonl"], IngestConfig(), registry=known)
    (source,) = plan_ingest([tmp_path / "t.jsonl"], IngestConfig(format="toy3"), registry=known).sources
    assert source.format == "toy3"


def test_links_are_not_followed_twice_and_special_files_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    write(folder / "a.jsonl", transcript())
    (folder / "again.jsonl").symlink_to(folder / "a.jsonl")
    (folder / "loop").symlink_to(folder)
    (folder / "dead").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe")
    found = plan_ingest([folder], IngestConfig())
    assert [source.name for source in found.sources] == ["f/a.jsonl"]
    assert [name.split(" ")[0] for name in found.unrecognised] == ["f/dead", "f/loop", "f/pipe"]


def test_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    paths = [write(tmp_path / name / "t.jsonl", transcript()) for name in ("a", "b")]
    report = ingest(paths, tmp_path / "run")
    assert report.episodes == 2 and len(logs(tmp_path / "run")) == 2


@pytest.mark.usefixtures("toys")
def test_ids_cannot_leave_the_run(tmp_path: Path) -> None:
    names = ["../../x", "/etc/passwd", "..", "", "a\0b", "\ud800", "x" * 500, "-rf", "ä ö"]
    write(tmp_path / "t.jsonl", [{"toy": name} for name in names])
    report = ingest([tmp_path / "t.jsonl"], tmp_path / "out" / "run")
    assert report.episodes == len(names) == len(logs(tmp_path / "out" / "run"))
    assert {path.parent for path in tmp_path.rglob("*--a1")} == {tmp_path / "out" / "run" / "episodes"}


@pytest.mark.usefixtures("toys")
def test_an_adapter_that_fails_costs_its_source_only(tmp_path: Path) -> None:
    write(tmp_path / "s" / "a.jsonl", [{"toy": "1"}, {"toy": "1", "boom": True}, {"toy": "1"}])
    write(tmp_path / "s" / "b.jsonl", [{"toy": "2"}])
    report = ingest([tmp_path / "s"], tmp_path / "run")
    assert report.episodes == 2
    assert report.problems == ["s/a.jsonl: the adapter toy failed after 1 events: KeyError: 'boom'"]
    ends = {episode.first.task_id: episode.end for episode in read_episodes(tmp_path / "run")}
    assert ends["1"] is not None and "failed" in (ends["1"].message or "")
    (tmp_path / "s" / "a.jsonl").write_bytes((tmp_path / "s" / "a.jsonl").read_bytes().replace(b"boom", b"bean"))
    again = ingest([tmp_path / "s"], tmp_path / "run")
    assert (again.kept, again.problems) == (1, [])
    ends = {episode.first.task_id: episode.end for episode in read_episodes(tmp_path / "run")}
    assert ends["1"] is not None and "failed" not in (ends["1"].message or ""), "read again, whole this time"


def test_a_worker_that_dies_is_told(sessions: Path, tmp_path: Path) -> None:
    """A plug-in that kills its process takes down its own source only."""
    plug = tmp_path / "plug"
    (plug / "deadly-1.dist-info").mkdir(parents=True)
    (plug / "deadly-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1\n")
    (plug / "deadly-1.dist-info" / "entry_points.txt").write_text(
        "[trajectory_hub.adapters]\ndeadly = deadly:ADAPTER\nbroken = nowhere:ADAPTER\nempty = deadly:NOTHING\n"
    )
    (plug / "deadly.py").write_text(
        "import os\nclass A:\n    name, version, title = 'deadly', '1', 'x'\n"
        "    def recognise(self, sample): return float(sample.head.startswith(b'deadly'))\n"
        "    def episodes(self, path, options): os._exit(9)\nADAPTER = A()\nNOTHING = 1\n"
    )
    (sessions / "d.txt").write_text("deadly")
    command = [sys.executable, "-m", "trajectory_hub", "trace", "ingest", str(sessions), "-o", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(plug)}
    done = subprocess.run(
        [*command, "--json", "--max-workers", "2"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert report["episodes"] == 6 and "died (exit 9)" in report["problems"][0]
    assert "No module named 'nowhere'" in report["adapters_broken"]["broken"]
    assert "it lacks" in report["adapters_broken"]["empty"]
    assert "the adapter broken is left out" in done.stderr


def test_a_bare_checkout_knows_the_adapters_that_are_declared() -> None:
    import tomllib

    root = Path(__file__).parents[3]
    declared = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"][registry.GROUP]
    assert declared == dict(registry.BUILTIN)
    found = registry.adapters()
    assert set(declared) <= set(found.adapters) and not found.broken
