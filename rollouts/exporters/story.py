"""An episode's events put together: which answer led to which steps, and what belongs to each of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..events import (
    AnyEvent,
    EpisodeEndEvent,
    EpisodeStartEvent,
    ErrorEvent,
    FinalPatchEvent,
    LlmRequestEvent,
    LlmResponseEvent,
    NoteEvent,
    PhaseEvent,
    SandboxMetricEvent,
    StepRewardEvent,
    TestRunEvent,
    ToolCallEvent,
    ToolResultEvent,
    VerdictEvent,
)
from ..log import Header

__all__ = ["Act", "Story", "Turn", "tell"]


@dataclass(slots=True)
class Act:
    """One step: a call and everything that is recorded of it."""

    call: ToolCallEvent
    result: ToolResultEvent | None = None
    reward: StepRewardEvent | None = None
    metric: SandboxMetricEvent | None = None
    tests: list[TestRunEvent] = field(default_factory=list[TestRunEvent])

    @property
    def call_id(self) -> str:
        """The service's id of the call; one of ours where there is none."""
        return self.call.payload.call_id or f"step-{self.call.payload.step}"


@dataclass(slots=True)
class Turn:
    """A request, its answer, and the steps that the answer became; without the first two, steps of a program."""

    request: LlmRequestEvent | None = None
    response: LlmResponseEvent | None = None
    acts: list[Act] = field(default_factory=list[Act])

    @property
    def thread(self) -> str | None:
        """The subagent whose turn it is; None for the agent itself."""
        return self.request.payload.thread if self.request is not None else None

    @property
    def open(self) -> bool:
        """Whether the answer may become one more step."""
        return self.response is not None and len(self.acts) < max(1, len(self.response.payload.tool_calls))

    def asked(self, call: ToolCallEvent) -> bool:
        """Whether the answer holds this very call."""
        wanted = call.payload.call_id
        calls = self.response.payload.tool_calls if self.response is not None else ()
        return wanted is not None and any(item.get("id") == wanted for item in calls)


@dataclass(slots=True)
class Story:
    """One episode. Events of each list are in the order of the log."""

    header: Header
    events: list[AnyEvent] = field(default_factory=list[AnyEvent])
    start: EpisodeStartEvent | None = None
    turns: list[Turn] = field(default_factory=list[Turn])
    phases: list[PhaseEvent] = field(default_factory=list[PhaseEvent])
    metrics: list[SandboxMetricEvent] = field(default_factory=list[SandboxMetricEvent])
    """Those of no step: samples, and totals of the episode."""
    errors: list[ErrorEvent] = field(default_factory=list[ErrorEvent])
    notes: list[NoteEvent] = field(default_factory=list[NoteEvent])
    patches: list[FinalPatchEvent] = field(default_factory=list[FinalPatchEvent])
    verdicts: list[VerdictEvent] = field(default_factory=list[VerdictEvent])
    ends: list[EpisodeEndEvent] = field(default_factory=list[EpisodeEndEvent])
    rest: list[AnyEvent] = field(default_factory=list[AnyEvent])
    """Events of types that are not known, and those of steps whose call is not there."""

    @property
    def end(self) -> EpisodeEndEvent | None:
        """How it ended; None while it runs, or when its process died."""
        return self.ends[-1] if self.ends else None

    @property
    def patch(self) -> str | None:
        """What the agent changed; None when that is not recorded."""
        return self.patches[-1].payload.patch if self.patches else None

    @property
    def verdict(self) -> VerdictEvent | None:
        """The last verdict."""
        return self.verdicts[-1] if self.verdicts else None

    @property
    def timed(self) -> bool:
        """Whether the times of the events mean something."""
        origin = self.start.payload.origin if self.start is not None else None
        return origin is None or origin.timing != "none"

    @property
    def acts(self) -> list[Act]:
        """All steps, in their order."""
        return sorted((act for turn in self.turns for act in turn.acts), key=lambda act: act.call.payload.step)

    @property
    def threads(self) -> list[str | None]:
        """The agent itself and its subagents, by first appearance."""
        return list(dict.fromkeys([None, *(turn.thread for turn in self.turns)]))


def tell(events: Iterable[AnyEvent]) -> Story:
    """Put the events of one episode together; there must be one."""
    teller: _Teller | None = None
    for event in events:
        teller = teller or _Teller(Story(Header.of(event)))
        teller.take(event)
    assert teller is not None
    return teller.story


class _Teller:
    def __init__(self, story: Story) -> None:
        self.story = story
        self._asked: dict[str, Turn] = {}
        self._acts: dict[int, Act] = {}

    def take(self, event: AnyEvent) -> None:
        story = self.story
        story.events.append(event)
        match event:
            case LlmRequestEvent(payload=request):
                self._asked[request.request_id] = turn = Turn(event)
                story.turns.append(turn)
            case LlmResponseEvent(payload=response):
                self._answer(event, self._asked.get(response.request_id))
            case ToolCallEvent(payload=call):
                self._acts[call.step] = act = Act(event)
                self._turn_of(event).acts.append(act)
            case ToolResultEvent() | StepRewardEvent() | TestRunEvent():
                self._of_step(event)
            case SandboxMetricEvent(payload=metric) if metric.step in self._acts and metric.scope == "step":
                self._of_step(event)
            case _:
                self._keep(event)

    def _answer(self, event: LlmResponseEvent, turn: Turn | None) -> None:
        if turn is None or turn.response is not None:
            turn = Turn()
            self.story.turns.append(turn)
        turn.response = event

    def _turn_of(self, call: ToolCallEvent) -> Turn:
        turns = self.story.turns
        known = self._asked.get(call.payload.request_id or "")
        if known is not None and known.response is not None:
            return known
        for turn in reversed(turns[-50:]):
            if turn.asked(call):
                return turn
        if not turns or not turns[-1].open:
            turns.append(Turn())
        return turns[-1]

    def _of_step(self, event: ToolResultEvent | StepRewardEvent | TestRunEvent | SandboxMetricEvent) -> None:
        step = event.payload.step
        act = self._acts.get(step) if step is not None else None
        match event:
            case ToolResultEvent() if act is not None and act.result is None:
                act.result = event
            case StepRewardEvent() if act is not None and act.reward is None:
                act.reward = event
            case TestRunEvent() if act is not None:
                act.tests.append(event)
            case SandboxMetricEvent() if act is not None and act.metric is None:
                act.metric = event
            case _:
                self.story.rest.append(event)

    def _keep(self, event: AnyEvent) -> None:
        story = self.story
        match event:
            case EpisodeStartEvent() if story.start is None:
                story.start = event
            case PhaseEvent():
                story.phases.append(event)
            case SandboxMetricEvent():
                story.metrics.append(event)
            case ErrorEvent():
                story.errors.append(event)
            case NoteEvent():
                story.notes.append(event)
            case FinalPatchEvent():
                story.patches.append(event)
            case VerdictEvent():
                story.verdicts.append(event)
            case EpisodeEndEvent():
                story.ends.append(event)
            case _:
                story.rest.append(event)
