"""Rows of datasets become tasks, and every complaint names the row and the field."""

import json
from typing import Any

import pytest
from trajectory_hub.envs.sources import task_from_row
from trajectory_hub.envs.task import Provenance
from trajectory_hub.errors import TaskError, TaskIncomplete

HERE = Provenance(source="dataset")
CLASSIC: dict[str, Any] = {
    "repo": "acme/tool",
    "instance_id": "acme__tool-7",
    "base_commit": "abc",
    "patch": "diff --git a/x b/x\n",
    "test_patch": "diff --git a/t b/t\n",
    "problem_statement": "it is broken",
    "hints_text": "",
    "created_at": "2020-01-01",
    "version": "1.0",
    "FAIL_TO_PASS": '["t::a", "t::b"]',
    "PASS_TO_PASS": "[]",
    "environment_setup_commit": "def",
}


def test_a_classic_row_loads_and_says_what_it_lacks() -> None:
    task = task_from_row(CLASSIC, provenance=HERE)
    assert task.FAIL_TO_PASS == ("t::a", "t::b")
    assert task.PASS_TO_PASS == ()
    assert task.missing() == ("image", "eval_script", "log_parser")
    with pytest.raises(TaskIncomplete, match=r"acme__tool-7 .*image, eval_script, log_parser"):
        task.require_gradable()


@pytest.mark.parametrize("value", [["a", "b"], ("a", "b"), '["a", "b"]', "['a', 'b']", "('a', 'b')", '["a",\n "b"]'])
def test_test_lists_may_be_lists_json_or_python_literals(value: object) -> None:
    task = task_from_row(CLASSIC | {"PASS_TO_PASS": value}, provenance=HERE)
    assert task.PASS_TO_PASS == ("a", "b")


def test_a_row_of_swebench_5_is_gradable() -> None:
    row = CLASSIC | {
        "image": "img:1",
        "log_parser": "parse_log_pytest",
        "eval_type": "fail_only",
        "eval_script": "#!/bin/bash\n",
        "image_assets": json.dumps({"test_patch": [{"path": "a.png", "url": "u"}]}),
    }
    task = task_from_row(row, provenance=HERE)
    task.require_gradable()
    assert task.eval_type == "fail_only"
    assert task.image_assets["test_patch"][0]["path"] == "a.png"


def test_unknown_columns_are_kept() -> None:
    task = task_from_row(CLASSIC | {"difficulty": "easy", "meta": {"a": 1}}, provenance=HERE)
    assert task.extra == {"difficulty": "easy", "meta": {"a": 1}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"FAIL_TO_PASS": "not a list"}, r"row 3 \(acme__tool-7\): field FAIL_TO_PASS is neither"),
        ({"FAIL_TO_PASS": "{'a': 1}"}, r"row 3 \(acme__tool-7\): field FAIL_TO_PASS must be a list"),
        ({"PASS_TO_PASS": ["a", 3]}, r"field PASS_TO_PASS\[1\] must be text, not int"),
        ({"patch": 5}, r"row 3 \(acme__tool-7\): field patch must be text, not int"),
        ({"base_commit": ""}, r"row 3 \(acme__tool-7\): field base_commit is required and is missing"),
        ({"repo": None}, r"row 3 \(acme__tool-7\): field repo is required"),
        ({"instance_id": None}, r"^row 3: field instance_id is required and is missing"),
        ({"eval_type": "some"}, r"row 3 \(acme__tool-7\): field eval_type: "),
        ({"image_assets": "{"}, r"field image_assets is not valid JSON"),
        ({"image_assets": "[1]"}, r"field image_assets must be an object"),
    ],
)
def test_a_malformed_row_is_named_with_its_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        task_from_row(CLASSIC | change, provenance=HERE, index=3)
