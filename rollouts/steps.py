"""An episode's events as steps: what was called, what came of it, what it was worth, what it cost."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import payloads
from .events import (
    AnyEvent,
    SandboxMetricEvent,
    StepRewardEvent,
    TestRunEvent,
    ToolCallEvent,
    ToolResultEvent,
)

__all__ = ["StepView", "steps_of"]


@dataclass(slots=True, kw_only=True)
class StepView:
    """One step, put together from its events. A part that the log does not hold is None."""

    call: payloads.ToolCall
    result: payloads.ToolResult | None = None
    tests: payloads.TestRun | None = None
    reward: payloads.StepReward | None = None
    metric: payloads.SandboxMetric | None = None
    duration_ms: float = 0.0


def steps_of(events: Iterable[AnyEvent]) -> Iterator[StepView | AnyEvent]:
    """Yield the steps in order, and between them every event that belongs to no step."""
    step: StepView | None = None
    for event in events:
        if isinstance(event, ToolCallEvent):
            if step is not None:
                yield step
            step = StepView(call=event.payload)
        elif step is None or not _belongs(step, event):
            if step is not None:
                yield step
                step = None
            yield event
    if step is not None:
        yield step


def _belongs(step: StepView, event: AnyEvent) -> bool:
    number = step.call.step
    match event:
        case ToolResultEvent(payload=payload) if payload.step == number:
            step.result, step.duration_ms = payload, event.duration_ms
        case TestRunEvent(payload=payload) if payload.step == number:
            step.tests = payload
        case StepRewardEvent(payload=payload) if payload.step == number:
            step.reward = payload
        case SandboxMetricEvent(payload=payload) if payload.step == number:
            step.metric = payload
        case _:
            return False
    return True
