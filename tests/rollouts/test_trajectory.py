"""A trajectory read from the log is the one that was played."""

from pathlib import Path

import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.rollouts import read_trajectories, read_trajectory
from trajectory_hub.rollouts.trajectory import episode_folders

RUNS = Path(__file__).parents[1] / "data" / "runs-1.0"


def test_every_step_has_its_action_observation_reward_and_cost() -> None:
    for found in read_trajectories(RUNS / "reference"):
        assert found.resolved is True
        assert found.end is not None
        assert found.end.steps == len(found.steps) == len(found.rewards)
        assert [step.index for step in found.steps] == list(range(len(found.steps)))
        assert found.steps[-1].tool == "submit"
        assert all(reward is not None and 0 <= reward.reward <= 1 for reward in found.rewards)
        assert all(step.telemetry.cpu_s is not None and step.duration_ms > 0 for step in found.steps[:-1])
        assert found.patch is not None
        assert found.folder is not None
        assert (found.folder / "patch.diff").read_text() == found.patch.patch


def test_the_episodes_of_a_run_come_by_name() -> None:
    names = [folder.name for folder in episode_folders(RUNS / "random")]
    assert names == sorted(names)
    assert [found.header.episode_id for found in read_trajectories(RUNS / "random")] == names


def test_a_call_whose_result_was_never_written_is_no_step(tmp_path: Path) -> None:
    whole = episode_folders(RUNS / "reference")[0] / "events.jsonl"
    lines = whole.read_bytes().splitlines(keepends=True)
    calls = [number for number, line in enumerate(lines) if b'"event_type":"tool_call"' in line]
    (tmp_path / "events.jsonl").write_bytes(b"".join(lines[: calls[2] + 1]))
    found = read_trajectory(tmp_path)
    assert len(found.steps) == 2
    assert found.end is None
    assert found.resolved is None


def test_a_folder_without_a_log_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it has no events"):
        read_trajectory(tmp_path)
    with pytest.raises(UsageError, match="not a run"):
        episode_folders(tmp_path)
