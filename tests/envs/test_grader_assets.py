"""Binary files of a task's patches are in place when its tests start, and are not a patch's to bring."""

from pathlib import Path

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.grader import Grader, GraderConfig
from trajectory_hub.envs.task import Task
from trajectory_hub.envs.verdict import Reason, SetAsideReason
from trajectory_hub.errors import Failure

pytestmark = pytest.mark.docker

IMAGE = b"\x89PNG\r\n\x1a\n\x00\xff"
ASSET = "tests/baseline/triangle.png"
SCRIPT = f"""\
#!/bin/bash
set -uxo pipefail
cd /testbed
: '>>>>> Start Test Output'
[ "$(od -An -tx1 {ASSET} | tr -d ' \\n')" = {IMAGE.hex()} ] && grep -q '/ 2' shapes/area.py && echo 'PASSED looks'
: '>>>>> End Test Output'
"""
OWN = f"diff --git a/{ASSET} b/{ASSET}\nnew file mode 100644\n--- /dev/null\n+++ b/{ASSET}\n@@ -0,0 +1 @@\n+mine\n"


def seen_task(tiny_task: Task, file: Path | None) -> Task:
    entry = {"path": ASSET} | ({"file": str(file)} if file else {})
    change = {
        "eval_script": SCRIPT,
        "FAIL_TO_PASS": ("looks",),
        "PASS_TO_PASS": (),
        "test_patch": "",
        "image_assets": {"test_patch": [entry], "problem_statement": ["https://example.org/seen.png"]},
    }
    return tiny_task.model_copy(update=change)


@pytest.fixture
def task(tiny_task: Task, tmp_path: Path) -> Task:
    (tmp_path / "triangle.png").write_bytes(IMAGE)
    return seen_task(tiny_task, tmp_path / "triangle.png")


def test_it_is_there_when_the_tests_start(engine: Engine, task: Task) -> None:
    grader = Grader(engine, GraderConfig(timeout=200))
    assert grader.grade(task, task.patch).resolved
    verdict = grader.grade(task, task.patch + OWN)
    assert verdict.resolved
    assert [(part.path, part.reason) for part in verdict.set_aside] == [(ASSET, SetAsideReason.TEST_FILE)]


def test_one_out_of_reach_is_the_graders_failure(engine: Engine, tiny_task: Task) -> None:
    task = seen_task(tiny_task, None)
    verdict = Grader(engine, GraderConfig(timeout=200, retries=0)).grade(task, task.patch)
    assert (verdict.reason, verdict.failure) == (Reason.ENVIRONMENT_BROKEN, Failure.GRADER)
    assert ASSET in verdict.detail
