"""`trajhub check` of pairs and of exported datasets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.cli import app
from trajectory_hub.errors import UsageError
from trajectory_hub.eval.checks.dataset import DATASET_CHECKS, check_dataset
from trajectory_hub.eval.checks.finding import CheckReport, Severity
from typer.testing import CliRunner

RUNS = Path(__file__).parents[1] / "data" / "runs-1.0"
Row = dict[str, Any]


def invoke(*words: object) -> None:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output


@pytest.fixture
def sft(tmp_path: Path) -> Path:
    invoke("export", "sft", RUNS / "reference", "-o", tmp_path / "sft", "-c", "filter.privileged=true")
    return tmp_path / "sft"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    runs = (RUNS / "reference", RUNS / "random")
    invoke("pairs", *runs, "-o", tmp_path / "pairs", "-c", "filter.privileged=true")
    return tmp_path / "pairs"


def errors(report: CheckReport) -> set[str]:
    return {one.check for one in report.findings if one.severity is Severity.ERROR}


def test_what_was_just_written_has_no_error(sft: Path, pairs: Path) -> None:
    for folder in (sft, pairs):
        report = check_dataset(folder)
        assert report.ok, report.findings
        assert report.items == report.statistics["rows"] > 0
        assert set(report.checks) == set(DATASET_CHECKS)


def test_parquet_alone_is_read_as_well(sft: Path) -> None:
    (sft / "data" / "train.jsonl").unlink()
    report = check_dataset(sft)
    assert report.items == 2
    assert errors(report) == {"files"}  # one of the files that were written is missing, nothing else is wrong


def rename_tool(row: Row) -> None:
    row["messages"][2]["tool_calls"][0]["function"]["name"] = "teleport"


def drop_answer(row: Row) -> None:
    del row["messages"][3]


def forget_origin(row: Row) -> None:
    del row["episode_id"]


def leak(row: Row) -> None:
    row["messages"][3]["content"] = "AKIA" + "Q3EGRJ7SWXN4LBZT"


@pytest.mark.parametrize(
    ("change", "check"),
    [(rename_tool, "conversation"), (drop_answer, "conversation"), (forget_origin, "origin"), (leak, "secrets")],
)
def test_a_row_that_was_changed_is_named(sft: Path, change: Callable[[Row], None], check: str) -> None:
    file = sft / "data" / "train.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    change(rows[1])
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = check_dataset(sft)
    assert any(one.check == check and one.where.startswith("train.jsonl:2") for one in report.findings)
    assert "files" in errors(report)


def test_a_pair_whose_sides_are_the_same_is_an_error(pairs: Path) -> None:
    file = pairs / "pairs.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0]["rejected"]["messages"] = rows[0]["chosen"]["messages"]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "preference" in errors(check_dataset(pairs))


def test_rows_that_are_missing_are_counted(sft: Path) -> None:
    file = sft / "data" / "train.jsonl"
    file.write_text(file.read_text().splitlines()[0] + "\nnot json\n")
    assert "rows" in errors(check_dataset(sft))


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a run"):
        check_dataset(tmp_path)
    assert CliRunner().invoke(app, ["check", str(tmp_path / "nothing")]).exit_code != 0
