"""Label Studio: items as tasks with annotations, the configuration that shows them, and the way back.

The formats are those of https://labelstud.io/guide/task_format. What its importer keeps of a file, and what not, was
read in its source (`label_studio/tasks/serializers.py`): of a task `data` and `meta`; of an annotation `result`,
`lead_time`, `ground_truth` and `was_cancelled`. Times and names of annotators are not kept: they travel in `meta`.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast
from xml.etree import ElementTree

from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError

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
from .labels import PairItem, Save, StepItem, nearest_point
from .session import QUESTIONS

__all__ = ["from_label_studio", "label_studio_config", "to_label_studio"]


class _Result(BaseModel, extra="ignore"):
    id: str = ""
    from_name: str
    value: dict[str, Any]


class _Annotation(BaseModel, extra="ignore"):
    id: int | str | None = None
    result: tuple[_Result, ...]
    was_cancelled: bool | None = False
    completed_by: Any = None
    updated_by: Any = None
    lead_time: float | None = None
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None


class _Task(BaseModel, extra="ignore"):
    id: int | str | None = None
    data: dict[str, Any] = Field(default_factory=dict[str, Any])
    meta: dict[str, Any] | None = None
    annotations: tuple[_Annotation, ...] = ()
    predictions: tuple[Any, ...] = ()


_TASKS = TypeAdapter(tuple[_Task, ...])


def label_studio_config(kind: str) -> str:
    """The labelling configuration (XML) for items of a kind, `step` or `pair`."""
    view = ElementTree.Element("View")
    shown = ("statement", "before", "step") if kind == "step" else ("statement", "left", "right")
    for name in shown:
        ElementTree.SubElement(view, "Header", value=TITLES[name])
        ElementTree.SubElement(view, "Text", name=name, value=f"${name}")
    if kind == "step":
        for criterion, (title, question) in QUESTIONS.items():
            ElementTree.SubElement(view, "Header", value=f"{title}: {question}", size="5")
            _choices(view, criterion, shown[-1], [*OPTIONS, NOT_APPLICABLE])
    else:
        ElementTree.SubElement(view, "Header", value="Which did it better?", size="5")
        _choices(view, "choice", shown[-1], ["left", "right", "tie"])
    ElementTree.SubElement(view, "TextArea", name=NOTE, toName=shown[-1], placeholder="Comment", maxSubmissions="1")
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _choices(view: ElementTree.Element, name: str, to: str, options: Iterable[str]) -> None:
    choices = ElementTree.SubElement(
        view, "Choices", name=name, toName=to, choice="single-radio", showInline="true", required="true"
    )
    for option in options:
        hint = f"{option} of 5: {OPTIONS[option]}" if option in OPTIONS else option
        ElementTree.SubElement(choices, "Choice", value=option, hint=hint)


def to_label_studio(records: Iterable[Record], users: Mapping[str, str], layer: str = "") -> list[dict[str, Any]]:
    """Tasks for its import. `users`: the e-mail or number there of our annotators; `layer`: who proposes scores."""
    return [_task(record, users, layer) for record in records]


def _task(record: Record, users: Mapping[str, str], layer: str) -> dict[str, Any]:
    item = record.item
    baggage = Baggage(item=item, saves=tuple(record.saves)).model_dump(mode="json")
    target = "step" if isinstance(item, StepItem) else "right"
    proposals = {name: str(nearest_point(score)) for name, score in record.scores.items()}
    predictions = [{"model_version": layer, "result": _results(proposals, layer, target)}] if proposals else []
    return {
        "data": {"item_id": item.item_id, **record.texts},
        "meta": {META: baggage},
        "annotations": [_annotation(item, save, users, target) for save in record.holding],
        "predictions": predictions,
    }


def _annotation(item: StepItem | PairItem, save: Save, users: Mapping[str, str], target: str) -> dict[str, Any]:
    user = users.get(save.annotator)
    who = {} if user is None else {"completed_by": int(user) if user.isdecimal() else {"email": user}}
    return {
        "result": _results(shown_answer(item, save), str(identity(save.key)), target),
        "lead_time": save.seconds,
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": save.created.isoformat(),
        **who,
    }


def _results(values: Mapping[str, str], link: str, target: str) -> list[dict[str, Any]]:
    """Each result's id begins with the identity of the save: results are kept as they are, annotations are not."""
    found = list[dict[str, Any]]()
    for name, value in values.items():
        kind, key = ("textarea", "text") if name == NOTE else ("choices", "choices")
        told = {"id": f"{link}.{name}", "from_name": name, "to_name": target, "type": kind, "value": {key: [value]}}
        found.append(told)
    return found


def from_label_studio(text: str, users: Mapping[str, str], known: Mapping[str, StepItem | PairItem]) -> Arrived:
    """What an export (JSON) brings. `known` are items by id, for tasks that lost their `meta`. Raises UsageError."""
    try:
        tasks = _TASKS.validate_python(json.loads(text))
    except ValueError as error:
        said = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise UsageError(f"this is not a JSON export of Label Studio: {said}") from error
    arrived = Arrived()
    names = {user: name for name, user in users.items()}
    for number, task in enumerate(tasks, 1):
        baggage = _baggage(task, known)
        if baggage is None:
            arrived.ignored.append(f"task {task.id or number} is none of ours: it has no {META} in its meta")
            continue
        if task.predictions:
            arrived.ignored.append(f"task {task.id or number}: predictions are no labels of people")
        found = [_returned(baggage.item, each, names) for each in task.annotations if not each.was_cancelled]
        arrange(baggage.item, baggage.saves, found, arrived)
    return arrived


def _baggage(task: _Task, known: Mapping[str, StepItem | PairItem]) -> Baggage | None:
    carried = (task.meta or {}).get(META)
    if carried is not None:
        try:
            return Baggage.model_validate(carried)
        except ValidationError as error:
            raise UsageError(
                f"task {task.id}: what its meta holds under {META} is damaged: {first_problem(error)}"
            ) from error
    item = known.get(str(task.data.get("item_id")))
    return Baggage(item=item) if item is not None else None


def _returned(item: StepItem | PairItem, annotation: _Annotation, names: Mapping[str, str]) -> Returned:
    values = dict[str, str]()
    for result in annotation.result:
        texts = result.value.get("text" if result.from_name == NOTE else "choices")
        if texts and (result.from_name == NOTE or result.from_name in options_of(item)):
            lines = cast("list[Any]", texts) if isinstance(texts, list) else [texts]
            values[result.from_name] = "\n".join(map(str, lines))
    link = next((result.id.rpartition(".")[0] for result in annotation.result if "." in result.id), None)
    who = _who(annotation.updated_by or annotation.completed_by, names)
    created = annotation.updated_at or annotation.created_at or datetime.now(UTC)
    return Returned(
        link=link,
        values=values,
        annotator=who,
        key=made_key("label-studio", item.item_id, who, values, annotation.id),
        created=created,
        seconds=annotation.lead_time,
    )


def _who(user: Any, names: Mapping[str, str]) -> str:
    """Our name of a user, told as a number, as an object with an e-mail, or not at all."""
    if isinstance(user, dict):
        told = cast("dict[str, Any]", user)
        user = told.get("email") or told.get("id")
    return names.get(str(user)) or (f"Label Studio user {user}" if user is not None else "Label Studio user")
