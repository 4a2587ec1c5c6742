"""`trajhub audit`: what is shown is shown, what is missing is said, what is contradicted fails."""

import json
from pathlib import Path

import pytest
from trajectory_hub.cli import app
from trajectory_hub.errors import UsageError
from trajectory_hub.eval.audit.evidence import Dataset, Evidence
from trajectory_hub.eval.audit.link import AuditLink, AuditReport, State
from trajectory_hub.eval.audit.report import audit, audit_page
from trajectory_hub.rollouts.files import sha256_of
from trajectory_hub.rollouts.migrate import migrate_run
from trajectory_hub.rollouts.trajectory import episode_folders
from typer.testing import CliRunner

RUNS = Path(__file__).parents[1] / "data" / "runs-1.0"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    migrate_run(RUNS / "reference", tmp_path / "run")
    return tmp_path / "run"


def link(report: AuditReport, name: str) -> AuditLink:
    return next(link for link in report.links if link.name == name)


def test_without_evidence_every_link_says_what_is_missing(run: Path) -> None:
    report = audit(run, "its tasks are elsewhere", Evidence())
    assert [one.name for one in report.links] == ["tasks", "execution", "reward", "preference", "effect"]
    assert report.ok
    states = {one.name: one.state for one in report.links}
    assert states["tasks"] is states["execution"] is states["preference"] is states["effect"] is State.MISSING
    assert states["reward"] is State.PARTLY
    assert all(one.commands for one in report.links)
    fired = link(report, "reward").tables[0]
    assert {"submits_ready", "localises"} <= {row[2] for row in fired.rows}


def test_a_record_that_was_changed_contradicts(run: Path) -> None:
    log = episode_folders(run)[0] / "events.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"ok":true', b'"ok":false', 1))
    report = audit(run, "its tasks are elsewhere", Evidence())
    assert link(report, "execution").state is State.CONTRADICTED
    assert not report.ok


def test_pairs_and_what_was_trained_on_them_are_linked_by_checksum(run: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs"
    words = ["pairs", str(RUNS / "reference"), str(RUNS / "random"), "-o", str(pairs), "-c", "filter.privileged=true"]
    assert CliRunner().invoke(app, words).exit_code == 0
    trained = tmp_path / "manifest.json"
    trained.write_text(json.dumps({"data": [{"sha256": sha256_of(pairs / "pairs.jsonl")}], "steps": 10}))
    report = audit(run, "no tasks", Evidence(datasets=[Dataset(pairs)], effects=[trained]))
    assert link(report, "preference").state is State.SHOWN
    assert link(report, "effect").state is State.SHOWN
    assert any(str(trained) in source for source in report.sources)
    trained.write_text(json.dumps({"data": [{"sha256": "0" * 64}]}))
    report = audit(run, "no tasks", Evidence(datasets=[Dataset(pairs)], effects=[trained]))
    assert link(report, "effect").state is State.MISSING


def test_nothing_of_an_agent_is_markup_in_the_report(run: Path) -> None:
    report = audit(run, "<script>alert(1)</script> [x](javascript:alert(1))", Evidence())
    page, text = audit_page(report).html(), audit_page(report).markdown()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert "[x](javascript" not in text


def test_a_task_that_is_not_the_one_recorded_contradicts_and_the_files_say_so(run: Path, tmp_path: Path) -> None:
    names = ("trajhub__tiny-1", "trajhub__tiny-2")
    rows = [
        {"instance_id": name, "repo": "trajhub/tiny", "base_commit": "0" * 40, "problem_statement": "?"}
        for name in names
    ]
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["audit", str(run), "-o", str(out), "--tasks", str(tmp_path / "tasks.jsonl")])
    assert done.exit_code == 1, done.output
    report = AuditReport.model_validate_json((out / "audit.json").read_text())
    assert link(report, "tasks").state is State.CONTRADICTED
    assert all(row[-1] == "NO" for row in link(report, "tasks").tables[0].rows)
    for one in report.links:
        assert one.question in (out / "audit.md").read_text()
        assert one.question in (out / "audit.html").read_text()


def test_a_calibration_is_quoted(run: Path, tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text(json.dumps({"gate": {"sentence": "GO: Pearson is 0.9."}}))
    report = audit(run, "no tasks", Evidence(calibrations=[tmp_path / "calibration.json"]))
    assert link(report, "reward").state is State.SHOWN
    assert any("GO: Pearson is 0.9." in one for one in link(report, "reward").said)
    (tmp_path / "calibration.json").write_text("{}")
    with pytest.raises(UsageError, match="has no gate"):
        audit(run, "no tasks", Evidence(calibrations=[tmp_path / "calibration.json"]))


def test_evidence_that_is_not_there_is_refused_by_name(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no .*nowhere"):
        audit(run, "no tasks", Evidence(datasets=[Dataset(tmp_path / "nowhere")]))
    with pytest.raises(UsageError, match=r"nowhere\.json is not a JSON document"):
        audit(run, "no tasks", Evidence(effects=[tmp_path / "nowhere.json"]))
