"""Files and datasets of the whole family load through one function."""

import json
from pathlib import Path
from typing import Any, cast

import pyarrow as arrow  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as parquet  # pyright: ignore[reportMissingTypeStubs]
import pytest
from trajectory_hub.envs.patches import reverse
from trajectory_hub.envs.sources import load_tasks
from trajectory_hub.envs.sources.family import ALIASES, known_dataset
from trajectory_hub.errors import TaskError, TaskNotFound

ROWS: list[dict[str, Any]] = [
    {
        "repo": "acme/tool",
        "instance_id": f"acme__Tool-{number}",
        "base_commit": "abc",
        "patch": "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n kept\n-old\n+new\n",
        "test_patch": "diff --git a/t.py b/t.py\nnew file mode 100644\n--- /dev/null\n+++ b/t.py\n@@ -0,0 +1 @@\n+x\n",
        "problem_statement": "broken",
        "version": "1.0",
        "FAIL_TO_PASS": ["t::a"],
        "PASS_TO_PASS": ["t::b"],
    }
    for number in (1, 2, 3)
]
SHARED = Path(__file__).parents[3] / "shared" / "data" / "swebench-verified-mini" / "instances.jsonl"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        cast(Any, parquet).write_table(cast(Any, arrow).Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
def test_local_files_of_every_kind_give_the_same_tasks(tmp_path: Path, suffix: str) -> None:
    tasks = load_tasks(write(tmp_path / f"rows{suffix}", ROWS))
    assert [task.instance_id for task in tasks] == ["acme__Tool-1", "acme__Tool-2", "acme__Tool-3"]
    assert tasks[0].FAIL_TO_PASS == ("t::a",)
    assert tasks[0].provenance.source == "dataset"
    assert tasks[0].provenance.sha256 != tasks[1].provenance.sha256


def test_a_json_object_by_id_is_rows_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({row["instance_id"]: {**row, "instance_id": row["instance_id"]} for row in ROWS}))
    assert len(load_tasks(path)) == 3


def test_limit_and_ids_choose(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ROWS)
    assert len(load_tasks(path, limit=2)) == 2
    chosen = load_tasks(path, ids=["acme__Tool-3", "acme__Tool-1"])
    assert [task.instance_id for task in chosen] == ["acme__Tool-3", "acme__Tool-1"]
    with pytest.raises(TaskNotFound, match="acme__Tool-9"):
        load_tasks(path, ids=["acme__Tool-9"])


def test_limit_reads_no_further_than_needed(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ROWS)
    with path.open("a") as file:
        file.write("{ not json\n")
    assert len(load_tasks(path, limit=3)) == 3
    with pytest.raises(TaskError, match=r"rows\.jsonl:4: not valid JSON"):
        load_tasks(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.json", "[", "rows.json: not valid JSON"),
        ("rows.json", "3", "must be a list of rows"),
        ("rows.json", "[3]", "rows.json: row 1: a row must be an object, not int"),
        ("rows.jsonl", "[]\n", r"rows.jsonl:1: a row must be an object, not list"),
        ("rows.parquet", "nonsense", "not a parquet file"),
    ],
)
def test_a_broken_file_says_where(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(TaskError, match=message):
        load_tasks(path)


def test_what_is_missing_is_not_taken_for_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TaskError, match="no such file"):
        load_tasks(tmp_path / "absent.jsonl")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    for word in ("absent", "here/absent", "a/b/c", str(tmp_path / "absent")):
        with pytest.raises(TaskError, match="no folder and no file"):
            load_tasks(word)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("verified", "SWE-bench/SWE-bench_Verified"),
        ("swe-bench-lite", "SWE-bench/SWE-bench_Lite"),
        ("SWE-bench_Verified", "SWE-bench/SWE-bench_Verified"),
        ("swe-gym", "SWE-Gym/SWE-Gym"),
        ("rebench", "nebius/SWE-rebench"),
        ("acme/own", "acme/own"),
        ("princeton-nlp/SWE-bench_Lite", "princeton-nlp/SWE-bench_Lite"),
    ],
)
def test_datasets_go_by_short_names(word: str, name: str) -> None:
    assert known_dataset(word).name == name


def test_an_old_name_has_the_images_of_the_new_one() -> None:
    assert known_dataset("princeton-nlp/SWE-bench_Lite").image == ALIASES["lite"].image


def test_rebench_rows_get_image_parser_and_script_from_their_own_columns(tmp_path: Path) -> None:
    config = {"log_parser": "parse_log_pytest", "test_cmd": "pytest -rA --color=no", "python": "3.9"}
    row = ROWS[0] | {"install_config": config, "docker_image": "swerebench/img:1", "license_name": "MIT"}
    (task,) = load_tasks(write(tmp_path / "rows.parquet", [row]))
    task.require_gradable()
    assert task.image == "swerebench/img:1"
    assert task.provenance.licence == "MIT"
    assert "pytest -rA --color=no" in (task.eval_script or "")
    assert task.extra["install_config"]["python"] == "3.9"


def test_live_rows_get_image_parser_and_script_from_their_own_columns(tmp_path: Path) -> None:
    row = ROWS[0] | {"test_cmds": ["pytest -rA a", "pytest -rA b"], "log_parser": "pytest"}
    (task,) = load_tasks(write(tmp_path / "rows.jsonl", [row]))
    task.require_gradable()
    assert task.image == "starryzhang/sweb.eval.x86_64.acme_1776_tool-1:latest"
    assert task.log_parser == "parse_log_pytest"
    assert "pytest -rA a\npytest -rA b" in (task.eval_script or "")


def test_the_patch_of_a_smith_row_is_the_bug_and_its_reverse_the_reference(tmp_path: Path) -> None:
    keys = ("repo", "instance_id", "patch", "FAIL_TO_PASS", "PASS_TO_PASS", "problem_statement")
    row = {key: ROWS[0][key] for key in keys} | {"image_name": "jyangballin/img"}
    (task,) = load_tasks(write(tmp_path / "rows.jsonl", [row]))
    assert "-new\n" in task.patch and "+old\n" in task.patch
    assert reverse(task.patch) == row["patch"]
    assert task.extra["bug_patch"] == row["patch"]
    assert task.base_commit == row["instance_id"]
    assert task.image == "jyangballin/img"
    assert task.missing() == ("eval_script", "log_parser")


@pytest.mark.skipif(not SHARED.is_file(), reason=f"the real instances are not at {SHARED}")
def test_real_instances_of_verified_load_and_name_what_they_lack() -> None:
    tasks = load_tasks(SHARED)
    assert len(tasks) == 28
    assert all(task.FAIL_TO_PASS and task.patch and not task.extra for task in tasks)
    assert {task.missing() for task in tasks} == {("image", "eval_script", "log_parser")}
