"""Runs against the real engine: records, resume, retries, budgets, stragglers, interruption."""

import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError, Failure, StopReason
from trajectory_hub.rollouts import payloads, threads
from trajectory_hub.rollouts.events import EventType, PhaseEvent
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.policies import Action, Context, PolicyBase, PolicyStop, Session, TaskView
from trajectory_hub.rollouts.run_dir import read_episodes
from trajectory_hub.rollouts.steps import StepView, steps_of

from .conftest import RunTasks
from .faulty import message, serving

pytestmark = pytest.mark.docker


def ours(engine: Engine, run: Path) -> list[Any]:
    """Containers that this process started for the run; others may test on the same engine."""
    mine = engine.labels() | {"trajhub.run": run.name}
    return [box for box in engine.containers() if mine.items() <= box["Labels"].items()]


class Scripted(PolicyBase):
    """A policy whose sessions do what a test tells them."""

    name = "test"

    def __init__(self, act: Any) -> None:
        self._act = act
        self.cancelled = threading.Event()
        self.started = list[str]()

    def start(self, task: TaskView, context: Context) -> Session:
        self.started.append(task.instance_id)
        outer, calls = self, list[str]()

        class Playing:
            def act(self, observation: str, info: Mapping[str, Any]) -> Action:
                calls.append(observation)
                return outer._act(task, context, len(calls))

            def cancel(self) -> None:
                outer.cancelled.set()

            def close(self) -> None:
                pass

        return Playing()


def shell(command: str) -> Action:
    return Action(call={"name": "shell", "arguments": {"command": command}})


SUBMIT = Action(call={"name": "submit", "arguments": {}})


def submit(task: TaskView, context: Context, call: int) -> Action:
    return SUBMIT


def ask(task: TaskView, context: Context, call: int) -> Action:
    return Action(call="what now?")


def test_the_reference_policy_resolves_and_everything_is_recorded(
    run_tasks: RunTasks, tmp_path: Path, engine: Engine
) -> None:
    summary = run_tasks("grade=true", "seeds=2")
    assert summary.outcomes == {"resolved": 6}
    assert (summary.counted, summary.graded, summary.excluded) == (6, 6, {})
    run = tmp_path / "run"
    episode = next(read_episodes(run))
    events = list(read_events(episode.folder / "events.jsonl"))
    assert [event.seq for event in events] == list(range(len(events)))
    kinds = {event.event_type for event in events}
    assert kinds == set(EventType) - {"llm_request", "llm_response", "error", "note"}
    phases = [event.payload.name for event in events if isinstance(event, PhaseEvent)]
    assert (phases[:2], phases[-1]) == (["reset", "explore"], "submit") and {"edit", "test"} <= set(phases)
    assert (events[0].event_type, events[-2].event_type, events[-1].event_type) == (
        "episode_start",
        "episode_end",
        "verdict",
    )
    steps = [item for item in steps_of(events) if isinstance(item, StepView)]
    assert [step.call.step for step in steps] == list(range(len(steps)))
    assert [step.call.tool for step in steps][-3:] == ["run_tests", "git", "submit"]
    assert all(step.result and step.reward and step.metric for step in steps)
    assert any(
        rule["evidence"]
        for step in steps
        for c in (step.reward or payloads.StepReward(step=0, reward=0)).criteria
        for rule in c.rules
    )
    assert episode.end is not None
    assert episode.end.steps == len(steps)
    assert episode.end.cpu_s is not None
    assert episode.end.cpu_s > 0
    assert (episode.folder / "patch.diff").read_text() == (episode.patch.patch if episode.patch else None)
    assert (episode.folder / "verdict.json").exists()
    assert ours(engine, run) == []


def test_a_run_is_resumed_without_redoing_what_is_finished(run_tasks: RunTasks, tmp_path: Path) -> None:
    first = run_tasks("policy=random", "seeds=2")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("events.jsonl")}
    lost = sorted(before)[0]
    lost.write_bytes(lost.read_bytes()[: lost.stat().st_size // 2])  # as a power cut would
    again = run_tasks("policy=random", "seeds=2", "workers=3")
    assert len(again.rows) == len(first.rows) == 6
    assert again.earlier_attempts == 1
    touched = {path for path, time_ in before.items() if path.stat().st_mtime_ns != time_}
    assert touched == {lost}
    closed = next(e for e in read_episodes(tmp_path / "run") if e.folder == lost.parent)
    assert closed.end is not None
    assert (closed.end.stop_reason, closed.end.recovered) == (StopReason.INTERRUPTED, True)
    redone = next(row for row in again.rows if row.attempt == 2)
    assert redone.outcome != "interrupted"


def test_grading_may_be_switched_on_afterwards(run_tasks: RunTasks) -> None:
    plain = run_tasks("policy=reference")
    assert plain.outcomes == {"submitted": 3}
    graded = run_tasks("policy=reference", "grade=true", "workers=3")
    assert (graded.outcomes, graded.earlier_attempts) == ({"resolved": 3}, 0)


def test_a_changed_configuration_is_refused_by_name(run_tasks: RunTasks, tiny_task: Task) -> None:
    run_tasks("policy=random")
    with pytest.raises(ConfigError, match=r"env\.max_steps: 100 -> 3"):
        run_tasks("policy=random", "env.max_steps=3")
    with pytest.raises(ConfigError, match=r"policy\.name: 'random' -> 'reference'"):
        run_tasks("policy=reference")
    with pytest.raises(ConfigError, match=r"tasks\.trajhub__tiny-2"):
        run_tasks("policy=random", tasks=[tiny_task])


def test_an_environment_failure_is_retried_and_counted_apart(
    run_tasks: RunTasks, three_tasks: list[Task], tmp_path: Path
) -> None:
    broken = three_tasks[0].model_copy(update={"image": "trajhub/no-such-image:1"})
    summary = run_tasks("policy=random", "retries=1", tasks=[broken, *three_tasks[1:]])
    assert summary.excluded == {"environment": 1}
    assert summary.counted == 2
    assert summary.earlier_attempts == 1
    row = next(row for row in summary.rows if row.task == broken.instance_id)
    assert (row.outcome, row.failure, row.attempt) == ("environment_error", "environment", 2)
    assert "2 episodes counted; not counted: 1 environment" in summary.sentences
    attempts = [e for e in read_episodes(tmp_path / "run") if e.first.task_id == broken.instance_id]
    assert [e.attempt for e in attempts] == [1, 2]


def test_a_policy_that_hangs_does_not_hold_the_run(run_tasks: RunTasks, tmp_path: Path, engine: Engine) -> None:
    forever = threading.Event()

    def act(task: TaskView, context: Context, call: int) -> Action:
        if task.instance_id.endswith("-1") and call == 2:
            forever.wait(200)
        return shell("echo hi > new.txt") if call == 1 else SUBMIT

    began = time.monotonic()
    summary = run_tasks("env.time_limit=6", "workers=1", policy=Scripted(act))
    assert time.monotonic() - began < 150
    forever.set()
    assert summary.outcomes == {"time_limit": 1, "submitted": 2}
    late = next(e for e in read_episodes(tmp_path / "run") if e.first.task_id.endswith("-1"))
    assert late.patch is not None
    assert "new.txt" in late.patch.patch
    assert ours(engine, tmp_path / "run") == []


def test_an_environment_that_hangs_is_left_behind(
    run_tasks: RunTasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forever, stuck = threading.Event(), threading.Event()

    class Stuck(gymnasium.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            if not stuck.is_set():
                stuck.set()
                forever.wait(200)
            return super().step(action)

    module = ModuleType("a_stuck_environment")
    module.__dict__["Stuck"] = Stuck
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(threads, "_ABANDON_SECONDS", 1.0)
    began = time.monotonic()
    summary = run_tasks(
        "env.time_limit=5", "workers=1", "wrappers=['a_stuck_environment:Stuck']", policy=Scripted(submit)
    )
    assert time.monotonic() - began < 150
    assert summary.outcomes == {"submitted": 3}
    lost = [e for e in read_episodes(tmp_path / "run") if e.to_retry]
    assert [(e.attempt, e.end.stop_reason if e.end else None) for e in lost] == [(1, StopReason.ENVIRONMENT_ERROR)]
    before = (lost[0].folder / "events.jsonl").read_bytes()
    forever.set()
    time.sleep(1)
    assert (lost[0].folder / "events.jsonl").read_bytes() == before, "a closed episode was written to"


def test_a_policy_may_end_its_episode(run_tasks: RunTasks) -> None:
    def act(task: TaskView, context: Context, call: int) -> Action:
        raise PolicyStop(StopReason.EARLY_STOPPED, "hopeless", failure=Failure.MODEL)

    summary = run_tasks(policy=Scripted(act))
    assert summary.outcomes == {"early_stopped": 3}
    assert summary.failures == {"model": 3}
    assert summary.counted == 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_policy_with_a_bug_ends_the_run_and_its_episode_is_done_again(run_tasks: RunTasks, tmp_path: Path) -> None:
    def broken(task: TaskView, context: Context, call: int) -> Action:
        raise KeyError("oops")

    with pytest.raises(KeyError):
        run_tasks("workers=1", policy=Scripted(broken))
    (episode,) = read_episodes(tmp_path / "run")
    assert episode.end is not None
    assert episode.end.stop_reason is StopReason.INTERRUPTED
    summary = run_tasks("workers=1", policy=Scripted(submit))
    assert summary.outcomes == {"submitted": 3}


def test_a_run_stops_when_its_time_is_over(run_tasks: RunTasks) -> None:
    def act(task: TaskView, context: Context, call: int) -> Action:
        time.sleep(0.2)
        return shell("true")

    summary = run_tasks("workers=1", "budget.run_seconds=2", policy=Scripted(act))
    assert summary.excluded == {"interrupted": 1}
    assert len(summary.rows) == 1
    done = run_tasks("workers=3", policy=Scripted(submit))
    assert done.outcomes == {"submitted": 3}


def test_a_spent_budget_of_the_run_begins_nothing_more(run_tasks: RunTasks, tmp_path: Path) -> None:
    price = "prices={as_of: 2026-01-01, models: {m-1: {input: 1000, output: 1000}}}"
    with serving(message(None, [("submit", "{}")])) as seen:
        settings = (f"policy=chat:m-1@{seen.url}", price, "workers=1")
        first = run_tasks(*settings, "budget.run_cost_usd=0.05")
        assert (first.outcomes, len(seen.bodies)) == ({"submitted": 1}, 1)
        again = run_tasks(*settings, "budget.run_cost_usd=0.06")
        assert (again.outcomes, again.earlier_attempts, len(seen.bodies)) == ({"submitted": 1}, 0, 1)
        more = run_tasks(*settings, "budget.run_cost_usd=5")
        assert (more.outcomes, more.earlier_attempts, len(seen.bodies)) == ({"submitted": 3}, 0, 3)
    assert more.cost_usd == pytest.approx(3 * 0.11)


def test_limits_of_the_environment_are_stop_reasons(run_tasks: RunTasks) -> None:
    summary = run_tasks("env.max_steps=2", policy=Scripted(ask))
    assert summary.stop_reasons == {"step_limit": 3}
    assert all(row.steps == 2 for row in summary.rows)


def test_gymnasium_make_records_by_itself(tiny_task: Task, tmp_path: Path) -> None:
    run = tmp_path / "mine"
    env: gymnasium.Env[Any, Any] = gymnasium.make("SWEBench-v0", tasks=[tiny_task], record=str(run))
    try:
        for seed in (1, 2):
            env.reset(seed=seed)
            env.step('{"name": "shell", "arguments": {"command": "ls"}}')
        env.step('{"name": "submit", "arguments": {}}')
    finally:
        env.close()
    ends = [e.end.stop_reason for e in read_episodes(run) if e.end is not None]
    assert ends == [StopReason.INTERRUPTED, StopReason.SUBMITTED]
