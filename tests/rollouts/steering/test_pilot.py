"""Policies switched on in real rollouts: a hanging command is cut and done again, a hopeless episode is ended."""

from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError, StopReason
from trajectory_hub.rollouts import load_config, run_rollout
from trajectory_hub.rollouts.config import read_overrides
from trajectory_hub.rollouts.policies import Action, Context, PolicyBase, Session, TaskView
from trajectory_hub.rollouts.policies.base import Gave
from trajectory_hub.rollouts.replay import Match, replay_episode
from trajectory_hub.rollouts.run_dir import read_manifest
from trajectory_hub.rollouts.steering.features import CALL_NAMES, NAMES
from trajectory_hub.rollouts.steering.predictor import Constant, Head, Predictor, Recipe, read_predictor
from trajectory_hub.rollouts.trajectory import Trajectory, read_trajectories

HANGS_ONCE = "test -e /tmp/seen || { touch /tmp/seen; sleep 60; }; echo went through"


def write_predictor(path: Path, target: Any, *, at: int | None = None, value: float) -> Path:
    """One that says the same of everybody: a probability, or milliseconds."""
    latency = target == "tool_latency"
    raw = log(1 + value) if latency else log(value / (1 - value))
    link = "log1p" if latency else "logistic"
    head = Head(at=at, quantile=0.99 if latency else None, link=link, model=Constant(value=raw))
    features = CALL_NAMES if latency else NAMES
    recipe = Recipe(model="baseline", at=(at,) if at else ())
    made = Predictor(target=target, features=features, recipe=recipe, heads=(head,), episodes=1, tasks=("other",))
    path.write_text(made.model_dump_json())
    return path


class Doing(PolicyBase):
    """Runs commands in a shell, one after another, then submits."""

    name = "doing"

    def __init__(self, commands: Sequence[dict[str, Any]]) -> None:
        self._commands = commands

    def start(self, task: TaskView, context: Context) -> Session:
        return Gave([Action(call={"name": "shell", "arguments": command}) for command in self._commands])


def episode(folder: Path, task: Task, commands: Sequence[str | dict[str, Any]], *items: str) -> Trajectory:
    config = load_config(read_overrides(["tasks=tiny", "warm=0", "workers=1", *items]))
    given = [{"command": one} if isinstance(one, str) else one for one in commands]
    run_rollout(folder, config, policy=Doing(given), tasks=[task])
    [trajectory] = read_trajectories(folder)
    return trajectory


def notes(folder: Path) -> list[dict[str, Any]]:
    from trajectory_hub.rollouts.events import NoteEvent
    from trajectory_hub.rollouts.log import read_events

    [log] = folder.glob("episodes/*/events.jsonl")
    return [dict(event.payload.data) for event in read_events(log) if isinstance(event, NoteEvent)]


@pytest.mark.docker
def test_a_hanging_command_is_done_again_and_a_hopeless_episode_ends(tmp_path: Path, tiny_task: Task) -> None:
    quick = write_predictor(tmp_path / "latency.json", "tool_latency", value=100.0)
    hopeless = write_predictor(tmp_path / "success.json", "success", at=2, value=0.05)
    switched = [
        f"steering.timeout={{predictor: {quick}, margin: 2, floor: 3}}",
        f"steering.early_stop={{predictor: {hopeless}, threshold: 0.1}}",
    ]
    run = tmp_path / "run"
    found = episode(run, tiny_task, [HANGS_ONCE, "echo x > new.txt", "echo never"], *switched)
    first, second = found.steps
    assert "went through" in first.observation and first.ok and first.data["retried_after"] == 3
    assert 3 <= first.duration_ms / 1000 < 50, "it was not waited for the 60 seconds"
    assert second.ok and "retried_after" not in second.data
    assert found.end is not None and found.end.stop_reason is StopReason.EARLY_STOPPED
    assert "0.050 is below 0.1 after step 2" in (found.end.message or "")
    assert found.patch is not None and "new.txt" in found.patch.patch, "what was changed so far is the final patch"
    timeout, calm, stop = notes(run)
    assert timeout["policy"] == "timeout" and timeout["hit"] and timeout["retried"]
    assert timeout["predicted_ms"] == pytest.approx(100) and timeout["deadline_s"] == 3
    assert not calm["hit"]
    assert stop["policy"] == "early_stop" and stop["stopped"] and stop["prediction"] == pytest.approx(0.05)
    recorded = read_manifest(run)["config"]["steering"]
    assert recorded["early_stop"]["sha256"] == read_predictor(hopeless)[1], "the run says which predictor it went by"


@pytest.mark.docker
def test_without_a_retry_a_command_is_cut_unless_the_agent_asked_for_time(
    tmp_path: Path, tiny_task: Task, engine: Engine
) -> None:
    quick = write_predictor(tmp_path / "latency.json", "tool_latency", value=100.0)
    switched = f"steering.timeout={{predictor: {quick}, margin: 1, floor: 0.5, retry: false}}"
    asked = {"command": "sleep 1; echo done", "timeout": 30}
    found = episode(tmp_path / "run", tiny_task, ["sleep 20; echo done", asked], switched)
    cut, patient, _ = found.steps
    assert cut.error == "timeout" and cut.data["cut_after"] == 0.5 and "timed out after 0.5 s" in cut.observation
    assert patient.ok and "done" in patient.observation
    assert [note["hit"] for note in notes(tmp_path / "run")] == [True]
    again = replay_episode(found, tiny_task, engine)
    assert again.match is not Match.DIVERGED, "a replay gives commands the time that they were given"


@pytest.mark.docker
def test_what_hung_with_the_full_time_too_is_not_given_it_again_until_something_is_edited(
    tmp_path: Path, tiny_task: Task
) -> None:
    quick = write_predictor(tmp_path / "latency.json", "tool_latency", value=100.0)
    switched = [f"steering.timeout={{predictor: {quick}, margin: 1, floor: 0.5}}", "env.command_timeout=2"]
    commands = ["sleep 60", "sleep 60", "touch new.txt", "sleep 60"]
    first, second, edit, last, _ = episode(tmp_path / "run", tiny_task, commands, *switched).steps
    assert first.error == "timeout" and first.data["retried_after"] == 0.5
    assert second.error == "timeout" and second.data["cut_after"] == 0.5 and "retried_after" not in second.data
    assert edit.ok
    assert last.data["retried_after"] == 0.5, "the edit may have mended what hung"


@pytest.mark.docker
def test_nothing_is_steered_by_default(tmp_path: Path, tiny_task: Task) -> None:
    found = episode(tmp_path / "run", tiny_task, ["true"])
    assert notes(tmp_path / "run") == [] and found.end is not None
    assert found.end.stop_reason is StopReason.SUBMITTED


def settled(*items: str) -> Any:
    from trajectory_hub.rollouts.config import resolve

    return resolve(load_config(read_overrides(["tasks=tiny", *items]))).steering


def test_predictors_that_cannot_serve_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the predictor"):
        settled("steering.early_stop.predictor=nowhere.json")
    wrong = write_predictor(tmp_path / "latency.json", "tool_latency", value=1.0)
    with pytest.raises(ConfigError, match="needs success"):
        settled(f"steering.early_stop.predictor={wrong}")
    with pytest.raises(ConfigError, match=r"knows no quantile from 0\.999"):
        settled(f"steering.timeout={{predictor: {wrong}, quantile: 0.999}}")
    with pytest.raises(ConfigError, match="above the ceiling"):
        settled(f"steering.timeout={{predictor: {wrong}, floor: 5, ceiling: 1}}")
    digest = settled(f"steering.timeout.predictor={wrong}").timeout.sha256
    write_predictor(wrong, "tool_latency", value=2.0)
    with pytest.raises(ConfigError, match="is not the predictor that was asked for"):
        settled(f"steering.timeout={{predictor: {wrong}, sha256: {digest}}}")
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(ConfigError, match="is no predictor"):
        settled(f"steering.timeout.predictor={tmp_path / 'no.json'}")


def test_a_deadline_lies_between_floor_and_ceiling() -> None:
    from trajectory_hub.rollouts.steering import DynamicTimeout

    config = DynamicTimeout(predictor="x", margin=2, floor=1, ceiling=30)
    assert [config.deadline(ms) for ms in (10, 4000, 1e9)] == [1, 8, 30]
    assert DynamicTimeout(predictor="x", margin=2).deadline(1e9) == 2e6, "the environment's own time-outs still hold"
