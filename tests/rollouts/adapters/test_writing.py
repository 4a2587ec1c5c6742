"""What the writer of foreign episodes adds, and that its fast path writes the same bytes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import StopReason
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.adapters.base import ForeignEpisode, Timed
from trajectory_hub.rollouts.adapters.writing import EpisodeWriter, is_whole
from trajectory_hub.rollouts.log import EventWriter, Header, read_events
from trajectory_hub.rollouts.log_file import EVENTS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ZONE = NOON.astimezone(tz=None)
SAMPLES: list[payloads.Payload] = [
    payloads.EpisodeStart(task={"a": [1, None, 1.5, "ä\u2028\0"]}, origin=None),
    payloads.Phase(name="reset"),
    payloads.LlmRequest(request_id="r", model="m", messages=({"role": "user", "content": float("inf")},)),
    payloads.LlmResponse.of(
        request_id="r", parts=(payloads.Part(kind="text", at=NOON, chars=3),), cost_usd=1e-7, extra_field=1
    ),
    payloads.ToolCall(step=0, tool=None, action="\ud800", arguments={"x": {"y": "\udfff"}}),
    payloads.ToolResult(step=0, tool="t", ok=True, observation="o" * 3000, data={"n": 2**70}),
    payloads.TestRun(step=0),
    payloads.StepReward(step=0, reward=0.1),
    payloads.SandboxMetric(cpu_s=1e300),
    payloads.Error(where="policy", kind="x", message="m"),
    payloads.Note(kind="k", source="s", data={"z": NOON}),
    payloads.FinalPatch(patch="p", sha256="s"),
    payloads.Verdict(resolved=None),
    payloads.EpisodeEnd(stop_reason=StopReason.SUBMITTED, steps=1),
]


@pytest.mark.parametrize("odd", [False, True], ids=["plain", "odd"])
def test_events_put_together_are_the_same_bytes(odd: bool, tmp_path: Path) -> None:
    about: dict[str, Any] = {"model": None, "repo": 'a"b\\', "commit": "", "seed": None if odd else 7}
    header = Header(run_id="r", episode_id="e", task_id="ä", agent="g", agent_version="1", **about)
    times: list[tuple[datetime, datetime, float]] = [
        (NOON, NOON + timedelta(microseconds=1), 0.001),
        (ZONE, NOON, 5),
        (NOON, NOON, 1e22),
    ]
    with EventWriter(tmp_path / "slow", header) as slow, EventWriter(tmp_path / "fast", header) as fast:
        for payload in SAMPLES:
            for start, end, took in times:
                slow.append(slow.event(payload, t_start=start, t_end=end, duration_ms=took))
        fast.extend(*((payload, *time) for payload in SAMPLES for time in times))
    assert (tmp_path / "fast").read_bytes() == (tmp_path / "slow").read_bytes()
    assert len(list(read_events(tmp_path / "fast"))) == 3 * len(SAMPLES)


def written(folder: Path, *items: Timed, timing: Any = "recorded", message: str | None = None) -> list[Any]:
    """The events of an episode made of `items`."""
    episode = ForeignEpisode(key="k", task_id="t", agent="a", timing=timing, events=iter(()), artifacts={"../x": b"1"})
    origin = payloads.Origin(format="f", adapter="f/1", source="s", key="k", timing=timing)
    writer = EpisodeWriter("r", "e", episode, origin, int(NOON.timestamp() * 1e9), folder)
    for item in items:
        writer.take(item)
    writer.finish(message)
    return list(read_events(folder / EVENTS))


def result(**times: Any) -> Timed:
    """A step's end."""
    return Timed(payload=payloads.ToolResult(step=0, tool="t", ok=True, observation=""), **times)


def test_start_and_end_are_added(tmp_path: Path) -> None:
    start, _step, end = written(tmp_path / "e", result(t_start=NOON, t_end=NOON + timedelta(seconds=2)))
    assert start.payload.origin.source == "s" and start.t_start == NOON
    assert (end.payload.steps, end.payload.tool_ms, end.payload.stop_reason) == (1, 2000, StopReason.SUBMITTED)
    assert end.duration_ms == 2000 and (tmp_path / "e" / "artifacts").is_dir()
    assert [path.name[:2] for path in (tmp_path / "e" / "artifacts").iterdir()] == ["x-"]


def test_what_the_source_says_of_the_end_counts(tmp_path: Path) -> None:
    said = payloads.EpisodeEnd(stop_reason=StopReason.COST_LIMIT, steps=99, cost_usd=3.0)
    end = written(tmp_path / "e", result(t_start=NOON), Timed(payload=said))[-1].payload
    assert (end.stop_reason, end.cost_usd, end.steps, end.requests) == (StopReason.COST_LIMIT, 3.0, 1, 0)


def test_durations_move_the_clock(tmp_path: Path) -> None:
    events = written(tmp_path / "e", result(duration_ms=250.0), result(duration_ms=50.0), timing="durations")
    assert [event.t_end for event in events[1:3]] == [NOON + timedelta(milliseconds=ms) for ms in (250, 300)]
    assert events[-1].duration_ms == 300


def test_without_times_durations_are_not_made_up(tmp_path: Path) -> None:
    end = written(tmp_path / "e", result(), timing="none")[-1]
    assert end.payload.tool_ms is None and end.duration_ms == 0


def test_costs_that_are_not_all_known_are_unknown(tmp_path: Path) -> None:
    answers = [Timed(payload=payloads.LlmResponse(request_id="r", cost_usd=cost)) for cost in (1.0, None)]
    assert written(tmp_path / "a", answers[0])[-1].payload.cost_usd == 1.0
    assert written(tmp_path / "b", *answers)[-1].payload.cost_usd is None
    assert written(tmp_path / "c")[-1].payload.cost_usd == 0


def test_an_episode_that_was_cut_is_not_whole(tmp_path: Path) -> None:
    written(tmp_path / "a", result())
    written(tmp_path / "b", result(), message="the adapter failed")
    assert is_whole(tmp_path / "a") and not is_whole(tmp_path / "b") and not is_whole(tmp_path / "c")
