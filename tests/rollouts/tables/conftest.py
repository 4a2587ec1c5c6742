"""Shared by tests of tables."""

import shutil
from pathlib import Path

import pytest

RECORDED = Path(__file__).parents[2] / "data" / "runs-1.0"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A copy of a run that was recorded and graded for real."""
    return Path(shutil.copytree(RECORDED / "random", tmp_path / "random"))


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """Another one, whose episodes are resolved."""
    return Path(shutil.copytree(RECORDED / "reference", tmp_path / "reference"))
