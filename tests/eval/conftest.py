"""What tests of evaluation share."""

import os
from collections.abc import Callable, Iterator

import pytest
from trajectory_hub.cli import main

Command = Callable[..., tuple[int, str, str]]
"""Words of a `trajhub` command to its exit code and what it printed on both streams."""


@pytest.fixture
def trajhub(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["trajhub", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture(autouse=True, scope="module")
def no_waiting_for_the_disk() -> Iterator[None]:
    """Hundreds of small runs are written here, and none of them has to survive the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", _at_once)
        yield


def _at_once(fd: int) -> None:
    """What was written stays in memory for a while."""
