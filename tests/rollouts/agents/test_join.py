"""Transcript, proxy, telemetry and samples become one log."""

from dataclasses import replace
from typing import Any

import pytest
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.adapters.base import Timed
from trajectory_hub.rollouts.adapters.telling import Answer, Call, Teller, tool_call
from trajectory_hub.rollouts.agents.clock import Clock
from trajectory_hub.rollouts.agents.facts import Fact, fact_of
from trajectory_hub.rollouts.agents.join import Joined, Records, join
from trajectory_hub.rollouts.otlp import LogRecord, SpanRecord

from .dialogues import COMMANDS, OUTPUTS, at, exchanges

TRACE = "0af7651916cd43dd8448eb211c80319c"


def transcript(*, ids: bool = True, text: bool = True, skew: float = 0.0) -> list[Timed]:
    """What an agent wrote down of the conversation of `exchanges`, by a clock that is `skew` seconds ahead."""
    teller, events = Teller("test"), list[Timed]()
    for number, command in enumerate([*COMMANDS, None]):
        begun = 10 * number
        calls = [tool_call("bash", {"command": command}, f"call_{number:04d}" if ids else None)] if command else []
        said = "All is done." if command is None else f"Step {number + 1}: I run a command."
        answer = Answer(
            content=said if text else f"(put differently) {number}",
            tool_calls=calls if text else (),
            request_id=f"chatcmpl-{number:04d}" if ids else None,
            asked=at(begun - 0.1 + skew),
            answered=at(begun + 2.2 + skew),
        )
        events += teller.answer(answer)
        if command is not None:
            call = Call(tool="bash", arguments={"command": command}, action=command, call_id=f"c{number}")
            events.append(teller.call(call, at(begun + 2.3 + skew)))
            done = teller.result(f"c{number}", OUTPUTS[number], at=at(begun + 9 + skew))
            assert done is not None
            events.append(done)
    return events


def joined(events: list[Timed], facts: list[Fact] | None = None, **more: Any) -> Joined:
    return join(
        Records(workdir="/testbed", trace_id=TRACE, transcript=events, exchanges=exchanges(), facts=facts or [], **more)
    )


def notes_of(found: Joined) -> list[Timed]:
    return [event for event in found.events if isinstance(event.payload, payloads.Note)]


def answers(found: Joined) -> list[Timed]:
    return [event for event in found.events if isinstance(event.payload, payloads.LlmResponse)]


@pytest.mark.parametrize(
    ("how", "events"),
    [
        ("id", transcript()),
        ("content", transcript(ids=False)),
        ("order", transcript(ids=False, text=False)),
    ],
)
def test_answers_are_joined_by_the_strongest_means_there_is(how: str, events: list[Timed]) -> None:
    found = joined(events)
    assert found.quality["by"] == {how: 4} and found.quality["share"] == 1.0
    for number, event in enumerate(answers(found)):
        said = event.payload
        assert isinstance(said, payloads.LlmResponse)
        assert (event.t_start, event.t_end) == (at(10 * number), at(10 * number + 2))  # the proxy's times
        assert said.cost_usd == 0.01 and said.time_to_first_token_ms == 1000
        assert said.usage.output_tokens == 20 + number
    calls = [event.payload for event in found.events if isinstance(event.payload, payloads.ToolCall)]
    assert [call.arguments["command"] for call in calls] == COMMANDS  # none twice


def test_what_the_agent_recorded_is_kept() -> None:
    events = transcript()
    own = events[1].payload
    assert isinstance(own, payloads.LlmResponse)
    told = own.model_copy(update={"usage": payloads.Usage(output_tokens=7), "cost_usd": 0.5})
    events[1] = replace(events[1], payload=told)
    said = answers(joined(events))[0].payload
    assert isinstance(said, payloads.LlmResponse)
    assert (said.usage.output_tokens, said.usage.input_tokens, said.cost_usd) == (7, 1000, 0.5)


@pytest.mark.parametrize("skew", [-3600.0, -5.0, 0.0, 0.05, 90.0, 7200.0])
def test_a_clock_that_is_wrong_is_set_by_cause_and_effect(skew: float) -> None:
    found = joined(transcript(skew=skew))
    offset = found.quality["clock"]["offset_ms"] / 1000
    assert offset == (0.0 if abs(skew) < 0.1 else pytest.approx(skew, abs=1.5))
    assert found.quality["clock"]["contradicted"] == 0
    results = [event for event in found.events if isinstance(event.payload, payloads.ToolResult)]
    for number, event in enumerate(results):
        assert event.t_end is not None
        assert abs((event.t_end - at(10 * number + 9)).total_seconds()) < 1.5


def test_a_clock_that_nothing_explains_says_so() -> None:
    clock = Clock()
    clock.after(at(0), at(5))  # their effect 5 s before our cause
    clock.before(at(20), at(10))  # and their cause 10 s after our effect
    assert clock.as_dict()["contradicted"] > 0


def test_exchanges_that_the_transcript_does_not_have_are_told_by_the_proxy() -> None:
    torn = transcript()[:4]  # the first step, and no more
    found = joined(torn)
    calls = [event.payload for event in found.events if isinstance(event.payload, payloads.ToolCall)]
    assert [call.arguments["command"] for call in calls] == COMMANDS
    assert [call.step for call in calls] == [0, 1, 2]
    assert found.quality["requests"] == {"matched": 1, "only_in_transcript": 0, "only_at_proxy": 3}
    assert found.quality["share"] == 0.25


def log(name: str, seconds: float, **attributes: Any) -> Fact:
    nano = int(at(seconds).timestamp() * 1e9)
    return fact_of(
        LogRecord(
            received=at(seconds + 1), export="e", index=0, event_name=name, time_unix_nano=nano, attributes=attributes
        )
    )


def test_telemetry_is_joined_by_ids_else_by_what_it_says() -> None:
    facts = [
        log("claude_code.user_prompt", 0, prompt_length=8),
        log("claude_code.api_request", 2.1, request_id="req-0", duration_ms=2000, output_tokens=20),
        log("claude_code.tool_result", 9, tool_use_id="c0", tool_name="bash", duration_ms=6500),
        log("gemini_cli.tool_call", 19, function_name="bash", duration_ms=6400),
        log("gemini_cli.api_response", 22, duration_ms=2000, output_token_count=22),
        log("codex.tool_result", 5000, tool_name="other", duration_ms=1),
    ]
    found = joined(transcript(), facts)
    notes = {event.payload.kind: event.payload for event in found.events if isinstance(event.payload, payloads.Note)}
    assert notes["claude_code.api_request"].data["joined_by"] == "id"
    assert notes["claude_code.api_request"].data["joined_request"] == "chatcmpl-0000"
    assert (notes["claude_code.tool_result"].step, notes["gemini_cli.tool_call"].step) == (0, 1)
    assert notes["gemini_cli.api_response"].data["joined_request"] == "chatcmpl-0002"
    assert notes["gemini_cli.tool_call"].data["joined_by"] == "content"
    results = [event.payload for event in found.events if isinstance(event.payload, payloads.ToolResult)]
    assert [result.internal_ms for result in results] == [6500, 6400, None]
    assert found.quality["telemetry"] == {"matched": 4, "unmatched": 1, "other": 1, "in_trace": 0}
    assert found.quality["unmatched"] == 1 and found.quality["share"] == pytest.approx(8 / 9, abs=1e-4)


def test_spans_of_the_given_trace_are_counted() -> None:
    start, end = (int(at(second).timestamp() * 1e9) for second in (2.5, 9))
    span = SpanRecord(
        received=at(10), export="e", index=0, name="execute_tool bash", trace_id=TRACE, span_id="b7ad6b7169203331",
        start_unix_nano=start, end_unix_nano=end, attributes={"gen_ai.tool.call.id": "c0"},
    )  # fmt: skip
    found = joined(transcript(), [fact_of(span)])
    assert found.quality["telemetry"]["in_trace"] == 1
    note = next(event for event in notes_of(found) if event.payload.source == "otlp")  # type: ignore[union-attr]
    assert note.payload.step == 0 and note.t_start == at(2.5)  # type: ignore[union-attr]


def test_samples_lie_between_the_steps_they_were_taken_in() -> None:
    samples = [Timed(payload=payloads.SandboxMetric(scope="sample"), t_start=at(s), t_end=at(s)) for s in (1, 5, 11)]
    found = joined(transcript(), samples=samples)
    kinds = [type(event.payload).__name__ for event in found.events if not isinstance(event.payload, payloads.Note)]
    assert kinds[:4] == ["LlmRequest", "SandboxMetric", "LlmResponse", "SandboxMetric"]
    begun = (payloads.Phase, payloads.ToolCall)
    ends = [event.t_end or event.t_start for event in found.events if not isinstance(event.payload, begun)]
    assert ends == sorted(ends, key=str)


def test_an_event_without_times_leaves_the_others_in_their_order() -> None:
    untimed = Timed(payload=payloads.Note.of(kind="state", source="test"))
    early = Timed(payload=payloads.Note.of(kind="early", source="test"), t_start=at(-5), t_end=at(-5))
    found = joined([untimed, *transcript(), early])
    kinds = [getattr(event.payload, "kind", type(event.payload).__name__) for event in found.events]
    assert kinds[:4] == ["state", "early", "tools", "LlmRequest"]


def test_a_request_that_was_never_answered_is_a_note() -> None:
    lost = exchanges()[0].model_copy(
        update={"id": "lost", "status": 403, "fault": "denied", "response": None, "api": None, "path": "/v1/files"}
    )
    found = join(Records(workdir="/testbed", exchanges=[*exchanges(), lost]))
    note = next(event.payload for event in notes_of(found) if event.payload.kind == "denied")  # type: ignore[union-attr]
    assert isinstance(note, payloads.Note)
    assert (note.kind, note.source, note.data["path"]) == ("denied", "proxy", "/v1/files")
