"""Labels on their way to other tools and back: what both formats have in common.

A record carries its item and the whole history of saves beside what the other tool shows, so that what was not touched
there comes back exactly as it was. What was answered or changed there comes back as a new save.
"""

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from ..scores import CRITERIA
from .labels import POINTS, Item, PairAnswer, PairItem, Save, Side, StepAnswer, StepItem, nearest_point
from .sampling import shuffle_key
from .store import LabelStore

__all__ = [
    "META",
    "NOTE",
    "NOT_APPLICABLE",
    "OPTIONS",
    "TITLES",
    "Arrived",
    "Baggage",
    "Record",
    "Returned",
    "ScoresOf",
    "arrange",
    "deposit",
    "identity",
    "left_of",
    "made_key",
    "options_of",
    "records_of",
    "shown_answer",
]

NOT_APPLICABLE = "does not apply"
NOTE = "note"
META = "trajhub"
"""Where a record of another tool carries what is ours."""
TITLES = {"statement": "Task", "before": "Steps so far", "step": "This step", "left": "Left", "right": "Right"}
OPTIONS = {"1": "not at all", "2": "a little", "3": "partly", "4": "largely", "5": "fully"}
"""The points of the scale and what they mean."""
ScoresOf = Callable[[StepItem | PairItem], Mapping[str, float]]
_NAMESPACE = uuid.UUID("6d0c1b54-8a35-5d0e-9a39-0a8f4f3f7c11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One item to be sent: what stands for it, what is shown of it, and every save of it."""

    item: StepItem | PairItem
    texts: Mapping[str, str]
    saves: Sequence[Save] = ()
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    """A layer's scores by criterion, to be shown as a proposal; empty for none."""

    @property
    def holding(self) -> list[Save]:
        """Each annotator's last save that is not withdrawn."""
        last: dict[str, Save] = {}
        for save in sorted(self.saves, key=lambda save: save.created):
            if save.withdrawn is None:
                last[save.annotator] = save
        return list(last.values())


class Baggage(BaseModel):
    """What travels with an item, hidden from annotators: its reference and the history of its saves."""

    model_config = ConfigDict(extra="ignore")

    version: int = 1
    item: Item
    saves: tuple[Save, ...] = ()

    @model_validator(mode="after")
    def _own(self) -> Self:
        """The id of an item follows from what it stands for; a file where it does not was made by somebody else."""
        item = self.item
        if isinstance(item, StepItem):
            same = StepItem.of(run_id=item.run_id, episode_id=item.episode_id, task_id=item.task_id, step=item.step)
        else:
            same = PairItem.of(item.task_id, (item.run_a, item.episode_a), (item.run_b, item.episode_b))
        if same != item or any(save.item_id != item.item_id for save in self.saves):
            raise ValueError(f"{item.item_id} is not the id of what it should stand for")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """One answer found in another tool's file."""

    link: str | None
    """Identity of the save that was sent out as this answer; None for one that was made there."""
    values: Mapping[str, str]
    """What is chosen, by criterion or under `choice`, and the note."""
    annotator: str
    """Who answered there."""
    key: str
    created: datetime
    seconds: float | None = None


@dataclass(slots=True)
class Arrived:
    """What a file of another tool brought."""

    items: list[StepItem | PairItem] = field(default_factory=list[StepItem | PairItem])
    saves: list[Save] = field(default_factory=list[Save])
    new: int = 0
    """Answers that were made or changed there."""
    ignored: list[str] = field(default_factory=list[str])
    """What was left out, and why, in sentences."""


def identity(text: str) -> uuid.UUID:
    """The identifier by which another tool knows one of our names."""
    return uuid.uuid5(_NAMESPACE, text)


def left_of(item: StepItem | PairItem) -> Side:
    """The trajectory of a pair that other tools show on the left: random, and the same for everybody."""
    return "a" if int(shuffle_key(0, "left", item.item_id)[:8], 16) % 2 else "b"


def options_of(item: StepItem | PairItem) -> dict[str, tuple[str, ...]]:
    """The questions about an item and what may be chosen."""
    if isinstance(item, PairItem):
        return {"choice": ("left", "right", "tie")}
    return dict.fromkeys(CRITERIA, (*OPTIONS, NOT_APPLICABLE))


def shown_answer(item: StepItem | PairItem, save: Save) -> dict[str, str]:
    """A save as what is chosen in another tool; the point next to a value that lies between two."""
    note = {NOTE: save.note} if save.note else {}
    if isinstance(save.answer, PairAnswer):
        chosen = save.answer.chosen
        return {"choice": chosen if chosen == "tie" else "left" if chosen == left_of(item) else "right"} | note
    values = save.answer.values
    return {n: NOT_APPLICABLE if v is None else str(nearest_point(v)) for n, v in values.items()} | note


def _answer(item: StepItem | PairItem, values: Mapping[str, str]) -> StepAnswer | PairAnswer:
    """Raises KeyError for what cannot be chosen."""
    if isinstance(item, PairItem):
        left: Side = left_of(item)
        right: Side = "b" if left == "a" else "a"
        return PairAnswer(chosen={"left": left, "right": right, "tie": "tie"}[values["choice"]], left=left)  # pyright: ignore[reportArgumentType]
    chosen = {name: values[name] for name in CRITERIA if name in values}
    return StepAnswer(values={n: None if v == NOT_APPLICABLE else POINTS[int(v)] for n, v in chosen.items()})


def arrange(item: StepItem | PairItem, history: Sequence[Save], returned: Iterable[Returned], arrived: Arrived) -> None:
    """Sort what came back of one item into `arrived`: what was sent out and is the same, and what is new.

    A save that held when it was sent out and whose answer is gone was deleted there: it is left out.
    """
    holding = {str(identity(save.key)): save for save in Record(item=item, texts={}, saves=history).holding}
    arrived.items.append(item)
    arrived.saves += [save for save in history if str(identity(save.key)) not in holding]
    for each in returned:
        sent = holding.get(each.link or "")
        if sent is not None and shown_answer(item, sent) == each.values:
            arrived.saves.append(sent)
            continue
        try:
            answer = _answer(item, each.values)
        except (KeyError, ValueError):
            arrived.ignored.append(f"an answer of {each.annotator} to {item.item_id} is empty or not one of ours")
            continue
        note = each.values.get(NOTE, "")
        arrived.new += 1
        arrived.saves.append(
            Save(key=each.key, item_id=item.item_id, annotator=each.annotator, created=each.created, answer=answer,
                 note=note, seconds=each.seconds)
        )  # fmt: skip


def made_key(tool: str, item_id: str, annotator: str, values: Mapping[str, str], *more: object) -> str:
    """The key of an answer that another tool made: the same whenever the same answer is read again."""
    parts = [item_id, annotator, *(f"{name}={values[name]}" for name in sorted(values)), *map(str, more)]
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    return f"{tool}:{digest[:32]}"


def records_of(
    store: LabelStore, texts_of: Callable[[StepItem | PairItem, Side], Mapping[str, str] | None], scores_of: ScoresOf
) -> Iterator[Record]:
    """Every item of a store with its history, as far as `texts_of` can show it (None where it cannot)."""
    history = defaultdict[str, list[Save]](list)
    for save in store.history():
        history[save.item_id].append(save)
    for item in store.items():
        texts = texts_of(item, left_of(item))
        if texts is not None:
            yield Record(item=item, texts=texts, saves=history[item.item_id], scores=scores_of(item))


def deposit(arrived: Arrived, store: LabelStore) -> int:
    """Put into the store what arrived, all or nothing; the number of saves that it did not have."""
    store.register(arrived.items)
    return store.save_all(sorted(arrived.saves, key=lambda save: save.created))
