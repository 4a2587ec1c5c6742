"""`trajhub grade` reads predictions of every shape, keeps verdicts, and counts what could be judged."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from trajectory_hub.cli import app
from trajectory_hub.envs.grading import report
from trajectory_hub.envs.predictions import read_predictions
from trajectory_hub.envs.sources import write_task_repo
from trajectory_hub.envs.task import Task
from trajectory_hub.envs.verdict import Reason, Verdict
from trajectory_hub.errors import Failure, UsageError
from typer.testing import CliRunner

ENTRIES = [
    {"instance_id": "a", "model_name_or_path": "m", "model_patch": "x"},
    {"instance_id": "b", "model_patch": None},
    {"instance_id": "c", "patch": "y", "prefix": "p"},
]


def write(path: Path, content: object) -> str:
    lines = cast(list[Any], content) if isinstance(content, list) else []
    path.write_text(
        "".join(json.dumps(line) + "\n" for line in lines) if path.suffix == ".jsonl" else json.dumps(content)
    )
    return str(path)


@pytest.mark.parametrize("name", ["p.json", "p.jsonl"])
def test_predictions_of_every_shape(tmp_path: Path, name: str) -> None:
    assert read_predictions(write(tmp_path / name, ENTRIES)) == {"a": "x", "b": None, "c": "y"}


def test_predictions_by_id(tmp_path: Path) -> None:
    content = {"a": {"model_patch": "x"}, "b": None, "c": "y"}
    assert read_predictions(write(tmp_path / "p.json", content)) == {"a": "x", "b": None, "c": "y"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([*ENTRIES, ENTRIES[0]], "entry 4: a second prediction for a"),
        ([{"model_patch": "x"}], "entry 1: has no instance_id"),
        ([{"instance_id": "a"}], "entry 1: has neither model_patch nor patch"),
        ([{"instance_id": "a", "model_patch": 3}], "the patch must be text or null, not int"),
        ([3], "entry 1: must be an object"),
        (3, "must be a list of predictions"),
    ],
)
def test_a_broken_prediction_is_named(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_predictions(write(tmp_path / "p.json", content))


def verdict(name: str, reason: Reason, failure: Failure | None) -> Verdict:
    return Verdict(instance_id=name, resolved=reason is Reason.RESOLVED, reason=reason, failure=failure)


def test_what_could_not_be_judged_leaves_the_denominator_and_forgeries_stay_in_it() -> None:
    verdicts = [
        verdict("a", Reason.RESOLVED, None),
        verdict("b", Reason.TESTS_FAILED, Failure.MODEL),
        verdict("c", Reason.FORGED, Failure.GRADER),
        verdict("d", Reason.ENVIRONMENT_BROKEN, Failure.ENVIRONMENT),
        verdict("e", Reason.LIMIT_REACHED, Failure.GRADER),
    ]
    content = report(verdicts, [])
    assert (content["resolved"], content["counted"], content["resolve_rate"]) == (1, 3, 0.3333)
    assert content["not_counted_ids"] == ["d", "e"]
    assert content["ids_by_reason"]["forged"] == ["c"]


@pytest.mark.docker
def test_grading_from_the_command_line_and_going_on(tmp_path: Path, tiny_task: Task) -> None:
    other = tiny_task.model_copy(update={"instance_id": "trajhub__tiny-2"})
    third = tiny_task.model_copy(update={"instance_id": "trajhub__tiny-3", "image": "trajhub/none:1"})
    tasks = (tiny_task, other, third)
    repo = write_task_repo(tasks, tmp_path / "tasks", dockerfiles={task.instance_id: "FROM x" for task in tasks})
    predictions = write(
        tmp_path / "p.jsonl",
        [
            {"instance_id": tiny_task.instance_id, "model_patch": tiny_task.patch},
            {"instance_id": other.instance_id, "model_patch": ""},
        ],
    )
    out = tmp_path / "out"

    def run(*more: str) -> Any:
        return CliRunner().invoke(app, ["grade", str(repo), predictions, "-o", str(out), "--json", *more])

    result = run()
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["resolved_ids"] == [tiny_task.instance_id]
    assert content["ids_by_reason"]["empty_patch"] == [other.instance_id]
    assert content["without_prediction_ids"] == [third.instance_id]
    file = out / tiny_task.instance_id / "verdict.json"
    kept = json.loads(file.read_text())
    assert kept["resolved"] and "log" not in kept
    assert ">>>>> Start Test Output" in (file.parent / "test_output.txt").read_text()
    before = file.stat().st_mtime_ns
    assert run().exit_code == 0
    assert file.stat().st_mtime_ns == before, "a verdict of the same patch is kept"
    predictions = write(tmp_path / "p.jsonl", [{"instance_id": third.instance_id, "model_patch": tiny_task.patch}])
    assert run().exit_code == 3
    predictions = write(tmp_path / "p.jsonl", [{"instance_id": "unheard-of", "model_patch": "x"}])
    result = run()
    assert isinstance(result.exception, UsageError)
    assert "no such task: unheard-of" in str(result.exception)
