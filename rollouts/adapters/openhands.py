"""OpenHands V0: the benchmarks' `output.jsonl` (also with V1 events in it) and exported lists of events.

A line of `output.jsonl` is an episode. An event of the agent that is an action becomes a call, with the answer it was
part of before it; the observation that names it as its cause becomes the result. `history` may hold pairs.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .base import Foreign, ForeignEpisode, Sample, Unread
from .documents import first_object, glimpse, open_document
from .exits import read_exit
from .reading import Row, as_dict, as_int, as_list, as_str, as_text, json_rows, moment
from .sdk_events import SdkEvents, is_sdk_event
from .telling import final_patch, instance_of, repo_of
from .v0_events import V0Events, verdict

__all__ = ["ADAPTER", "LOSES", "OpenHandsAdapter"]

LOSES: Mapping[str, str] = {
    "history[].tool_call_metadata.model_response": "kept are id, model, message, finish reason and token counts",
    "history[].tool_call_metadata.function_name": "repeats the call in the message",
    "history[].args": "where the call of the model is recorded, its arguments are told",
    "history[].success, extras.error_id": "follows from the exit code; a number for a page",
    "history[].message": "a sentence for people that repeats the event",
    "history[].llm_metrics": "running totals; kept is what each answer added",
    "metrics.response_latencies, token_usages": "times and token counts of the answers; all of it is in a note",
}
"""What of the format has no place of its own in our log, and why."""

_ROW = frozenset({"history", "instance_id", "error"})
_TOLD = ("instance_id", "repo", "base_commit", "problem_statement", "version")


class OpenHandsAdapter:
    """See `base.Adapter`."""

    name = "openhands"
    version = "1"
    title = "OpenHands output.jsonl and event lists (V0)"

    def recognise(self, sample: Sample) -> float:
        """By a row's `history` and `instance_id`, or by events with `source` and `action` or `observation`."""
        events = as_list(glimpse(sample))
        if events:
            return 1.0 if _is_event(as_dict(_flat(events[0]))) else 0.0
        row = first_object(sample)
        if "instance_id" in row and ("history" in row or {"metadata", "instruction"} <= row.keys()):
            return 1.0 if "trajectory" not in row else 0.0
        return 0.9 if _is_event(row) and "kind" not in row else 0.0

    def episodes(self, path: Path, options: Mapping[str, Any]) -> Iterator[ForeignEpisode]:
        """One episode a row, or the one of a list of events."""
        with path.open("rb") as file:
            is_list = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
        if is_list:
            document = open_document(path, frozenset())
            events = _events_of(document.items(""))
            damage = [document.damage] if document.damage is not None else []
            yield _listed(path, events, damage)
            return
        yield from _rows(path)


def _rows(path: Path) -> Iterator[ForeignEpisode]:
    """The episodes of a file of JSON lines; lines that are none go to the next one."""
    broken = list[Unread]()
    lines = json_rows(path)
    last: tuple[str, dict[str, Any]] | None = None
    for row in lines:
        if isinstance(row, Row) and _is_event(as_dict(row.value)) and last is None:
            yield _listed(path, _events_of(_values(row, lines)), broken)
            return
        if last is not None:
            yield _episode(*last, broken)
            broken, last = [], None
        if isinstance(row, Unread):
            broken.append(row)
        elif value := as_dict(row.value):
            last = (row.where, value)
        else:
            broken.append(Unread(kind="row that is no object", where=row.where))
    if last is not None:
        yield _episode(*last, broken)
    elif broken:
        yield _episode("end", {}, broken)


def _values(first: Row, rest: Iterable[Row | Unread]) -> Iterator[Any]:
    yield first.value
    for row in rest:
        yield row if isinstance(row, Unread) else row.value


def _flat(value: Any) -> Any:
    """The first event of a pair, or the event."""
    return as_list(value)[0] if as_list(value) else value


def _is_event(record: Mapping[str, Any]) -> bool:
    said = "action" in record or "observation" in record
    return said and "source" in record and ("message" in record or "args" in record or "content" in record)


def _events_of(items: Iterable[Any]) -> Iterator[dict[str, Any] | Unread]:
    """Events in order, pairs taken apart."""
    for number, item in enumerate(items):
        for event in as_list(item) if isinstance(item, list) else [item]:
            if isinstance(event, dict):
                yield as_dict(event)
            else:
                where = f"history[{number}]"
                yield event if isinstance(event, Unread) else Unread(kind="event that is no object", where=where)


def _listed(path: Path, events: Iterator[dict[str, Any] | Unread], damage: list[Unread]) -> ForeignEpisode:
    task = instance_of(path.name) or path.name.split(".")[0]
    return ForeignEpisode(
        key="events",
        task_id=task,
        agent="openhands",
        agent_version="v0",
        repo=repo_of(task),
        timing="recorded",
        events=_tell_list(events, damage),
    )


def _tell_list(events: Iterator[dict[str, Any] | Unread], damage: list[Unread]) -> Iterator[Foreign]:
    told = V0Events(None)
    for event in events:
        yield from [event] if isinstance(event, Unread) else told.take(event)
    yield from told.finish()
    yield from damage
    yield told.ending(None, {})


def _episode(where: str, row: dict[str, Any], broken: list[Unread]) -> ForeignEpisode:
    metadata, instance = as_dict(row.get("metadata")), as_dict(row.get("instance"))
    task = as_str(row.get("instance_id")) or as_str(instance.get("instance_id")) or where
    history = as_list(row.get("history"))
    model = _model(metadata)
    first = as_dict(_flat(history[0])) if history else {}
    timed = any(moment(as_dict(_flat(event)).get("timestamp")) for event in history[:3])
    attempt = as_int(row.get("attempt"))
    return ForeignEpisode(
        key=f"{task}#{attempt}" if attempt else task,
        task_id=task,
        agent="openhands",
        agent_version=_version(history, first),
        model=model,
        repo=as_str(instance.get("repo")) or repo_of(task),
        commit=as_text(instance.get("base_commit")),
        timing="recorded" if timed else "none",
        events=_tell_row(row, model, broken, sdk=is_sdk_event(first)),
    )


def _model(metadata: Mapping[str, Any]) -> str | None:
    config = as_dict(metadata.get("llm_config")) or as_dict(metadata.get("llm"))
    return as_str(config.get("model"))


def _version(history: list[Any], first: Mapping[str, Any]) -> str:
    for event in history[:5]:
        version = as_str(as_dict(as_dict(_flat(event)).get("args")).get("openhands_version"))
        if version:
            return version
    return "sdk" if is_sdk_event(first) else "v0"


def _tell_row(row: dict[str, Any], model: str | None, broken: list[Unread], *, sdk: bool) -> Iterator[Foreign]:
    told = SdkEvents(model) if sdk else V0Events(model, as_dict(row.get("metrics")))
    told.begin(**_start(row))
    for event in _events_of(as_list(row.get("history"))):
        yield from [event] if isinstance(event, Unread) else told.take(event)
    yield from told.finish()
    if "history" in row and not isinstance(row["history"], list) and row["history"] is not None:
        yield Unread(kind="history that is no list")
    for key, value in row.items():
        if key not in _ROW:
            yield told.teller.note(key, as_dict(value) or {"value": value})
    yield from broken
    test = as_dict(row.get("test_result"))
    patch = final_patch(test.get("git_patch") or row.get("git_patch"))
    if patch is not None:
        yield patch
    graded = verdict(row.get("report"), test.get("report"), row.get("resolved"), patch)
    if graded is not None:
        yield graded
    yield _ending(told, row)


def _start(row: Mapping[str, Any]) -> dict[str, Any]:
    instance, metadata = as_dict(row.get("instance")), as_dict(row.get("metadata"))
    limit = as_int(metadata.get("max_iterations"))
    return {
        "task": {name: instance[name] for name in _TOLD if instance.get(name)},
        "limits": {"steps": limit} if limit else {},
        "attempt": as_int(row.get("attempt")) or 1,
    }


def _ending(told: SdkEvents | V0Events, row: Mapping[str, Any]) -> Foreign:
    said = as_str(row.get("error"))
    metrics = as_dict(row.get("metrics"))
    if isinstance(told, V0Events):
        return told.ending(said, metrics)
    if said:
        told.stop = (*read_exit("openhands", said), said)
    return told.ending()


ADAPTER = OpenHandsAdapter()
