"""Hidden tests, reproductions and statements: what an agent is told, and what it is not."""

import subprocess
import sys
from pathlib import Path

import pytest
from trajectory_hub.envs.factory import driver
from trajectory_hub.envs.factory.reproductions import reproductions
from trajectory_hub.envs.factory.source import Source
from trajectory_hub.envs.factory.statements import Finding, injected_statement, leaks, release_statement, words_of
from trajectory_hub.envs.factory.testfiles import find_test, without_tests
from trajectory_hub.envs.factory.validation import Refusal, decide
from trajectory_hub.envs.factory.workshop import Attempt, FailedTest, TestRun

TESTS = '''import math
from os.path import basename, join
import pytest

LIMIT = 3


def helper(n):
    return n * LIMIT


@pytest.mark.parametrize("n,wanted", [(1, 3), (2, 6)])
def test_helper(n, wanted):
    """Doc."""
    unused = join("a", "b")
    found = helper(n)
    assert found == wanted


class Base:
    def test_inherited(self):
        assert math.sqrt(4) == 2


class TestThing(Base):
    def test_only(self):
        self.assertEqual(basename("a/b"), "b")


def test_fixture(tmp_path):
    assert join(str(tmp_path), "x")


def test_raises():
    with pytest.raises(ValueError):
        math.sqrt(-1)
'''


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(TESTS.splitlines(), 1) if text in line)


def reproduce(node_id: str, text: str, params: dict[str, str] | None = None) -> list[str]:
    failure = FailedTest("call", line_of(text), "")
    return [made.code for made in reproductions(Source(TESTS), node_id, failure, params or {})]


def test_deciding_tests_are_taken_out_and_nothing_else() -> None:
    text = without_tests(
        Source(TESTS), ["t.py::test_helper[1-3]", "t.py::test_helper[2-6]", "t.py::TestThing::test_only"]
    )
    assert text is not None
    assert "test_helper" not in text and "parametrize" not in text and "test_only" not in text
    assert "class TestThing(Base):\n    pass\n" in text
    kept = [line for line in text.splitlines() if line and line != "    pass"]
    assert [line for line in kept if line not in TESTS.splitlines()] == []


def test_inherited_tests_are_found_in_their_base() -> None:
    found = find_test(Source(TESTS), "t.py::TestThing::test_inherited")
    assert found is not None and found[0].name == "test_inherited"


def test_a_test_that_is_elsewhere_cannot_be_taken_out() -> None:
    assert without_tests(Source(TESTS), ["t.py::TestThing::test_elsewhere"]) is None


def test_reproduction_is_the_slice_that_the_check_needs() -> None:
    code = reproduce("t.py::test_helper[2-6]", "assert found == wanted", {"n": "2", "wanted": "6"})[0]
    assert code == (
        "LIMIT = 3\ndef helper(n):\n    return n * LIMIT\nn = 2\nwanted = 6\nfound = helper(n)\n\n"
        "assert found == wanted"
    )
    exec(code, {})


def test_unittest_checks_become_plain_ones() -> None:
    code = reproduce("t.py::TestThing::test_only", "self.assertEqual")[0]
    assert code == "from os.path import basename\n\nassert basename('a/b') == 'b'"


def test_helpers_named_like_asserts_become_plain_ones() -> None:
    head = "from os.path import *\nfrom helpers import assert_equal\n\n"
    text = head + "def test_it():\n    assert_equal(basename('a/b'), 'b')\n"
    code = next(reproductions(Source(text), "t.py::test_it", FailedTest("call", 5, ""), {})).code
    assert code == "from os.path import *\n\nassert basename('a/b') == 'b'"


def test_a_test_that_could_not_be_imported_is_run_to_its_end() -> None:
    text = "from os.path import basename\n\ndef test_it():\n    x = basename('a/b')\n    assert x == 'b'\n"
    code = next(reproductions(Source(text), "t.py::test_it", FailedTest("collect", 0, ""), {})).code
    assert code == "from os.path import basename\nx = basename('a/b')\n\nassert x == 'b'"


def test_what_needs_a_fixture_is_no_program() -> None:
    assert reproduce("t.py::test_fixture", "str(tmp_path)") == []


def test_driver_tells_values_and_errors() -> None:
    compared = {"setup": "x = 2", "check": "assert x == 3", "left": "x", "right": "3"}
    run = subprocess.run([sys.executable, driver.__file__, "/dev/stdin"], input="", capture_output=True, check=False)
    assert run.returncode != 0
    answers = [driver._separately(spec, 5) for spec in (compared, {"setup": "", "check": "1 / 0"})]  # pyright: ignore[reportPrivateUsage]
    assert (answers[0]["ok"], answers[0]["left"], answers[0]["right"]) == (False, "2", "3")
    assert answers[1]["error"] == "ZeroDivisionError"


def test_driver_survives_what_a_program_does() -> None:
    specs = [{"setup": "", "check": check} for check in ("import os; os._exit(3)", "while True: pass", "pass")]
    answers = [driver._separately(spec, 1) for spec in specs]  # pyright: ignore[reportPrivateUsage]
    assert [answer["error"] for answer in answers] == ["Crash", "Timeout", None]


def finding(before: Attempt, after: Attempt) -> Finding:
    code = reproductions(
        Source("def test_it():\n    x = [1]\n    assert len(x) == 1\n"), "t.py::test_it", FailedTest("call", 3, ""), {}
    )
    return Finding("t.py::test_it", FailedTest("call", 3, "assert 0 == 1"), next(code), before, after)


def test_statement_tells_what_happens_and_what_is_expected() -> None:
    now = Attempt(False, "check", "AssertionError", "", "0", "1")
    text = injected_statement("thing", "1.0", [finding(now, Attempt(True, "check", None, "", "1", "1"))])
    assert "**What happens:** `len(x)` is `0`" in text
    assert "**What is expected:** `len(x)` is `1`" in text
    assert "assert len(x) == 1" in text


def test_statement_names_the_exception() -> None:
    now = Attempt(False, "check", "KeyError", "'a'", None, None)
    text = injected_statement("thing", "1.0", [finding(now, Attempt(True, "check", None, "", "1", "1"))])
    assert "It fails with `KeyError: 'a'`" in text
    assert "`len(x)` is `1`" in text


def test_release_statement_lists_what_it_does_not_show() -> None:
    now = Attempt(False, "check", "KeyError", "'a'", None, None)
    found = finding(now, Attempt(True, "check", None, "", "1", "1"))
    text = release_statement("thing", "1.0", [found], {"other behaviour"})
    assert "- other behaviour" in text


def test_a_statement_that_quotes_the_patch_is_caught() -> None:
    patch = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-    return compute(a,  b)\n+    return compute(b, a)\n"
    assert leaks("it does `return compute(a, b)`", patch)
    assert not leaks("it gives 3", patch)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("t.py::TestA::test_last_page[x]", "last page"),
        ("t.py::testCamelCase", "camel case"),
        ("t.py::test", "basic use"),
    ],
)
def test_words_come_from_the_name(name: str, words: str) -> None:
    assert words_of(name) == words


def run(**statuses: str) -> TestRun:
    return TestRun(statuses, {}, {})


def test_only_what_every_run_agrees_on_decides() -> None:
    before = [run(a="FAILED", b="PASSED", c="FAILED", d="PASSED")] * 2 + [
        run(a="FAILED", b="PASSED", c="PASSED", d="PASSED")
    ]
    after = [run(a="PASSED", b="PASSED", c="PASSED", d="PASSED", e="PASSED")] * 3
    decision = decide(before, after)
    assert (decision.fail_to_pass, decision.pass_to_pass, decision.flaky) == (("a", "e"), ("b", "d"), ("c",))


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (run(a="PASSED"), run(a="PASSED"), "no test fails"),
        (run(a="FAILED"), run(a="PASSED"), "no test keeps passing"),
        (run(a="SKIPPED", b="PASSED"), run(a="PASSED", b="PASSED"), "no test fails"),
    ],
)
def test_what_decides_nothing_is_refused(before: TestRun, after: TestRun, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        decide([before] * 3, [after] * 3)


def test_helpers_for_the_container_need_only_the_standard_library() -> None:
    folder = Path(driver.__file__).parent
    for name in ("driver.py", "probe.py"):
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({str(folder / name)!r})"],
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
