"""SWE-bench Pro has its own columns, scripts and place for the repository."""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.sources import load_tasks
from trajectory_hub.errors import TaskError, TaskIncomplete

ROW: dict[str, Any] = {
    "repo": "acme/tool",
    "instance_id": "instance_acme__tool-abc",
    "base_commit": "abc",
    "patch": "diff --git a/x b/x\n",
    "test_patch": "diff --git a/t b/t\n",
    "problem_statement": "broken",
    "requirements": "- it works",
    "interface": "none",
    "repo_language": "go",
    "fail_to_pass": "['TestA', 'TestB/with \"quotes\"']",
    "pass_to_pass": "[]",
    "issue_specificity": "['x']",
    "before_repo_set_cmd": "git reset --hard abc\ngit checkout def -- t_test.go",
    "selected_test_files_to_run": '["t_test.go", "u_test.go"]',
    "dockerhub_tag": "acme.tool-abc",
}


def write(folder: Path, **change: Any) -> Path:
    path = folder / "pro.jsonl"
    path.write_text(json.dumps(ROW | change) + "\n")
    return path


def test_a_row_of_pro_keeps_its_columns(tmp_path: Path) -> None:
    (task,) = load_tasks(write(tmp_path))
    assert task.FAIL_TO_PASS == ("TestA", 'TestB/with "quotes"')
    assert task.workdir == "/app"
    assert task.image == "jefzda/sweap-images:acme.tool-abc"
    assert task.pro is not None
    assert task.pro.selected_test_files_to_run == ("t_test.go", "u_test.go")
    assert task.pro.requirements == "- it works"
    assert task.extra["repo_language"] == "go"
    assert task.provenance.source == "swebench_pro"


def test_without_scripts_it_loads_and_says_what_it_lacks(tmp_path: Path) -> None:
    (task,) = load_tasks(write(tmp_path))
    with pytest.raises(TaskIncomplete, match=r"pro\.run_script, pro\.parser"):
        task.require_gradable()


def test_a_run_scripts_folder_beside_the_file_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "run_scripts" / ROW["instance_id"]
    folder.mkdir(parents=True)
    (folder / "run_script.sh").write_text("#!/bin/bash\n")
    (folder / "parser.py").write_text("import sys\n")
    (task,) = load_tasks(write(tmp_path))
    task.require_gradable()


def test_a_run_scripts_folder_without_the_instance_is_an_error_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    with pytest.raises(TaskError, match=r"instance_acme__tool-abc: cannot read .*run_script\.sh"):
        load_tasks(write(tmp_path), run_scripts=tmp_path / "scripts")


def test_a_malformed_list_names_row_and_field(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"row 1 \(instance_acme__tool-abc\): field fail_to_pass"):
        load_tasks(write(tmp_path, fail_to_pass="[TestA"))
