"""The events of a log: one envelope, fourteen types, and room for types that are not known yet.

These models are the one source of truth; `configs/schema/event.json` is generated from them. A line of a log
becomes an event with `parse_event` and a line again with `dump_event`; an unknown event type, and unknown
fields of a known one, survive both.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from . import payloads
from .chain import seal_line
from .timestamps import Timestamp, now

__all__ = [
    "EVENT_CLASSES",
    "SCHEMA_VERSION",
    "AnyEvent",
    "Envelope",
    "EpisodeEndEvent",
    "EpisodeStartEvent",
    "ErrorEvent",
    "Event",
    "EventType",
    "FinalPatchEvent",
    "LlmRequestEvent",
    "LlmResponseEvent",
    "NoteEvent",
    "PhaseEvent",
    "SandboxMetricEvent",
    "StepRewardEvent",
    "TestRunEvent",
    "Timestamp",
    "ToolCallEvent",
    "ToolResultEvent",
    "UnknownEvent",
    "VerdictEvent",
    "dump_event",
    "event_body",
    "now",
    "parse_event",
]

SCHEMA_VERSION = "1.3"
"""Written into every event. A new field or type raises the second number, any other change the first."""


class EventType(StrEnum):
    """The closed list of event types."""

    EPISODE_START = "episode_start"
    PHASE = "phase"
    LLM_REQUEST = "llm_request"
    LLM_RESPONSE = "llm_response"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    TEST_RUN = "test_run"
    STEP_REWARD = "step_reward"
    SANDBOX_METRIC = "sandbox_metric"
    ERROR = "error"
    NOTE = "note"
    FINAL_PATCH = "final_patch"
    VERDICT = "verdict"
    EPISODE_END = "episode_end"


class Envelope(BaseModel, frozen=True, extra="allow", use_attribute_docstrings=True):
    """What every event carries."""

    schema_version: str
    run_id: str
    episode_id: str
    task_id: str
    seq: int
    """Position in the episode's log, from 0."""
    event_type: str
    t_start: Timestamp
    t_end: Timestamp
    duration_ms: float
    """From a monotonic clock; `t_end - t_start` may differ when the wall clock was set."""
    agent: str
    agent_version: str
    model: str | None
    repo: str
    commit: str
    seed: int | None
    chain: str | None = Field(default=None, exclude=True)
    """SHA-256 of the `chain` of the event before and of this line without its own (see `chain.py`); since 1.1."""


class EpisodeStartEvent(Envelope, frozen=True):
    """See `payloads.EpisodeStart`."""

    event_type: Literal["episode_start"]
    payload: payloads.EpisodeStart


class PhaseEvent(Envelope, frozen=True):
    """See `payloads.Phase`."""

    event_type: Literal["phase"]
    payload: payloads.Phase


class LlmRequestEvent(Envelope, frozen=True):
    """See `payloads.LlmRequest`."""

    event_type: Literal["llm_request"]
    payload: payloads.LlmRequest


class LlmResponseEvent(Envelope, frozen=True):
    """See `payloads.LlmResponse`."""

    event_type: Literal["llm_response"]
    payload: payloads.LlmResponse


class ToolCallEvent(Envelope, frozen=True):
    """See `payloads.ToolCall`."""

    event_type: Literal["tool_call"]
    payload: payloads.ToolCall


class ToolResultEvent(Envelope, frozen=True):
    """See `payloads.ToolResult`."""

    event_type: Literal["tool_result"]
    payload: payloads.ToolResult


class TestRunEvent(Envelope, frozen=True):
    """See `payloads.TestRun`."""

    __test__ = False

    event_type: Literal["test_run"]
    payload: payloads.TestRun


class StepRewardEvent(Envelope, frozen=True):
    """See `payloads.StepReward`."""

    event_type: Literal["step_reward"]
    payload: payloads.StepReward


class SandboxMetricEvent(Envelope, frozen=True):
    """See `payloads.SandboxMetric`."""

    event_type: Literal["sandbox_metric"]
    payload: payloads.SandboxMetric


class ErrorEvent(Envelope, frozen=True):
    """See `payloads.Error`."""

    event_type: Literal["error"]
    payload: payloads.Error


class NoteEvent(Envelope, frozen=True):
    """See `payloads.Note`; since 1.3."""

    event_type: Literal["note"]
    payload: payloads.Note


class FinalPatchEvent(Envelope, frozen=True):
    """See `payloads.FinalPatch`."""

    event_type: Literal["final_patch"]
    payload: payloads.FinalPatch


class VerdictEvent(Envelope, frozen=True):
    """See `payloads.Verdict`."""

    event_type: Literal["verdict"]
    payload: payloads.Verdict


class EpisodeEndEvent(Envelope, frozen=True):
    """See `payloads.EpisodeEnd`."""

    event_type: Literal["episode_end"]
    payload: payloads.EpisodeEnd


class UnknownEvent(Envelope, frozen=True):
    """An event of a type that this version does not know, kept as it is."""

    payload: Mapping[str, Any]


Event = (
    EpisodeStartEvent
    | PhaseEvent
    | LlmRequestEvent
    | LlmResponseEvent
    | ToolCallEvent
    | ToolResultEvent
    | TestRunEvent
    | StepRewardEvent
    | SandboxMetricEvent
    | ErrorEvent
    | NoteEvent
    | FinalPatchEvent
    | VerdictEvent
    | EpisodeEndEvent
)
AnyEvent = Event | UnknownEvent

_KNOWN: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event_type")])

_CLASSES: tuple[type[Event], ...] = get_args(Event)


def _kind(cls: type[Event]) -> EventType:
    return EventType(get_args(cls.model_fields["event_type"].annotation)[0])


EVENT_CLASSES: Mapping[type[payloads.Payload], tuple[type[Event], EventType]] = {
    cls.__annotations__["payload"]: (cls, _kind(cls)) for cls in _CLASSES
}
"""The event class and the type that belong to each class of payload."""


def parse_event(line: bytes | str) -> AnyEvent:
    """The event of one line. Raises pydantic's ValidationError when it is none."""
    try:
        return _KNOWN.validate_json(line)
    except ValidationError as error:
        if error.errors(include_input=False, include_url=False)[0]["type"] != "union_tag_invalid":
            raise
    return UnknownEvent.model_validate_json(line)


def dump_event(event: AnyEvent) -> bytes:
    """One line, newline included."""
    body = event_body(event)
    return seal_line(body, event.chain) if event.chain is not None else body + b"\n"


def event_body(event: AnyEvent) -> bytes:
    """The JSON object of an event without its chain value."""
    return event.__pydantic_serializer__.to_json(event)
