"""Who labels what, in which order, and what is on record: one session serves any number of annotators at once."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...errors import UsageError
from ..scores import CRITERIA
from .labels import POINTS, Annotator, Chosen, PairAnswer, PairItem, Save, Side, StepAnswer, StepItem, nearest_point
from .sampling import shuffle_key
from .store import LabelStore

__all__ = ["QUESTIONS", "SaveRequest", "Session", "View", "ViewOf"]

QUESTIONS: dict[str, tuple[str, str]] = {
    "goal_progress": ("Goal progress", "Does it bring the task nearer to being solved?"),
    "tool_choice": ("Tool choice", "Right kind of act, at the right moment?"),
    "argument_correctness": ("Arguments", "Valid, true to the repository, the ones needed?"),
    "use_of_information": ("Use of information", "Does it act on what earlier steps showed?"),
    "non_redundancy": ("Non-redundancy", "Does it bring what no earlier step brought?"),
}
"""What annotators are asked, by criterion."""

View = dict[str, Any]
ViewOf = Callable[[StepItem | PairItem, Side], View]
"""Shows an item, blind; for a pair, with that trajectory on the left."""
_Point = Literal[1, 2, 3, 4, 5]


class SaveRequest(BaseModel):
    """What a browser sends to save one item."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    annotator: Annotator
    item: str = Field(max_length=100)
    key: str = Field(min_length=8, max_length=100, pattern=r"^[\w.-]+$")
    """Made by the browser, so that a save that is sent twice counts once."""
    points: dict[str, _Point | None] | None = None
    """Of a step: a point of the scale for each criterion, None where it does not apply."""
    choice: Literal["left", "right", "tie"] | None = None
    """Of a pair."""
    note: str = Field(default="", max_length=10_000)
    seconds: float | None = Field(default=None, ge=0, le=1e6)


class Session:
    """A sample of items put before annotators. Safe to share between threads."""

    def __init__(
        self, store: LabelStore, items: Sequence[StepItem | PairItem], view_of: ViewOf, *, seed: int = 0
    ) -> None:
        """Items are either all steps or all pairs. Raises UsageError when there are none, ValueError for a mixture."""
        if not items:
            raise UsageError("there is nothing to label: no step or pair of these runs was chosen")
        if any(item.kind != items[0].kind for item in items):
            raise ValueError("items are either all steps or all pairs")
        self.store = store
        self.kind = items[0].kind
        self._items: dict[str, StepItem | PairItem] = {item.item_id: item for item in items}
        self._view_of = view_of
        self._seed = seed
        self._orders: dict[str, list[str]] = {}
        store.register(items)

    @property
    def count(self) -> int:
        """How many items there are."""
        return len(self._items)

    def order(self, annotator: str) -> list[str]:
        """The items in the order of this annotator, random and always the same."""
        if annotator not in self._orders:
            self._orders[annotator] = sorted(self._items, key=lambda each: shuffle_key(self._seed, annotator, each))
        return self._orders[annotator]

    def left(self, annotator: str, item_id: str) -> Side:
        """The trajectory of a pair that this annotator sees on the left: random, and always the same."""
        return "a" if int(shuffle_key(self._seed, "side", annotator, item_id)[:8], 16) % 2 else "b"

    def overview(self, annotator: str) -> View:
        """What there is to label, in this annotator's order, and what of it is done."""
        done = self.store.answered(annotator)
        order = self.order(annotator)
        return {
            "kind": self.kind,
            "annotator": annotator,
            "criteria": [dict(name=name, title=QUESTIONS[name][0], question=QUESTIONS[name][1]) for name in CRITERIA],
            "items": [{"id": item_id, "done": item_id in done} for item_id in order],
        }

    def shown(self, annotator: str, item_id: str) -> View:
        """One item as this annotator sees it, with the answer that holds. Raises UsageError when it is no item."""
        item = self._item(item_id)
        view = self._view_of(item, self.left(annotator, item_id))
        save = self.store.answer(annotator, item_id)
        return {"id": item_id, "answer": self._answer_shown(annotator, save) if save is not None else None, **view}

    def save(self, request: SaveRequest) -> None:
        """Keep an answer, on disk when this returns. Raises UsageError when it does not fit its item."""
        item = self._item(request.item)
        self.store.save(
            Save(
                key=request.key,
                item_id=item.item_id,
                annotator=request.annotator,
                created=Save.now(),
                answer=self._step_answer(request) if item.kind == "step" else self._pair_answer(request),
                note=request.note.strip(),
                seconds=request.seconds,
            )
        )

    def undo(self, annotator: str) -> View:
        """Withdraw the annotator's last answer; `undone` is its item, None when there was nothing to undo."""
        save = self.store.undo(annotator, self._items)
        if save is None:
            return {"undone": None, **self.overview(annotator)}
        answer = self._answer_shown(annotator, save)
        return {"undone": save.item_id, "answer": answer, **self.overview(annotator)}

    def _item(self, item_id: str) -> StepItem | PairItem:
        if (item := self._items.get(item_id)) is None:
            raise UsageError(f"there is no item {item_id!r} in this session; reload the page")
        return item

    def _step_answer(self, request: SaveRequest) -> StepAnswer:
        points = request.points or {}
        if points.keys() != set(CRITERIA):
            raise UsageError(f"every criterion needs an answer: {', '.join(CRITERIA)}")
        values = {name: None if points[name] is None else POINTS[points[name] or 0] for name in CRITERIA}
        return StepAnswer(values=values)

    def _pair_answer(self, request: SaveRequest) -> PairAnswer:
        if request.choice is None:
            raise UsageError("choose left, right or tie")
        left = self.left(request.annotator, request.item)
        right: Side = "b" if left == "a" else "a"
        chosen: dict[str, Chosen] = {"left": left, "right": right, "tie": "tie"}
        return PairAnswer(chosen=chosen[request.choice], left=left)

    def _answer_shown(self, annotator: str, save: Save) -> View:
        if isinstance(save.answer, PairAnswer):
            if save.answer.chosen == "tie":
                return {"choice": "tie", "note": save.note}
            side = "left" if save.answer.chosen == self.left(annotator, save.item_id) else "right"
            return {"choice": side, "note": save.note}
        points = {name: None if value is None else nearest_point(value) for name, value in save.answer.values.items()}
        return {"points": points, "note": save.note}
