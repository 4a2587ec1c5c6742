"""Checks of what an event measured: tokens that cannot be, times that run backwards, scores that nobody gave."""

from collections.abc import Iterator
from datetime import datetime

from ...rewards.recorded import recorded_layer
from ...rollouts.events import LlmRequestEvent, LlmResponseEvent, ToolCallEvent, ToolResultEvent
from ...rollouts.payloads import Usage
from ...rollouts.rule_log import EpisodeRows
from ...rollouts.rule_scores import Scoring, score_episode
from .finding import Finding
from .record import Record

__all__ = ["rescored", "times", "tokens"]

_COUNTS = (
    "input_tokens", "cached_input_tokens", "cache_creation_tokens", "output_tokens", "reasoning_tokens",
)  # fmt: skip
_CLOSE = 2e-6


def tokens(record: Record) -> Iterator[Finding]:
    """Counts of tokens are none below zero, parts are no more than the whole, and the end counts what answers did.

    Of another agent's record a contradiction is that record's own, and a warning.
    """
    made = _made(record)
    tell = Finding.warning if made else Finding.error
    total = Usage()
    for index, event in enumerate(record.events):
        if isinstance(event, LlmResponseEvent):
            total = total.plus(event.payload.usage)
            for said in _impossible(event.payload.usage):
                yield tell("tokens", record.at(index), said)
    end = record.trajectory.end if record.trajectory is not None else None
    if end is None or not made:
        return  # our own recorder counts requests that failed, too
    for name in ("input_tokens", "output_tokens"):
        told, counted = getattr(end.usage, name), getattr(total, name)
        if told is not None and counted is not None and told != counted:
            said = f"the end says {told:,} {name.replace('_', ' ')}; the answers add up to {counted:,}"
            yield Finding.warning("tokens", record.name, said)


def _impossible(usage: Usage) -> Iterator[str]:
    counts = {name: getattr(usage, name) for name in _COUNTS}
    for name, count in counts.items():
        if count is not None and count < 0:
            yield f"{name.replace('_', ' ')} are {count}"
    cached = (usage.cached_input_tokens or 0) + (usage.cache_creation_tokens or 0)
    if usage.input_tokens is not None and cached > max(usage.input_tokens, 0):
        yield f"{cached:,} prompt tokens are of the cache, of {usage.input_tokens:,} in all"
    if usage.output_tokens is not None and (usage.reasoning_tokens or 0) > max(usage.output_tokens, 0):
        yield f"{usage.reasoning_tokens:,} tokens are reasoning, of {usage.output_tokens:,} generated"


def times(record: Record) -> Iterator[Finding]:
    """In another agent's record that tells times, nothing is answered before it was asked."""
    if not _made(record) or record.trajectory is None:
        return
    origin = record.trajectory.start.origin
    if origin is None or origin.timing != "recorded":
        return
    called, asked = dict[int, datetime](), dict[str, datetime]()
    for index, event in enumerate(record.events):
        before = None
        match event:
            case ToolCallEvent(payload=call):
                called[call.step] = event.t_start
            case ToolResultEvent(payload=result):
                before = called.get(result.step)
            case LlmRequestEvent(payload=request):
                asked[request.request_id] = event.t_start
            case LlmResponseEvent(payload=response):
                before = asked.get(response.request_id)
            case _:
                pass
        if before is not None and event.t_end < before:
            late = (before - event.t_end).total_seconds()
            yield Finding.warning("times", record.at(index), f"is answered {late:.3f} s before it was asked")


def rescored(record: Record, scores: EpisodeRows | None, scoring: Scoring) -> Iterator[Finding]:
    """The scores beside the log are what the rules say of it now; `scores` are those of this episode, if any."""
    if scores is None or record.trajectory is None or record.problems:
        return
    if scores.record.get("mark") != scoring.mark(record.folder, record.trajectory.header.task_id):
        said = f"{recorded_layer()} scored it with another rubric, with reference patches, or before its log changed"
        yield Finding.note("rescored", record.name, said)
        return
    told = {row["step"]: row.get("reward") for row in scores.rows}
    for row in score_episode(record.folder, scoring):
        there = told.get(row.step)
        if (there is None) != (row.reward is None) or abs((there or 0.0) - (row.reward or 0.0)) > _CLOSE:
            said = f"scores say {there}; the rules give {row.reward}"
            yield Finding.error("rescored", f"{record.name} step {row.step}", said)


def _made(record: Record) -> bool:
    """Whether it was made from another agent's record."""
    return record.trajectory is not None and record.trajectory.start.origin is not None
