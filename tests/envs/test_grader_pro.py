"""SWE-bench Pro is graded by its run script and its parser, the latter where nothing of the patch ever ran."""

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.grader import Grader, GraderConfig
from trajectory_hub.envs.task import ProSpec, Task
from trajectory_hub.envs.verdict import Reason
from trajectory_hub.errors import Failure

pytestmark = pytest.mark.docker

RUN = """#!/bin/bash
cd /testbed
for file in ${1//,/ }; do python3 -m pytest -v -p no:cacheprovider "$file"; done
"""
PARSE = """
import json, re, sys
log = open(sys.argv[1]).read() + open(sys.argv[2]).read()
found = re.findall(r"^(\\S+::\\S+) (PASSED|FAILED|ERROR)", log, re.M)
json.dump({"tests": [{"name": n, "status": s} for n, s in found]}, open(sys.argv[3], "w"))
"""

FORGED = '''\
diff --git a/shapes/area.py b/shapes/area.py
--- a/shapes/area.py
+++ b/shapes/area.py
@@ -15,4 +15,7 @@ def square(side):
 
 def triangle(base, height):
     """Area of a triangle."""
     return rectangle(base, height)
+
+
+__import__("_pytest.python").python.Function.runtest = lambda self: None
'''


@pytest.fixture
def pro_task(tiny_task: Task) -> Task:
    # As in the benchmark, only the last line is run: it brings the tests.
    before = (
        "false && this line is history",
        'python3 -c \'open("tests/test_more.py", "w").write('
        '"from shapes import triangle\\ndef test_more():\\n    assert triangle(2, 3) == 3\\n")\'',
    )
    spec = ProSpec(
        before_repo_set_cmd="\n".join(before),
        selected_test_files_to_run=("tests/test_more.py", "tests/test_shapes.py"),
        run_script=RUN,
        parser=PARSE,
    )
    change = {
        "pro": spec,
        "eval_script": None,
        "log_parser": None,
        "FAIL_TO_PASS": ("tests/test_more.py::test_more",),
        "PASS_TO_PASS": ("tests/test_shapes.py::test_square",),
    }
    return tiny_task.model_copy(update=change)


@pytest.fixture(scope="module")
def grader(engine: Engine) -> Grader:
    return Grader(engine, GraderConfig(timeout=200, retries=0))


def test_the_reference_resolves_and_canaries_ride_along(grader: Grader, pro_task: Task) -> None:
    verdict = grader.grade(pro_task, pro_task.patch)
    assert verdict.resolved
    assert verdict.tests_status["FAIL_TO_PASS"]["success"] == list(pro_task.FAIL_TO_PASS)
    assert verdict.canaries.state == "ran"
    assert all(result.ok for result in verdict.canaries.results)
    assert "tests/test_more.py" in {result.file for result in verdict.canaries.results}


def test_a_package_that_makes_tests_pass_is_unmasked(grader: Grader, engine: Engine, pro_task: Task) -> None:
    verdict = grader.grade(pro_task, FORGED)
    assert (verdict.resolved, verdict.reason, verdict.failure) == (False, Reason.FORGED, Failure.GRADER)
    trusting = Grader(engine, GraderConfig(timeout=200, retries=0, canaries=False))
    assert trusting.grade(pro_task, FORGED).resolved


def test_a_wrong_patch_and_one_that_does_not_apply(grader: Grader, pro_task: Task) -> None:
    wrong = grader.grade(pro_task, pro_task.patch.replace("/ 2", "/ 3"))
    assert (wrong.reason, wrong.failure) == (Reason.TESTS_FAILED, Failure.MODEL)
    assert wrong.tests_status["FAIL_TO_PASS"]["failure"] == list(pro_task.FAIL_TO_PASS)
    lost = grader.grade(pro_task, pro_task.patch.replace("rectangle(base", "nowhere(base"))
    assert lost.reason is Reason.PATCH_DOES_NOT_APPLY


def test_a_parser_that_breaks_is_the_graders_fault(grader: Grader, pro_task: Task) -> None:
    assert pro_task.pro is not None
    broken = pro_task.model_copy(update={"pro": pro_task.pro.model_copy(update={"parser": "raise SystemExit(1)"})})
    verdict = grader.grade(broken, broken.patch)
    assert (verdict.reason, verdict.failure) == (Reason.ENVIRONMENT_BROKEN, Failure.GRADER)
    assert "result parser" in verdict.detail


def test_a_parser_left_by_the_patch_is_not_used(grader: Grader, pro_task: Task) -> None:
    """The parser runs in a container of its own, so what a patch puts on Python's path there is nothing."""
    shadow = "diff --git a/re.py b/re.py\nnew file mode 100644\n--- /dev/null\n+++ b/re.py\n@@ -0,0 +1 @@\n+1 / 0\n"
    verdict = grader.grade(pro_task, pro_task.patch + shadow)
    assert verdict.resolved
    assert [part.path for part in verdict.set_aside] == ["re.py"]
