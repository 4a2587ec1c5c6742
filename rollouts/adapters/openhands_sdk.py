"""Conversations of the OpenHands software agent SDK (V1): a folder of event files, a list, or JSON lines."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .base import Foreign, ForeignEpisode, Sample, Unread
from .documents import first_object, glimpse, open_document
from .reading import (
    NotJson,
    as_dict,
    as_dicts,
    as_int,
    as_list,
    as_str,
    json_rows,
    read_json,
)
from .sdk_events import SdkEvents, is_sdk_event, running_totals
from .telling import instance_of, repo_of

__all__ = ["ADAPTER", "LOSES", "OpenHandsSdkAdapter"]

LOSES: Mapping[str, str] = {
    "id, source": "links between events, which the calls' own ids are; who speaks follows from an event's kind",
    "ActionEvent.action, tool_name, tool_call.id": "repeat the arguments, the name and the id of the call",
    "ObservationEvent.tool_name, action_id, observation.kind": "those of the call, which is found by its own id",
    "UserRejectObservation.tool_name": "that of the call",
    "content[].type, thought[].type, system_prompt.type": "texts are told; what is no text is told as JSON",
    "ActionEvent.thinking_blocks": "signatures of a provider; the text is `reasoning_content`",
    "ActionEvent.security_risk, critic_result, responses_reasoning_item": "no place in a call; in the result's `data`",
    "TokenEvent": "a note: the event does not say which answer its tokens are of",
    "parent_id": "the log is a sequence",
}
"""What of the format has no place of its own in our log, and why."""

_EVENT_FILE = "event-"


class OpenHandsSdkAdapter:
    """See `base.Adapter`."""

    name = "openhands-sdk"
    version = "1"
    title = "OpenHands SDK conversations (V1 events)"

    def recognise(self, sample: Sample) -> float:
        """By an event's `kind`, `id`, `source` and `timestamp`; a folder by its event files."""
        if sample.names:
            return 1.0 if _event_files(sample.path, sample.names) else 0.0
        found = glimpse(sample)
        records = as_dicts(as_list(found)) or [first_object(sample)]
        return 1.0 if is_sdk_event(records[0]) else 0.0

    def companions(self, path: Path) -> list[Path]:
        """A conversation's state beside its folder of events."""
        state = path.parent / "base_state.json"
        return [state] if path.is_dir() and path.name == "events" and state.is_file() else []

    def episodes(self, path: Path, options: Mapping[str, Any]) -> Iterator[ForeignEpisode]:
        """The one conversation."""
        state = _state(path)
        agent = as_dict(state.get("agent"))
        model = as_str(as_dict(agent.get("llm")).get("model")) or _model(_records(path))
        named = path.parent.name if path.is_dir() and path.name == "events" else path.name.split(".")[0]
        task = instance_of(named) or as_str(state.get("id")) or named
        yield ForeignEpisode(
            key="conversation",
            task_id=task,
            agent="openhands",
            agent_version=as_str(state.get("version")) or "sdk",
            model=model,
            repo=repo_of(task),
            timing="recorded",
            events=_conversation(path, state, model),
        )


def _event_files(path: Path, names: Iterable[str]) -> list[Path]:
    """The event files of a folder, in their order; those of its `events` folder where it is a conversation's."""
    found = sorted(name for name in names if name.startswith(_EVENT_FILE) and name.endswith(".json"))
    if found:
        return [path / name for name in found]
    inner = path / "events"
    if "base_state.json" in names and inner.is_dir():
        return _event_files(inner, [child.name for child in inner.iterdir()])
    return []


def _state(path: Path) -> dict[str, Any]:
    """What a conversation's folder says of it; empty for a file."""
    for folder in (path, path.parent) if path.is_dir() else ():
        if (folder / "base_state.json").is_file():
            try:
                return as_dict(read_json(folder / "base_state.json", partial=True)[0])
            except NotJson:
                return {}
    return {}


def _records(path: Path) -> Iterator[dict[str, Any] | Unread]:
    """The events of a source in their order."""
    if path.is_dir():
        yield from _from_folder(path)
        return
    with path.open("rb") as file:
        is_list = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    if is_list:
        document = open_document(path, frozenset())
        yield from (_object(item, f"event {number}") for number, item in enumerate(document.items("")))
        if document.damage is not None:
            yield document.damage
        return
    for row in json_rows(path):
        yield row if isinstance(row, Unread) else _object(row.value, row.where)


def _from_folder(path: Path) -> Iterator[dict[str, Any] | Unread]:
    for file in _event_files(path, [child.name for child in path.iterdir()]):
        try:
            value, problem = read_json(file, partial=True)
        except NotJson as error:
            yield Unread(kind="torn event", where=f"{file.name}: {error}", broken=True)
            continue
        yield _object(value, file.name)
        if problem:
            yield Unread(kind="torn event", where=f"{file.name}: {problem}", broken=True, records=0)


def _object(value: Any, where: str) -> dict[str, Any] | Unread:
    return as_dict(value) if isinstance(value, dict) else Unread(kind="event that is no object", where=where)


def _model(records: Iterator[dict[str, Any] | Unread]) -> str | None:
    """The model that a state update names."""
    for record in records:
        if isinstance(record, dict) and record.get("key") in ("stats", "full_state"):
            name = as_str(running_totals(record).get("model_name"))
            if name:
                return name
    return None


def _conversation(path: Path, state: dict[str, Any], model: str | None) -> Iterator[Foreign]:
    events = SdkEvents(model)
    limit = as_int(state.get("max_iterations"))
    events.begin(limits={"steps": limit} if limit else {})
    if state:
        events.hold(events.teller.note("base_state", state))
    for record in _records(path):
        yield from [record] if isinstance(record, Unread) else events.take(record)
    yield from events.finish()
    yield events.ending()


ADAPTER = OpenHandsSdkAdapter()
