"""Counts of tests, as the summaries of test runners tell them."""

from pathlib import Path

import pytest
from trajectory_hub.rewards.service.usage import default_prices
from trajectory_hub.rollouts.tables.episode import read_rows
from trajectory_hub.rollouts.tables.summaries import counts_in

from .world import ended, start, stepped, write_episode

DJANGO = "Found 12 test(s).\n..E.\nRan 12 tests in 0.532s\n\nFAILED (failures=1, errors=2, skipped=3)\nDestroying …\n"
SUMMARIES = {
    "unittest": ("....\n" + "-" * 70 + "\nRan 12 tests in 0.004s\n\nOK\n", (12, 0)),
    "unittest, one": ("Ran 1 test in 0.004s\n\nOK (skipped=1)\n", (0, 0)),
    "unittest, expected": ("Ran 5 tests in 1s\n\nFAILED (expected failures=2, unexpected successes=1)\n", (4, 1)),
    "unittest, an error before any": ("Ran 0 tests in 0.000s\n\nFAILED (errors=1)\n", (0, 1)),
    "Django": (DJANGO, (6, 3)),
    "the last of several": ("Ran 3 tests in 1s\n\nOK\nRan 4 tests in 1s\n\nFAILED (errors=1)\n", (3, 1)),
    "mocha": ("  5 passing (12ms)\n  2 failing\n", (5, 2)),
    "rspec": ("12 examples, 1 failure, 2 pending\n", (9, 1)),
    "PHPUnit": ("OK (12 tests, 30 assertions)\n", (12, 0)),
    "PHPUnit, failed": ("FAILURES!\nTests: 12, Assertions: 30, Failures: 2, Skipped: 1.\n", (9, 2)),
    "Surefire": ("[ERROR] Tests run: 9, Failures: 1, Errors: 2, Skipped: 3\n", (3, 3)),
    "go": ("=== RUN TestA\n--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.00s)\nFAIL\n", (1, 1)),
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_is_understood(name: str) -> None:
    output, counts = SUMMARIES[name]
    assert counts_in(output) == counts


@pytest.mark.parametrize("output", ["", "Ran all of it in vain\nOK", "Ran 12 tests in 1s", "I ran 5 examples"])
def test_other_words_are_none(output: str) -> None:
    assert counts_in(output) is None


def test_steps_and_episodes_count_the_tests_of_unittest(tmp_path: Path) -> None:
    command = "python -m unittest discover"
    steps = [*stepped(0, 1, 2, command, saw=DJANGO, exit_code=1), *stepped(1, 2, 3, "echo hi", saw=DJANGO)]
    rows, _ = read_rows(write_episode(tmp_path / "run", [start("recorded"), *steps, ended(4)]), default_prices())
    told = [(row["tests_passed"], row["tests_failed"], row["failed"]) for row in rows["steps"]]
    assert told == [(6, 3, True), (None, None, False)]
    (episode,) = rows["episodes"]
    assert (episode["tests_run"], episode["tests_passed_last"]) == (1, 6)
