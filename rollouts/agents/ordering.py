"""The events of an episode in the order in which they ended, with the phases that its steps amount to."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import itemgetter

from ...envs.step import Step
from ...rewards.foreign import canonical
from ...tools.base import Telemetry
from .. import payloads
from ..adapters.base import Timed
from ..events import now
from ..payloads import Payload
from ..phases import Phases

__all__ = ["in_order"]


def in_order(base: Sequence[Timed], aside: Sequence[Timed], phases: Phases) -> Iterator[Timed]:
    """All events as they ended, the parts of a step together, and before a step the phase that begins with it.

    One of `base` without times stays behind the one that it follows.
    """
    waiting = sorted(aside, key=_end)
    latest = datetime.min
    taken = 0
    for group in _by_time(_groups(base)):
        latest = max(latest, _group_end(group))
        while taken < len(waiting) and _end(waiting[taken]).replace(tzinfo=None) <= latest:
            yield waiting[taken]
            taken += 1
        phase = _phase(group, phases)
        if phase is not None:
            yield Timed(payload=phase, t_start=group[0].t_start or group[0].t_end)
        yield from group
    yield from waiting[taken:]


def _by_time(groups: Sequence[list[Timed]]) -> list[list[Timed]]:
    keyed, last = list[tuple[datetime, list[Timed]]](), datetime.min
    for group in groups:
        end = _group_end(group)
        last = last if end == datetime.min else end
        keyed.append((last, group))
    return [group for _, group in sorted(keyed, key=itemgetter(0))]


def _end(event: Timed) -> datetime:
    return event.t_end or event.t_start or now()


def _group_end(group: Sequence[Timed]) -> datetime:
    return (group[-1].t_end or group[-1].t_start or datetime.min).replace(tzinfo=None)


def _groups(base: Sequence[Timed]) -> list[list[Timed]]:
    """A step's call with its result; every other event by itself."""
    groups, open_calls = list[list[Timed]](), dict[int, list[Timed]]()
    for event in base:
        match event.payload:
            case payloads.ToolCall(step=step):
                open_calls[step] = group = [event]
                groups.append(group)
            case payloads.ToolResult(step=step) if step in open_calls:
                group = open_calls.pop(step)
                groups.remove(group)
                groups.append([*group, event])
            case _:
                groups.append([event])
    return groups


def _phase(group: Sequence[Timed], phases: Phases) -> Payload | None:
    call, result = group[0].payload, group[-1].payload
    if not isinstance(call, payloads.ToolCall) or not isinstance(result, payloads.ToolResult):
        return None
    start = group[-1].t_start or group[0].t_start or now()
    step = Step(
        index=call.step,
        action=call.action,
        tool=call.tool,
        arguments=call.arguments,
        observation=result.observation,
        ok=result.ok,
        error=result.error,
        exit_code=result.exit_code,
        data=result.data,
        telemetry=Telemetry(wall_ms=0.0),
        t_start=start,
        t_end=group[-1].t_end or start,
        duration_ms=0.0,
        thought=call.thought,
    )
    return phases.take(canonical(step))
