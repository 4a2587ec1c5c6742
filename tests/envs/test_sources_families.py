"""One row of each family with exactly the columns of its public card, and what becomes of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.sources import load_tasks
from trajectory_hub.envs.sources.family import known_dataset

PATCH = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n kept\n-old\n+new\n"
TEST_PATCH = "diff --git a/t.py b/t.py\nnew file mode 100644\n--- /dev/null\n+++ b/t.py\n@@ -0,0 +1 @@\n+x\n"
BASE: dict[str, Any] = {
    "repo": "acme/tool",
    "instance_id": "acme__Tool-1",
    "base_commit": "abc",
    "patch": PATCH,
    "test_patch": TEST_PATCH,
    "problem_statement": "broken",
    "hints_text": "",
}
TESTS = {"FAIL_TO_PASS": ["t.py::a"], "PASS_TO_PASS": ["t.py::b"]}
AS_TEXT = {"FAIL_TO_PASS": '["t.py::a"]', "PASS_TO_PASS": '["t.py::b"]'}
CLASSIC = BASE | AS_TEXT | {"created_at": "2024-01-01", "version": "1.0", "environment_setup_commit": "def"}
FIVE: dict[str, Any] = {
    **BASE,
    **TESTS,
    "created_at": "2024-01-01T00:00:00Z",
    "version": "1.0",
    "eval_type": "pass_and_fail",
    "image": "swebench/sweb.eval.x86_64.acme_1776_tool-1:latest",
    "log_parser": "parse_log_gotest",
    "eval_script": "#!/bin/bash\n: '>>>>> Start Test Output'\ngo test -v ./...\n: '>>>>> End Test Output'\n",
}
CONFIG = {"python": "3.9", "install": "pip install -e .", "test_cmd": "pytest -rA --color=no", "packages": "pytest"}
REBENCH: dict[str, Any] = (
    BASE
    | TESTS
    | {
        "created_at": "2024-01-01 00:00:00",
        "version": "1.0",
        "environment_setup_commit": "def",
        "meta": {"commit_name": "head_commit", "is_lite": True, "num_modified_files": 1},
        "install_config": CONFIG | {"log_parser": "parse_log_pytest"},
        "requirements": "attrs==23.1.0\n",
        "environment": None,
        "license_name": "MIT License",
        "docker_image": "swerebench/sweb.eval.x86_64.acme_1776_tool-1",
        "image_name": None,
        "FAIL_TO_FAIL": [],
        "PASS_TO_FAIL": [],
    }
)
REBENCH_V2: dict[str, Any] = (
    BASE
    | TESTS
    | {
        "created_at": "2024-01-01",
        "language": "go",
        "image_name": "docker.io/swerebenchv2/acme-tool:1-abc",
        "install_config": {
            "install": ["go mod download"],
            "test_cmd": ["go build ./...", "go test -v ./..."],
            "log_parser": "parse_log_gotest",
        },
        "license": "Apache-2.0",
        "interface": "",
        "pr_description": "",
        "meta": {"llm_metadata": {"difficulty": "easy"}},
    }
)
LIVE: dict[str, Any] = (
    BASE
    | TESTS
    | {
        "pull_number": "12",
        "issue_numbers": ["3"],
        "created_at": "2024-01-01T00:00:00Z",
        "version": "0",
        "commit_urls": ["https://example.org/c"],
        "all_hints_text": "",
        "test_cmds": ["pytest -rA"],
        "log_parser": "pytest",
        "difficulty": {"files": 1, "hunks": 1, "lines": 2},
    }
)
LIVE_MANY: dict[str, Any] = (
    LIVE
    | {"docker_image": "starryzhang/launch:1", "rebuild_cmds": ["make build"]}
    | {"print_cmds": ["cat out.log"], "log_parser": "def parser(log: str) -> dict[str, str]:\n    return {}\n"}
)
SMITH: dict[str, Any] = {
    **{key: BASE[key] for key in ("instance_id", "repo", "patch", "problem_statement")},
    **TESTS,
    "image_name": "jyangballin/swesmith.x86_64.acme_1776_tool.abc",
}
GYM = BASE | TESTS | {"created_at": "2024-01-01", "version": "1.0"}

ROWS: dict[str, dict[str, Any]] = {
    "verified": CLASSIC | {"difficulty": "<15 min fix"},
    "lite": CLASSIC,
    "multilingual": FIVE,
    "rebench": REBENCH,
    "rebench-v2": REBENCH_V2,
    "live": LIVE,
    "live-many": LIVE_MANY,
    "gym": GYM,
    "smith": SMITH,
}
EXPECTED: dict[str, tuple[str | None, tuple[str, ...], str, str]] = {
    "verified": (None, ("image", "eval_script", "log_parser"), "/testbed", ""),
    "lite": (None, ("image", "eval_script", "log_parser"), "/testbed", ""),
    "multilingual": (FIVE["image"], (), "/testbed", "go test -v ./..."),
    "rebench": (REBENCH["docker_image"], (), "/testbed", "conda activate testbed\nset -ux\ncd /testbed"),
    "rebench-v2": (REBENCH_V2["image_name"], (), "/tool", "go build ./...\ngo test -v ./..."),
    "live": ("starryzhang/sweb.eval.x86_64.acme_1776_tool-1:latest", (), "/testbed", "pytest -rA"),
    "live-many": ("starryzhang/launch:1", ("log_parser",), "/testbed", "pytest -rA\ncat out.log"),
    "gym": (None, ("image", "eval_script", "log_parser"), "/testbed", ""),
    "smith": (SMITH["image_name"], ("eval_script", "log_parser"), "/testbed", ""),
}


@pytest.mark.parametrize("family", list(ROWS))
def test_a_row_of_each_family_becomes_a_task(family: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[family]) + "\n")
    (task,) = load_tasks(path)
    image, missing, workdir, script = EXPECTED[family]
    assert (task.image, task.missing(), task.workdir) == (image, missing, workdir)
    assert (task.FAIL_TO_PASS, task.PASS_TO_PASS) == (("t.py::a",), ("t.py::b",))
    assert script in (task.eval_script or "")
    kept = {key for key in ROWS[family] if key not in type(task).model_fields}
    assert kept <= set(task.extra), "columns without a field of their own are kept"


def test_a_parser_given_as_source_is_kept_and_never_run(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(LIVE_MANY) + "\n")
    (task,) = load_tasks(path, mapping={"*": {"log_parser": "parse_log_pytest"}})
    assert task.missing() == ()
    assert task.extra["log_parser_source"] == str(LIVE_MANY["log_parser"]).strip()
    assert "make build" in (task.eval_script or "").partition(">>>>> Start Test Output")[0]


@pytest.mark.parametrize(
    ("word", "name", "split"),
    [
        ("multilingual", "SWE-bench/SWE-bench_Multilingual", "test"),
        ("rebench-v2", "nebius/SWE-rebench-V2", "train"),
        ("nebius/SWE-rebench-V2", "nebius/SWE-rebench-V2", "train"),
        ("SWE-bench/SWE-smith-java", "SWE-bench/SWE-smith-java", "train"),
        ("swe-smith", "SWE-bench/SWE-smith", "train"),
        ("SWE-Gym/SWE-Gym", "SWE-Gym/SWE-Gym", "train"),
        ("live", "SWE-bench-Live/SWE-bench-Live", "test"),
    ],
)
def test_each_name_has_its_split(word: str, name: str, split: str) -> None:
    found = known_dataset(word)
    assert (found.name, found.split) == (name, split)
