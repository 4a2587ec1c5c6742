"""Argilla 2: items as records, the settings of the dataset that holds them, and the way back.

The files are those of `rg.Dataset.to_disk` and `from_disk` (argilla 2.x): `records.json`, `.argilla/settings.json` and
`.argilla/dataset.json`. They name users by UUID and tell neither when nor how quickly somebody answered; names, times
and the history of saves travel in the metadata of each record.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ...errors import UsageError
from ...validation import first_problem
from .exchange import (
    META,
    NOT_APPLICABLE,
    NOTE,
    OPTIONS,
    TITLES,
    Arrived,
    Baggage,
    Record,
    Returned,
    arrange,
    identity,
    made_key,
    options_of,
    shown_answer,
)
from .labels import PairItem, StepItem, nearest_point
from .session import QUESTIONS

__all__ = ["argilla_dataset", "argilla_settings", "from_argilla", "to_argilla"]

_PAIR = {"left": "Left", "right": "Right", "tie": "Tie"}


class _Response(BaseModel, extra="ignore"):
    value: Any
    user_id: uuid.UUID
    status: str | None = None


class _Row(BaseModel, extra="ignore"):
    id: str | int | None = None
    metadata: dict[str, Any] | None = None
    responses: dict[str, tuple[_Response, ...]] | None = None
    suggestions: dict[str, Any] = Field(default_factory=dict[str, Any])


_ROWS = TypeAdapter(tuple[_Row, ...])


def argilla_settings(kind: str) -> dict[str, Any]:
    """The settings of a dataset for items of a kind, `step` or `pair`."""
    shown = ("statement", "before", "step") if kind == "step" else ("statement", "left", "right")
    if kind == "step":
        scale = {point: f"{point}: {meaning}" for point, meaning in OPTIONS.items()}
        options = scale | {NOT_APPLICABLE: NOT_APPLICABLE}
        questions = [_choice(name, *QUESTIONS[name], options) for name in QUESTIONS]
    else:
        questions = [_choice("choice", "Which did it better?", None, _PAIR)]
    note = {"type": "text", "use_markdown": False}
    return {
        "guidelines": "Judge what you see. You are not told which agent or model did the work, nor how it ended.",
        "questions": [*questions, _property(NOTE, "Comment", note, required=False)],
        "fields": [_property(name, TITLES[name], {"type": "text", "use_markdown": False}) for name in shown],
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "mapping": None,
    }


def _property(name: str, title: str, settings: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    return {"name": name, "title": title, "required": required, "description": None, "settings": dict(settings)}


def _choice(name: str, title: str, description: str | None, options: Mapping[str, str]) -> dict[str, Any]:
    listed = [{"value": value, "text": text, "description": None} for value, text in options.items()]
    settings = {"type": "label_selection", "options": listed, "visible_options": len(listed)}
    return _property(name, title, settings) | {"description": description}


def argilla_dataset(name: str) -> dict[str, Any]:
    """What `.argilla/dataset.json` holds."""
    settings = argilla_settings("step")
    return {"name": name, "status": "draft"} | {
        key: settings[key] for key in ("guidelines", "allow_extra_metadata", "distribution")
    }


def to_argilla(records: Iterable[Record], users: Mapping[str, str], layer: str = "") -> list[dict[str, Any]]:
    """What `records.json` holds. `users` gives the UUID there of our annotators; `layer` names who suggests scores."""
    return [_record(record, users, layer) for record in records]


def _record(record: Record, users: Mapping[str, str], layer: str) -> dict[str, Any]:
    item = record.item
    responses: dict[str, list[dict[str, str]]] = {}
    for save in record.holding:
        user = users.get(save.annotator) or str(identity(save.annotator))
        for question, value in shown_answer(item, save).items():
            responses.setdefault(question, []).append({"value": value, "user_id": user, "status": "submitted"})
    suggested = {n: {"value": str(nearest_point(s)), "score": None, "agent": layer} for n, s in record.scores.items()}
    return {
        "id": item.item_id,
        "fields": dict(record.texts),
        "metadata": {META: Baggage(item=item, saves=tuple(record.saves)).model_dump_json()},
        "suggestions": suggested,
        "responses": responses,
        "vectors": {},
        "status": "completed" if responses else "pending",
        "_server_id": None,
    }


def from_argilla(text: str, users: Mapping[str, str], known: Mapping[str, StepItem | PairItem]) -> Arrived:
    """What a `records.json` brings. `known`: items by id, for records that lost their metadata. Raises UsageError."""
    try:
        rows = _ROWS.validate_python(json.loads(text))
    except ValueError as error:
        said = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise UsageError(f"this is no records.json of Argilla 2: {said}") from error
    arrived = Arrived()
    for number, row in enumerate(rows, 1):
        baggage = _baggage(row, known)
        if baggage is None:
            arrived.ignored.append(f"record {row.id or number} is none of ours: it has no {META} in its metadata")
            continue
        if row.suggestions:
            arrived.ignored.append(f"record {row.id or number}: suggestions are no labels of people")
        arrange(baggage.item, baggage.saves, _returned(row, baggage, users), arrived)
    return arrived


def _baggage(row: _Row, known: Mapping[str, StepItem | PairItem]) -> Baggage | None:
    carried = (row.metadata or {}).get(META)
    if carried is not None:
        try:
            return Baggage.model_validate_json(str(carried))
        except ValidationError as error:
            raise UsageError(
                f"record {row.id}: its metadata under {META} is damaged: {first_problem(error)}"
            ) from error
    item = known.get(str(row.id))
    return Baggage(item=item) if item is not None else None


def _returned(row: _Row, baggage: Baggage, users: Mapping[str, str]) -> list[Returned]:
    """One answer a user, put together from the responses to each question; drafts and discarded ones are left out."""
    item, answers = baggage.item, dict[str, dict[str, str]]()
    for question, responses in (row.responses or {}).items():
        for response in responses if question == NOTE or question in options_of(item) else ():
            if response.status in (None, "submitted") and response.value is not None:
                answers.setdefault(str(response.user_id), {})[question] = str(response.value)
    sent = Record(item=item, texts={}, saves=baggage.saves).holding
    by_user = {users.get(save.annotator) or str(identity(save.annotator)): save for save in sent}
    names = {user: name for name, user in users.items()} | {user: save.annotator for user, save in by_user.items()}
    found = list[Returned]()
    for user, values in answers.items():
        who = names.get(user) or f"Argilla user {user}"
        link = str(identity(by_user[user].key)) if user in by_user else None
        key = made_key("argilla", item.item_id, who, values)
        found.append(Returned(link=link, values=values, annotator=who, key=key, created=datetime.now(UTC)))
    return found
