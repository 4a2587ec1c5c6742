"""Checks of a log as a log: is every line an event, in order, of this episode, with an answer to every question?"""

from collections.abc import Iterator
from dataclasses import fields

from ...rewards.foreign import canonical
from ...rollouts.episode_log import EVENTS
from ...rollouts.events import (
    EpisodeEndEvent,
    EpisodeStartEvent,
    ErrorEvent,
    LlmRequestEvent,
    LlmResponseEvent,
    PhaseEvent,
    SandboxMetricEvent,
    StepRewardEvent,
    TestRunEvent,
    ToolCallEvent,
    ToolResultEvent,
    UnknownEvent,
)
from ...rollouts.log import Header
from ...rollouts.phases import PhaseName, phases_of
from ...rollouts.run_model import RunManifest
from .finding import Finding
from .record import Record

__all__ = ["answers", "chain", "completeness", "identity", "phases", "schema", "sequence"]

_HEADER = tuple(field.name for field in fields(Header))


def schema(record: Record) -> Iterator[Finding]:
    """Every line is an event of a known type; the last one is whole."""
    for line, problem in record.problems:
        yield Finding.error("schema", f"{record.name}/{EVENTS}:{line}", f"not an event: {problem}")
    if record.torn:
        yield Finding.warning("schema", f"{record.name}/{EVENTS}", f"the last line is torn ({record.torn} bytes)")
    for index, event in enumerate(record.events):
        if isinstance(event, UnknownEvent):
            yield Finding.note("schema", record.at(index), f"event type {event.event_type!r} is not known here")


def chain(record: Record) -> Iterator[Finding]:
    """The hash chain is unbroken."""
    for broken in record.chain.breaks:
        seq = "" if broken.seq is None else f" (event {broken.seq})"
        yield Finding.error("chain", f"{record.name}/{EVENTS}:{broken.line}", f"this line{seq} {broken.reason}")
    bare = record.chain.events - record.chain.chained
    if bare and not record.chain.breaks:
        yield Finding.note("chain", f"{record.name}/{EVENTS}", f"{bare} events carry no chain value (version 1.0)")


def sequence(record: Record) -> Iterator[Finding]:
    """Numbers count from 0 without a gap, and no event ends before it begins or before the one ahead of it.

    Of an agent with tools of its own, a call and the phase that it begins are told with the call's result: what
    happened meanwhile stands before them. Of an episode made from another agent's record the order is that record's.
    """
    joined = record.trajectory is not None and not record.trajectory.start.tools
    made = record.trajectory is not None and record.trajectory.start.origin is not None
    previous, latest = None, None
    for index, event in enumerate(record.events):
        expected = 0 if previous is None else previous.seq + 1
        if event.seq != expected:
            yield Finding.error("sequence", record.at(index), f"seq is {event.seq}, where {expected} was due")
        if event.t_end < event.t_start:
            yield Finding.error("sequence", record.at(index), "ends before it begins")
        if event.duration_ms < 0:
            yield Finding.error("sequence", record.at(index), f"lasts {event.duration_ms} ms")
        previous = event
        if made or (joined and isinstance(event, ToolCallEvent | PhaseEvent)):
            continue
        if latest is not None and event.t_end < latest:
            back = (latest - event.t_end).total_seconds()
            yield Finding.error("sequence", record.at(index), f"ends {back:.6f} s before the event ahead of it")
        latest = event.t_end


def identity(record: Record, manifest: RunManifest) -> Iterator[Finding]:
    """Every event belongs to this episode of this run, and the run says it was meant to hold it."""
    if not record.events:
        return
    first = record.events[0]
    for index, event in enumerate(record.events):
        for name in _HEADER:
            here, there = getattr(event, name), getattr(first, name)
            if here != there:
                yield Finding.error("identity", record.at(index), f"{name} is {here!r}, before it was {there!r}")
    at = record.at(0)
    if first.run_id != manifest.run_id:
        yield Finding.error("identity", at, f"run_id is {first.run_id!r}; run.json says {manifest.run_id!r}")
    if first.episode_id != record.name:
        yield Finding.error("identity", at, f"episode_id is {first.episode_id!r}; the folder is {record.name!r}")
    if manifest.tasks and first.task_id not in manifest.tasks:
        yield Finding.error("identity", at, f"task {first.task_id!r} is not one of run.json")
    if manifest.seeds and first.seed not in manifest.seeds:
        yield Finding.error("identity", at, f"seed {first.seed} is not one of run.json")


def answers(record: Record) -> Iterator[Finding]:
    """Every tool call has its result, every request to a model its answer or error, and steps count from 0."""
    asked: dict[str, int] = {}
    called: dict[int, str | None] = {}
    answered: set[int] = set()
    for index, event in enumerate(record.events):
        match event:
            case ToolCallEvent(payload=call):
                if call.step != len(called):
                    yield Finding.error("answers", record.at(index), f"step {call.step}, where {len(called)} was due")
                called[call.step] = call.tool
            case ToolResultEvent(payload=result):
                if result.step not in called or result.step in answered:
                    yield Finding.error("answers", record.at(index), f"no open call of step {result.step}")
                elif called[result.step] != result.tool:
                    said = f"{result.tool!r} answers a call of {called[result.step]!r}"
                    yield Finding.error("answers", record.at(index), said)
                answered.add(result.step)
            case StepRewardEvent(payload=said) | SandboxMetricEvent(payload=said) | TestRunEvent(payload=said):
                if said.step is not None and said.step not in called:
                    yield Finding.error("answers", record.at(index), f"speaks of step {said.step}, which was not taken")
            case LlmRequestEvent(payload=request):
                asked[request.request_id] = index
            case LlmResponseEvent(payload=response):
                if asked.pop(response.request_id, None) is None:
                    yield Finding.error("answers", record.at(index), f"nobody asked {response.request_id!r}")
            case ErrorEvent(payload=error) if error.where == "policy":
                asked.clear()
            case _:
                pass
    for step in sorted(called.keys() - answered):
        where = f"{record.name} step {step}"
        if step == max(called):
            yield Finding.warning("answers", where, "has no result: the process died in between")
        else:
            yield Finding.error("answers", where, "has no result, although the episode went on")
    for request, index in asked.items():
        yield Finding.warning("answers", record.at(index), f"request {request!r} was never answered")


def completeness(record: Record) -> Iterator[Finding]:
    """The episode begins and ends, and its end counts what happened."""
    if not record.events:
        yield Finding.warning("completeness", record.name, "holds no event")
        return
    if not any(isinstance(event, EpisodeStartEvent) for event in record.events):
        yield Finding.warning("completeness", record.name, "never began: its sandbox could not be had")
    ends = [(index, event) for index, event in enumerate(record.events) if isinstance(event, EpisodeEndEvent)]
    if len(ends) != 1:
        told = "did not end: it runs, or its process died" if not ends else f"ends {len(ends)} times"
        yield (Finding.error if ends else Finding.warning)("completeness", record.name, told)
        return
    index, end = ends[0]
    steps = sum(isinstance(event, ToolResultEvent) for event in record.events)
    if end.payload.steps != steps:
        yield Finding.error("completeness", record.at(index), f"says {end.payload.steps} steps; there are {steps}")
    malformed = sum(isinstance(event, ToolCallEvent) and event.payload.malformed for event in record.events)
    if not end.payload.recovered and end.payload.malformed_actions != malformed:
        said = f"says {end.payload.malformed_actions} malformed actions; there are {malformed}"
        yield Finding.error("completeness", record.at(index), said)


def phases(record: Record) -> Iterator[Finding]:
    """The phases of an episode that our recorder wrote are those that its steps amount to."""
    found = record.trajectory
    marked = [event.payload for event in record.events if isinstance(event, PhaseEvent)]
    if found is None or not any(phase.name == PhaseName.RESET for phase in marked):
        return  # written by somebody else, or before 1.2
    workdir = str(found.start.sandbox.get("workdir") or "/")
    steps = found.steps if found.start.tools else map(canonical, found.steps)  # an agent with tools of its own
    derived = {phase.step: phase.name for phase in phases_of(steps, workdir) if phase.step is not None}
    recorded = {phase.step: phase.name for phase in marked if phase.step is not None}
    for step in sorted(derived.keys() | recorded.keys()):
        if derived.get(step) != recorded.get(step):
            told = f"phase {recorded.get(step)} is said to begin here; the steps say {derived.get(step)}"
            yield Finding.error("phases", f"{record.name} step {step}", told)
