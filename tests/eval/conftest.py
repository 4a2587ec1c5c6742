"""What tests of evaluation share."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def no_waiting_for_the_disk() -> Iterator[None]:
    """Hundreds of small runs are written here, and none of them has to survive the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", _at_once)
        yield


def _at_once(fd: int) -> None:
    """What was written stays in memory for a while."""
