"""Canaries are planted where the deciding tests are, and say when a log does not tell what happened."""

import ast
import random
from collections.abc import Callable

import pytest
from trajectory_hub.envs.canaries import Planted, break_in_place, judge, plant
from trajectory_hub.envs.trial import names_its_tests
from trajectory_hub.envs.verdict import CanaryKind

FILE = '''\
"""Tests."""
from __future__ import annotations
import unittest

import pytest


@pytest.mark.parametrize("a", [1, 2])
def test_sum(a):
    def inner():
        return 3
    assert a + 1 > inner() - 3


def test_early(): assert True


def test_returns():
    if 1:
        return
    assert True


class CaseTest(unittest.TestCase):
    @staticmethod
    def helper():
        pass

    def test_méthode(self):
        text = """
not indented
"""
        self.assertTrue(text)

    async def test_wait(self):
        pass


if __name__ == "__main__":
    unittest.main()
'''
IDS = ("t.py::test_sum[1]", "t.py::test_sum[2]", "t.py::CaseTest::test_méthode", "t.py::test_returns")


def planted(seed: int, text: str = FILE, ids: tuple[str, ...] = IDS) -> Planted:
    return plant({"t.py": text}, ids, (), random.Random(seed))


def honest(result: Planted) -> dict[str, str]:
    """What an honest runner reports when every deciding test passes."""
    statuses: dict[str, str] = {test: "PASSED" for test in IDS}
    for canary in result.canaries:
        passes = canary.kind in (CanaryKind.MUST_PASS, CanaryKind.COPY)
        if canary.of:
            for test in canary.of:
                head, _, last = test.rpartition("::")
                statuses[f"{head}::{canary.name}{last[len(canary.function) :]}"] = "PASSED" if passes else "FAILED"
        else:
            statuses[f"t.py::{canary.name}"] = "PASSED" if passes else "FAILED"
    return statuses


@pytest.mark.parametrize("seed", range(25))
def test_a_planted_file_is_valid_and_holds_every_canary_once(seed: int) -> None:
    result = planted(seed)
    tree = ast.parse(result.sources["t.py"])
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for canary in result.canaries:
        assert names.count(canary.name) == 1
    kinds = {canary.kind for canary in result.canaries}
    assert kinds == set(CanaryKind) - {CanaryKind.BROKEN_ORIGINAL}
    assert isinstance(tree.body[1], ast.ImportFrom) and tree.body[1].module == "__future__"
    assert result.sources["t.py"].rstrip().endswith("unittest.main()")


def test_names_and_places_differ_from_one_planting_to_the_next() -> None:
    names = [{canary.name for canary in planted(seed).canaries} for seed in range(8)]
    assert all(len(one & other) < len(one) / 4 for one in names[:1] for other in names[1:])
    assert len({len(one) for one in names}) > 1


def test_a_test_that_may_end_early_is_copied_but_not_broken() -> None:
    kinds = [canary.kind for canary in planted(1).canaries if canary.function == "test_returns"]
    assert kinds == [CanaryKind.COPY]


def test_an_honest_log_satisfies_all() -> None:
    result = planted(3)
    assert all(one.ok for one in judge(result, honest(result)))


Lie = Callable[[bool, bool], str | None]


def _all_pass(known: bool, broken: bool) -> str | None:
    return "PASSED"


def _all_fail(known: bool, broken: bool) -> str | None:
    return "FAILED"


def _what_looks_like_the_deciding_tests(known: bool, broken: bool) -> str | None:
    return "PASSED" if known or broken else None


@pytest.mark.parametrize(
    ("lie", "caught"),
    [
        (_all_pass, {CanaryKind.MUST_FAIL, CanaryKind.BROKEN_COPY}),
        (_all_fail, {CanaryKind.MUST_PASS}),
        (_what_looks_like_the_deciding_tests, {CanaryKind.BROKEN_COPY}),
    ],
)
def test_a_lie_is_caught(lie: Lie, caught: set[CanaryKind]) -> None:
    result = planted(4)
    names = {canary.name for canary in result.canaries if canary.kind is CanaryKind.BROKEN_COPY}
    log = {
        name: lie(name in IDS, any(part in name for part in names)) or status for name, status in honest(result).items()
    }
    assert caught <= {one.kind for one in judge(result, log) if not one.ok}


def test_a_lie_about_the_known_names_is_caught_by_their_copies() -> None:
    result = planted(5)
    log = {name: status if name in IDS else "FAILED" for name, status in honest(result).items()}
    passing = {canary.name for canary in result.canaries if canary.kind is CanaryKind.MUST_PASS}
    log |= {f"t.py::{name}": "PASSED" for name in passing}
    assert {one.kind for one in judge(result, log) if not one.ok} == {CanaryKind.COPY}


def test_a_forged_list_of_passes_lacks_the_canaries() -> None:
    result = planted(6)
    assert not any(one.ok for one in judge(result, dict.fromkeys(IDS, "PASSED")))


def test_names_of_unittest_style_are_followed() -> None:
    text = "import unittest\n\n\nclass Case(unittest.TestCase):\n    def test_a(self):\n        self.assertTrue(1)\n"
    result = plant({"tests/test_a.py": text}, ("test_a (test_a.Case)",), (), random.Random(1))
    copy = next(canary for canary in result.canaries if canary.kind is CanaryKind.COPY)
    log = {"test_a (test_a.Case)": "PASSED", f"{copy.name} (test_a.Case)": "PASSED"}
    assert [one.ok for one in judge(result, log) if one.kind is CanaryKind.COPY] == [True]


def test_a_file_of_another_language_or_age_is_left_alone() -> None:
    result = plant({"t.py": "print 'python 2'\n"}, ("t.py::test_a",), (), random.Random(1))
    assert (result.sources, result.canaries) == ({}, ())


def test_deciding_tests_are_broken_in_place_with_a_control_in_the_same_places() -> None:
    for seed in range(10):
        pair = break_in_place({"t.py": FILE}, IDS, random.Random(seed))
        assert pair is not None
        control, broken = pair
        assert control.canaries == ()
        assert ast.parse(control.sources["t.py"]) and ast.parse(broken.sources["t.py"])
        lines = {side: one.sources["t.py"].split("\n") for side, one in (("control", control), ("broken", broken))}
        assert len(lines["control"]) == len(lines["broken"]) > FILE.count("\n") + 1
        assert {canary.kind for canary in broken.canaries} == {CanaryKind.BROKEN_ORIGINAL}
        log = {test: "PASSED" for test in IDS}
        assert not any(one.ok for one in judge(broken, log))
        honest_log = log | {test: "FAILED" for canary in broken.canaries for test in canary.of}
        assert all(one.ok for one in judge(broken, honest_log))
    assert break_in_place({"t.py": FILE}, ("t.py::test_nowhere",), random.Random(0)) is None


@pytest.mark.parametrize(
    ("command", "test", "named"),
    [
        ("mvn test -pl core -Dtest=com.x.FooTest#testBar", "com.x.FooTest#testBar", True),
        ('go test -v ./... -run "TestFoo|TestBar"', "TestFoo", True),
        ("pytest -rA tests/a.py::test_total", "tests/a.py::test_total", True),
        ("pytest -rA tests/test_total.py", "tests/test_total.py::test_total", False),
        ("cargo test --package x totals_up -- --exact", "mod::totals_up", True),
        ('npx jest -t "totals up" a.test.js', "cart totals", True),
        ("npx jest --verbose test/totals.test.js", "cart totals", False),
        ("go test -v ./...", "TestFoo", False),
    ],
)
def test_a_command_that_names_its_tests_is_told_from_one_that_names_files(command: str, test: str, named: bool) -> None:
    assert names_its_tests(command, (test,)) is named
