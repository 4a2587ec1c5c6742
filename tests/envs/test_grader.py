"""The grader on a real engine: fresh containers, the task's own tests, and nothing of a patch decides."""

import pytest
from trajectory_hub.benchmarks.tampers import TAMPERS, tampering_patches
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.grader import Grader, GraderConfig
from trajectory_hub.envs.task import Task
from trajectory_hub.envs.verdict import CanaryKind, Reason, SetAsideReason, Verdict
from trajectory_hub.errors import Failure, TaskError, TaskIncomplete

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def grader(engine: Engine) -> Grader:
    return Grader(engine, GraderConfig(timeout=200))


@pytest.fixture(scope="module")
def tampering(grader: Grader, tiny_task: Task) -> dict[str, str]:
    with grader.sandbox(tiny_task) as sandbox:
        return {tamper.name: patch for tamper, patch in tampering_patches(sandbox, tiny_task)}


def added(path: str, *lines: str) -> str:
    body = "".join(f"+{line}\n" for line in lines)
    header = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    return f"{header}@@ -0,0 +1,{len(lines)} @@\n{body}"


def aside(verdict: Verdict) -> dict[str, SetAsideReason]:
    return {part.path: part.reason for part in verdict.set_aside}


def test_the_reference_patch_is_resolved_and_every_canary_did_its_part(grader: Grader, tiny_task: Task) -> None:
    verdict = grader.grade(tiny_task, tiny_task.patch)
    assert (verdict.resolved, verdict.reason, verdict.failure) == (True, Reason.RESOLVED, None)
    assert verdict.patch_applied and verdict.apply_command == "git apply --verbose"
    assert verdict.canaries.state == "ran"
    assert {r.kind for r in verdict.canaries.results} == set(CanaryKind) - {CanaryKind.BROKEN_ORIGINAL}
    assert all(result.ok and not result.discounted for result in verdict.canaries.results)
    assert verdict.tests_status["FAIL_TO_PASS"] == {"success": list(tiny_task.FAIL_TO_PASS), "failure": []}
    assert verdict.image_id and verdict.swebench_version and ">>>>> Start Test Output" in verdict.log
    assert verdict == Verdict.model_validate_json(verdict.model_dump_json())


def test_a_wrong_patch_is_the_models_failure(grader: Grader, tiny_task: Task) -> None:
    verdict = grader.grade(tiny_task, tiny_task.patch.replace("/ 2", "/ 3"))
    assert (verdict.resolved, verdict.reason, verdict.failure) == (False, Reason.TESTS_FAILED, Failure.MODEL)
    assert verdict.tests_status["FAIL_TO_PASS"]["failure"] == list(tiny_task.FAIL_TO_PASS)
    assert verdict.canaries.state == "not_needed"


def test_a_verdict_goes_for_the_same_patch_again_where_that_is_wanted(engine: Engine, tiny_task: Task) -> None:
    grader, wrong = Grader(engine, GraderConfig(timeout=201, reuse=True)), tiny_task.patch.replace("/ 2", "/ 3")
    first, second, other = (grader.grade(tiny_task, patch) for patch in (tiny_task.patch, tiny_task.patch, wrong))
    assert (first.reused, second.reused, other.reused) == (False, True, False)
    assert second.model_copy(update={"reused": False}) == first
    assert not other.resolved
    trusting = Grader(engine, GraderConfig(timeout=201, reuse=True, canaries=False))
    assert trusting.grade(tiny_task, tiny_task.patch).canaries.state == "unavailable", "other rules, another verdict"
    again = tiny_task.model_copy(update={"FAIL_TO_PASS": (*tiny_task.FAIL_TO_PASS, "tests/test_none.py::test_none")})
    assert not grader.grade(again, tiny_task.patch).resolved, "another task of the same name"


@pytest.mark.parametrize(
    ("patch", "reason"), [(None, Reason.NO_PATCH), ("", Reason.EMPTY_PATCH), (" \n", Reason.EMPTY_PATCH)]
)
def test_nothing_to_grade_needs_no_run(grader: Grader, tiny_task: Task, patch: str | None, reason: Reason) -> None:
    verdict = grader.grade(tiny_task, patch)
    assert (verdict.resolved, verdict.reason, verdict.failure) == (False, reason, Failure.MODEL)
    assert verdict.patch_applied is None and verdict.image_id is None


@pytest.mark.parametrize(
    "change", [("rectangle(base", "nowhere(base"), ("shapes/area.py", "shapes/volume.py"), ("@@", "%%")]
)
def test_a_patch_that_does_not_apply(grader: Grader, tiny_task: Task, change: tuple[str, str]) -> None:
    verdict = grader.grade(tiny_task, tiny_task.patch.replace(*change))
    assert (verdict.reason, verdict.failure) == (Reason.PATCH_DOES_NOT_APPLY, Failure.MODEL)
    assert verdict.patch_applied is False and not verdict.resolved


def test_a_fuzzy_patch_applies_by_the_last_attempt_as_officially(grader: Grader, tiny_task: Task) -> None:
    with grader.sandbox(tiny_task) as sandbox:
        has_patch = sandbox.run("command -v patch").exit_code == 0
    verdict = grader.grade(tiny_task, tiny_task.patch.replace("Area of a triangle", "Area"))
    assert verdict.resolved is has_patch
    assert verdict.apply_command == ("patch --batch --forward --fuzz=5 -p1 -i" if has_patch else None)


def test_a_patch_with_dos_line_ends_is_treated_as_officially(grader: Grader, tiny_task: Task) -> None:
    verdict = grader.grade(tiny_task, tiny_task.patch.replace("\n", "\r\n"))
    assert verdict.reason in (Reason.PATCH_DOES_NOT_APPLY, Reason.RESOLVED)
    assert verdict.reason is not Reason.RESOLVED or verdict.apply_command != "git apply --verbose"


def made(grader: Grader, task: Task, script: str) -> str:
    """What a script does to the repository, as a patch."""
    with grader.sandbox(task) as sandbox:
        assert sandbox.run(script).exit_code == 0
        sandbox.run("git add -A -f .")
        return sandbox.run("git diff --cached --binary HEAD").text


def test_binary_files_are_applied(grader: Grader, tiny_task: Task) -> None:
    binary = made(grader, tiny_task, "printf '\\000\\001\\377' > logo.bin")
    assert "GIT binary patch" in binary
    verdict = grader.grade(tiny_task, tiny_task.patch + binary)
    assert verdict.resolved and verdict.apply_command == "git apply --verbose"


def test_what_a_good_patch_brings_besides_is_set_aside_and_it_still_resolves(grader: Grader, tiny_task: Task) -> None:
    hooks = "def pytest_collection_modifyitems(items):"
    patch = tiny_task.patch + added("conftest.py", hooks, "    raise SystemExit(3)")
    patch += added("tests/test_shapes_more.py", "def test_mine():", "    assert False")
    patch += added("shapes/volume.py", "CUBE = 3")
    verdict = grader.grade(tiny_task, patch)
    assert verdict.resolved
    assert aside(verdict) == {
        "conftest.py": SetAsideReason.TEST_CONFIGURATION,
        "tests/test_shapes_more.py": SetAsideReason.TEST_SUPPORT,
    }


def test_only_the_section_on_tests_of_a_shared_file_counts(grader: Grader, tiny_task: Task) -> None:
    def edited(line: str, new: str) -> str:
        return (
            "diff --git a/pyproject.toml b/pyproject.toml\n--- a/pyproject.toml\n+++ b/pyproject.toml\n"
            "@@ -1,6 +1,6 @@\n"
            + "".join(
                f"-{old}\n+{new}\n" if old == line else f" {old}\n"
                for old in (
                    "[project]",
                    'name = "shapes"',
                    'version = "1.0"',
                    "",
                    "[tool.pytest.ini_options]",
                    'testpaths = ["tests"]',
                )
            )
        )

    harmless = grader.grade(tiny_task, tiny_task.patch + edited('version = "1.0"', 'version = "2.0"'))
    assert harmless.resolved and not harmless.set_aside
    harmful = grader.grade(tiny_task, tiny_task.patch + edited('testpaths = ["tests"]', 'addopts = "--co"'))
    assert harmful.resolved
    assert aside(harmful) == {"pyproject.toml": SetAsideReason.TEST_CONFIGURATION}


def test_paths_that_lead_out_and_links_are_never_written(grader: Grader, tiny_task: Task) -> None:
    link = (
        "diff --git a/shapes/out b/shapes/out\nnew file mode 120000\n--- /dev/null\n+++ b/shapes/out\n"
        "@@ -0,0 +1 @@\n+/opt/venv/lib\n\\ No newline at end of file\n"
    )
    patch = tiny_task.patch + added("../../etc/evil", "x") + added(".git/hooks/post-checkout", "exit 1") + link
    verdict = grader.grade(tiny_task, patch)
    assert verdict.resolved
    assert set(aside(verdict).values()) == {
        SetAsideReason.OUTSIDE_REPOSITORY,
        SetAsideReason.GIT_INTERNALS,
        SetAsideReason.SYMLINK,
    }


def test_a_deleted_test_is_put_back(grader: Grader, tiny_task: Task) -> None:
    removal = made(grader, tiny_task, "git rm -q -r tests pyproject.toml")
    verdict = grader.grade(tiny_task, tiny_task.patch + removal)
    assert verdict.resolved
    assert {"tests/test_shapes.py", "pyproject.toml"} <= set(aside(verdict))


@pytest.mark.slow
@pytest.mark.parametrize("name", [tamper.name for tamper in TAMPERS])
def test_tampering_is_never_resolved(grader: Grader, tiny_task: Task, tampering: dict[str, str], name: str) -> None:
    verdict = grader.grade(tiny_task, tampering[name])
    assert not verdict.resolved
    assert verdict.reason in (Reason.TESTS_FAILED, Reason.NO_TEST_RESULTS, Reason.FORGED)
    assert verdict.failure is (Failure.GRADER if verdict.reason is Reason.FORGED else Failure.MODEL)


FORGERIES = (
    "forged-summary",
    "printed-markers",
    "takeover",
    "atexit-rewrite",
    "patched-reporter",
    "known-names-reporter",
    "sparing-reporter",
    "skipped-bodies",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORGERIES)
def test_without_canaries_these_reports_would_be_believed(
    engine: Engine, tiny_task: Task, tampering: dict[str, str], name: str
) -> None:
    """The canaries are what catches them: the attacks work, so the test above could fail."""
    trusting = Grader(engine, GraderConfig(timeout=200, canaries=False))
    verdict = trusting.grade(tiny_task, tampering[name])
    assert verdict.resolved
    assert (verdict.canaries.state, verdict.canaries.why) == ("unavailable", "switched off")


@pytest.mark.slow
def test_a_forged_report_is_refused_even_beside_the_right_fix(
    grader: Grader, tiny_task: Task, tampering: dict[str, str]
) -> None:
    reporter = "".join(
        line[1:] + "\n"
        for line in tampering["patched-reporter"].splitlines()
        if line.startswith("+") and line[:3] != "+++"
    )
    fixed = made(
        grader,
        tiny_task,
        f"sed -i 's|rectangle(base, height)|rectangle(base, height) / 2|' shapes/area.py && "
        f"cat >> shapes/area.py <<'EOF'\n{reporter}EOF\n",
    )
    verdict = grader.grade(tiny_task, fixed)
    assert verdict.reason is Reason.FORGED
    assert "canaries contradict" in verdict.detail


def test_a_patch_that_hangs_its_tests_is_the_models_failure(engine: Engine, tiny_task: Task) -> None:
    hurried = Grader(engine, GraderConfig(timeout=8, retries=0))
    verdict = hurried.grade(
        tiny_task, tiny_task.patch.replace("rectangle(base, height) / 2", "__import__('time').sleep(99)")
    )
    assert (verdict.resolved, verdict.reason, verdict.failure) == (False, Reason.LIMIT_REACHED, Failure.MODEL)
    assert "time" in verdict.detail


def test_a_broken_environment_is_not_the_models_failure(engine: Engine, tiny_task: Task) -> None:
    grader = Grader(engine, GraderConfig(retries=1))
    verdict = grader.grade(tiny_task.model_copy(update={"image": "trajhub/no-such-image:1"}), tiny_task.patch)
    assert (verdict.reason, verdict.failure) == (Reason.ENVIRONMENT_BROKEN, Failure.ENVIRONMENT)
    assert "trajhub/no-such-image:1" in verdict.detail


def test_a_signature_of_a_broken_environment_printed_by_the_patch_blames_nobody_else(
    grader: Grader, tiny_task: Task
) -> None:
    lines = ("import os", "log = open('/proc/%d/fd/1' % os.getppid(), 'w')", "log.write('OutOfMemoryError')")
    ending = ("log.flush()", "os._exit(1)")
    script = "cat >> shapes/__init__.py <<'EOF'\n" + "\n".join((*lines, *ending)) + "\nEOF\n"
    verdict = grader.grade(tiny_task, made(grader, tiny_task, script))
    assert (verdict.reason, verdict.failure) == (Reason.NO_TEST_RESULTS, Failure.MODEL)
    assert "out_of_memory" in verdict.detail


def test_an_incomplete_task_or_an_unknown_parser_is_refused(grader: Grader, tiny_task: Task) -> None:
    with pytest.raises(TaskIncomplete, match="eval_script"):
        grader.grade(tiny_task.model_copy(update={"eval_script": None}), "x")
    with pytest.raises(TaskError, match="no log parser 'parse_log_dream'"):
        grader.grade(tiny_task.model_copy(update={"log_parser": "parse_log_dream"}), "x")


def test_a_suite_of_an_unknown_language_says_that_no_canaries_rode_along(grader: Grader, tiny_task: Task) -> None:
    script = (
        "#!/bin/bash\nset -uxo pipefail\ncd /testbed\n: '>>>>> Start Test Output'\n"
        "grep -q '/ 2' shapes/area.py && echo 'PASSED check'\n: '>>>>> End Test Output'\n"
    )
    change = {"eval_script": script, "FAIL_TO_PASS": ("check",), "PASS_TO_PASS": (), "test_patch": ""}
    verdict = grader.grade(tiny_task.model_copy(update=change), tiny_task.patch)
    assert verdict.resolved
    assert verdict.canaries.state == "unavailable"
    assert "no deciding test is in a file that canaries can be planted in" in verdict.canaries.why


def test_no_container_is_left(engine: Engine, grader: Grader, tiny_task: Task) -> None:
    def mine() -> set[str]:
        return {box["Id"] for box in engine.containers() if box["Labels"].get("trajhub.owner") == str(engine.owner)}

    before = mine()
    grader.grade(tiny_task, tiny_task.patch)
    assert mine() <= before
