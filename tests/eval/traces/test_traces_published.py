"""Figures that others published or recorded of their data come out of ours. Skipped where their data is not there."""

from pathlib import Path

import pytest
from trajectory_hub.benchmarks.trace_published import rounds_of, runs_of, study

DATA = Path(__file__).parents[4] / "shared" / "data"


def there(part: str) -> Path:
    """The folder, or a skip that says why."""
    if not (DATA / part).is_dir():
        pytest.skip(f"other people's data is not here: {DATA / part}")
    return DATA / part


def test_iterations_of_the_study_reproduce() -> None:
    lines = {one.what: one for one in study(there("llm-agents-study/rq1"))}
    assert [one for one in lines.values() if not one.same] == []
    assert (lines["trajectories"].ours, lines["interactions"].ours) == (120, 2822)
    assert lines["RepairAgent, unresolved: mean"].ours == 40.0 and lines["RepairAgent, resolved: mean"].ours == 22.6


def test_samples_of_agentcgroup_give_the_recorded_summaries(tmp_path: Path) -> None:
    lines = list(runs_of(there("agentcgroup"), tmp_path / "run"))
    assert [one for one in lines if not one.same] == []
    assert sum(one.what.endswith(": samples") for one in lines) == 11 and len(lines) == 88


def test_tokens_of_golden_rounds(tmp_path: Path) -> None:
    lines = {one.what: one for one in rounds_of(there("tracelab/example_sessions/derived"), tmp_path / "run")}
    assert [one for one in lines.values() if not one.same] == [] and lines["rounds"].ours == 19
