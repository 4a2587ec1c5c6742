"""Features of a live episode are those of layer 2, and know nothing of what comes later."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from math import isnan
from pathlib import Path

import pytest
from trajectory_hub.envs.step import Step
from trajectory_hub.eval.prediction.data import Trace, read_traces
from trajectory_hub.rollouts.episode_log import EVENTS
from trajectory_hub.rollouts.events import LlmResponseEvent, StepRewardEvent, ToolCallEvent, ToolResultEvent
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.steering.facts import CallFacts, Reader, StepFacts
from trajectory_hub.rollouts.steering.features import CALL_NAMES, NAMES, History
from trajectory_hub.rollouts.trajectory import Trajectory, read_trajectories
from trajectory_hub.tools.base import Telemetry

RECORDED = Path(__file__).parents[2] / "data" / "runs-1.0"


def same(one: list[float], other: list[float], names: tuple[str, ...]) -> None:
    assert len(one) == len(other) == len(names)
    for name, a, b in zip(names, one, other, strict=True):
        assert (isnan(a) and isnan(b)) or a == pytest.approx(b, abs=1e-9), name


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "random"
    return Path(shutil.copytree(RECORDED / "random", folder))


def live(trajectory: Trajectory) -> Iterator[tuple[list[float], list[float]]]:
    """Features as an episode goes on: of each call before it is made, and after it."""
    assert trajectory.folder is not None
    reader, history = Reader(str(trajectory.start.sandbox["workdir"])), History()
    steps = {step.index: step for step in trajectory.steps}
    rewards = {
        event.payload.step: event.payload.reward
        for event in read_events(trajectory.folder / EVENTS)
        if isinstance(event, StepRewardEvent)
    }
    for event in read_events(trajectory.folder / EVENTS):
        if isinstance(event, LlmResponseEvent):
            usage = event.payload.usage
            history.spending.add(usage.input_tokens, usage.output_tokens)
        elif isinstance(event, ToolCallEvent):
            before = history.call_vector(reader.call(planned(steps[event.payload.step])))
        elif isinstance(event, ToolResultEvent):
            number = event.payload.step
            history.take(reader.step(steps[number], rewards.get(number)))
            yield before, history.vector()  # pyright: ignore[reportPossiblyUnboundVariable]


def planned(step: Step) -> Step:
    """A step before it was done."""
    return Step(
        index=step.index,
        action=step.action,
        tool=step.tool,
        arguments=step.arguments,
        observation="",
        ok=True,
        error="malformed_action" if step.malformed else None,
        telemetry=Telemetry(wall_ms=0.0),
        t_start=step.t_start,
        t_end=step.t_start + timedelta(0),
        duration_ms=0.0,
    )


def test_live_features_are_those_of_the_tables(run: Path) -> None:
    traces = {trace.episode_id: trace for trace in read_traces([run])}
    seen = 0
    for trajectory in read_trajectories(run):
        trace = traces[trajectory.header.episode_id]
        derived = [history.call_vector(step.call) for history, step in trace.histories()]
        for number, (before, after) in enumerate(live(trajectory)):
            same(before, derived[number], CALL_NAMES)
            same(after, trace.after(number + 1), NAMES)
            seen += 1
    assert seen > 20


def step(action: str = "read", **facts: object) -> StepFacts:
    return StepFacts(action=action, **facts)  # pyright: ignore[reportArgumentType]


def trace_of(steps: list[StepFacts], resolved: bool = True) -> Trace:
    return Trace(
        run_id="r",
        episode_id="e",
        task="t",
        repo=None,
        resolved=resolved,
        cost_usd=1.0,
        tokens=10,
        wall_s=9.0,
        steps=tuple(steps),
        asked=(),
        by=(None,) * len(steps),
        elapsed=(None,) * len(steps),
    )


def test_what_comes_later_changes_nothing() -> None:
    past = [
        step(tool_ms=5.0, failed=True),
        step("edit", edited=("a.py",)),
        step("test", tests_passed=3, tests_failed=1),
    ]
    calm = [step("submit")] * 3
    wild = [step("run", tool_ms=1e6, failed=True, error="timeout", edited=("b.py",), reward=0.0)] * 9
    one, other = trace_of([*past, *calm]), trace_of([*past, *wild], resolved=False)
    for at in range(1, len(past) + 1):
        same(one.after(at), other.after(at), NAMES)
    for place, ((h1, s1), (h2, s2)) in enumerate(zip(one.histories(), other.histories(), strict=False)):
        if place < len(past):
            same(h1.call_vector(s1.call), h2.call_vector(s2.call), CALL_NAMES)


def test_the_result_of_a_call_is_not_known_before_it_is_made() -> None:
    good = step("run", program="make", tool_ms=1.0, failed=False)
    bad = step("run", program="make", tool_ms=9e5, failed=True)
    vectors = [history.call_vector(one.call) for only in (good, bad) for history, one in trace_of([only]).histories()]
    same(vectors[0], vectors[1], CALL_NAMES)


def test_figures_are_what_they_say() -> None:
    history = History()
    for one in (
        step(paths=("a.py",), observation_chars=10, failed=False),
        step("edit", edited=("a.py",), failed=True, error="timeout", repeated=True),
        step("test", tests_passed=4, tests_failed=2, failed=True, reward=0.25),
    ):
        history.take(one)
    found = dict(zip(NAMES, history.vector(), strict=True))
    wanted = {"steps": 3, "share_failed": 2 / 3, "failed_in_a_row": 2, "share_repeated": 1 / 3, "limits_hit": 1}
    wanted |= {"edits": 1, "first_edit": 1, "since_edit": 1, "files_named": 1, "files_edited": 1, "tests_failed": 2}
    wanted |= {"last_test": 1, "last_edit": 0, "share_edit": 1 / 3, "reward_mean": 0.25, "requests": 0}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)
    assert isnan(found["tool_ms_mean"]) and isnan(found["prompt_tokens"])
    call = dict(
        zip(CALL_NAMES, history.call_vector(CallFacts(action="edit", program=None, action_chars=0)), strict=True)
    )
    assert call["like_action_last_failed"] == 1.0 and isnan(call["like_action_tool_ms_mean"]) and call["call_edit"] == 1
