"""Faults that the rules were not written with: those by which they were mended, and what must stay right."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from trajectory_hub.benchmarks.attribution import read_fault
from trajectory_hub.benchmarks.fault_stage import Stage, make_stage
from trajectory_hub.benchmarks.heldout import HELD_OUT
from trajectory_hub.benchmarks.heldout_records import RECORDS
from trajectory_hub.envs.engine import Engine
from trajectory_hub.errors import Failure
from trajectory_hub.rollouts.attribution.kinds import FAILURES

BY_NAME = {fault.name: fault for fault in HELD_OUT}
CHOSEN = (
    "removes the module",
    "throws the repository away",
    "results that the tool cannot read",
    "a hasty dynamic time-out",
    "an interpreter without its libraries",
    "tests that need a network",
    "files that nobody may write",
    "a repository without its history",
    "a deciding test that does not exist",
    "handed in and not graded",
    "failures printed as passes",
)
"""Those that are quick and hang on no clock; `python -m trajectory_hub.benchmarks.attribution --held-out` does all."""


@pytest.fixture(scope="module")
def stage(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    yield make_stage(tmp_path_factory.mktemp("held-out"), engine)


@pytest.mark.docker
@pytest.mark.parametrize("name", CHOSEN)
def test_who_could_not_have_caused_a_fault_is_not_blamed_for_it(stage: Stage, name: str) -> None:
    reading, _ = read_fault(BY_NAME[name], stage)
    assert reading.right, reading


def test_records_of_other_agents_are_blamed_by_their_own_words(tmp_path: Path) -> None:
    stage = Stage(tmp_path, None, None)  # pyright: ignore[reportArgumentType]  # records need neither task nor engine
    assert [reading for fault in RECORDS for reading, _ in [read_fault(fault, stage)] if not reading.exactly] == []


def test_the_set_is_varied_and_says_why() -> None:
    assert len(BY_NAME) == len(HELD_OUT) >= 60
    assert all(fault.reason for fault in HELD_OUT)
    blamed = Counter(FAILURES[fault.expected[0]] for fault in HELD_OUT if fault.expected)
    assert all(blamed[failure] >= 10 for failure in Failure)
    assert sum(not fault.expected for fault in HELD_OUT) >= 8
    assert all(len({FAILURES[kind] for kind in fault.expected}) <= 1 for fault in HELD_OUT), "one failure each"
