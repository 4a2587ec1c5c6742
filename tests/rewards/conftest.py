"""Fixtures of the reward tests."""

from pathlib import Path

import pytest

from .workbench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A fresh repository."""
    return Bench(tmp_path)
